"""DomainKeys Identified Mail (RFC 6376, RFC 8301, RFC 8463): sign, verify, and the keys for it.

sign(headers, body, domain=…, selector=…, key=…, at=…)   one DKIM-Signature field
generate_key(algorithm), public_record(key)              a new key pair, and its TXT record
"""

from postmask.auth.dkim.keys import Algorithm, SigningKey, UnreadableKeyError, generate_key, public_record
from postmask.auth.dkim.sign import hash_body, sign

__all__ = [
    "Algorithm",
    "SigningKey",
    "UnreadableKeyError",
    "generate_key",
    "hash_body",
    "public_record",
    "sign",
]
