"""Key records: the TXT value under SELECTOR._domainkey.DOMAIN, read.

DIAGNOSTICS
    KeyRecordError: no key that could be used, and why (revoked, too short, another kind, damaged).

STANDARDS
    RFC 6376 §3.2 (tag lists), §3.6.1 (records), RFC 8301 §3.2 (1024 bits at least), RFC 8463.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from postmask.auth.dkim.keys import Algorithm

LEAST_BITS = 1024
MOST_BITS = 4096
_HIGHEST_EXPONENT = 1 << 32
_RECORD_LIMIT = 8_192
_TAG_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_FWS = re.compile(r"[ \t\r\n]+")


class TagListError(ValueError):
    """Not a tag=value list."""


class KeyRecordError(ValueError):
    """There is no usable key in this record."""


class RevokedKeyError(KeyRecordError):
    """The key was taken back: p= is empty."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A published key. bits: its length. strict: i= must be of exactly the signing domain (t=s).

    testing: the domain only tries DKIM out (t=y); a receiver is not to treat its mail otherwise.
    """

    algorithm: Algorithm
    key: rsa.RSAPublicKey | ed25519.Ed25519PublicKey
    bits: int
    strict: bool
    testing: bool

    def verifies(self, signature: bytes, signed: bytes) -> bool:
        """Whether the signature is this key's over these octets."""
        digest = hashlib.sha256(signed).digest()
        try:
            if isinstance(self.key, rsa.RSAPublicKey):
                self.key.verify(signature, digest, padding.PKCS1v15(), Prehashed(hashes.SHA256()))
            else:
                self.key.verify(signature, digest)
        except InvalidSignature:
            return False
        return True


def parse_tags(text: str) -> dict[str, str]:
    """A tag=value list, blanks around names and values removed. Raises TagListError."""
    tags: dict[str, str] = {}
    for spec in text.rstrip(" \t\r\n").removesuffix(";").split(";"):
        name, equals, value = spec.partition("=")
        name = name.strip(" \t\r\n")
        if not equals or not _TAG_NAME.fullmatch(name):
            raise TagListError("not a list of tags")
        if name in tags:
            raise TagListError(f"tag {name}= given twice")
        tags[name] = value.strip(" \t\r\n")
    return tags


def decode_base64(text: str) -> bytes | None:
    """Base64 with folding white space in it, and with or without its padding (RFC 6376 §2.10); None when it
    is something else."""
    digits = _FWS.sub("", text)
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def parse_record(value: bytes) -> PublicKey:
    """The key that a TXT value publishes for mail. Raises KeyRecordError."""
    if len(value) > _RECORD_LIMIT:
        raise KeyRecordError("the key record is too long")
    try:
        tags = parse_tags(value.decode("utf-8"))
    except (TagListError, UnicodeDecodeError) as error:
        raise KeyRecordError("the key record is damaged") from error
    if tags.get("v", "DKIM1") != "DKIM1":
        raise KeyRecordError("the key record has another version")
    if not {"*", "email"} & _listed(tags, "s", "*"):
        raise KeyRecordError("the key is not for mail")
    if "sha256" not in _listed(tags, "h", "sha256"):
        raise KeyRecordError("the key is not for SHA-256")
    return _key(tags)


def _listed(tags: Mapping[str, str], name: str, default: str) -> set[str]:
    return {item.strip(" \t\r\n").lower() for item in tags.get(name, default).split(":")}


def _key(tags: Mapping[str, str]) -> PublicKey:
    if "p" not in tags:
        raise KeyRecordError("there is no key in the record")
    if not tags["p"]:
        raise RevokedKeyError("the key is revoked")
    data = decode_base64(tags["p"])
    if data is None:
        raise KeyRecordError("the key is damaged")
    flags = _listed(tags, "t", "")
    match tags.get("k", "rsa").lower():
        case "rsa":
            return _rsa_key(data, flags)
        case "ed25519":
            return _ed25519_key(data, flags)
        case _:
            raise KeyRecordError("the key is of an unknown kind")


def _rsa_key(data: bytes, flags: set[str]) -> PublicKey:
    try:
        key = serialization.load_der_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyRecordError("the key is damaged") from error
    if not isinstance(key, rsa.RSAPublicKey):
        raise KeyRecordError("the key is not of the kind that its record says")
    if not LEAST_BITS <= key.key_size <= MOST_BITS:
        raise KeyRecordError(f"the key has {key.key_size} bits")
    if key.public_numbers().e > _HIGHEST_EXPONENT:
        raise KeyRecordError("the key's exponent is too large")
    return PublicKey(Algorithm.RSA, key, key.key_size, "s" in flags, "y" in flags)


def _ed25519_key(data: bytes, flags: set[str]) -> PublicKey:
    try:
        key = ed25519.Ed25519PublicKey.from_public_bytes(data)
    except ValueError as error:
        raise KeyRecordError("the key is damaged") from error
    return PublicKey(Algorithm.ED25519, key, 256, "s" in flags, "y" in flags)
