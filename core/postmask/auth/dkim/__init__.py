"""DomainKeys Identified Mail (RFC 6376, RFC 8301, RFC 8463): sign, verify, and the keys for it.

sign(headers, body, domain=…, selector=…, key=…, at=…)   one DKIM-Signature field
verify(headers, body, txt, deadline, now)                what each signature of a message is worth
generate_key(algorithm), public_record(key)              a new key pair, and its TXT record
seal_key(…), open_key(keyring, record)                    a key as it is stored, and ready to sign again
"""

from postmask.auth.dkim.canonical import hash_body
from postmask.auth.dkim.keys import Algorithm, SigningKey, UnreadableKeyError, generate_key, public_record
from postmask.auth.dkim.sign import UnsignableError, sign
from postmask.auth.dkim.storage import open_key, seal_key
from postmask.auth.dkim.verify import TxtLookup, verify

__all__ = [
    "Algorithm",
    "SigningKey",
    "TxtLookup",
    "UnreadableKeyError",
    "UnsignableError",
    "generate_key",
    "hash_body",
    "open_key",
    "public_record",
    "seal_key",
    "sign",
    "verify",
]
