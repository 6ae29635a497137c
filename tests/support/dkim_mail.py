"""Signed messages as strangers make them (with dkimpy, not with our signer), and their keys as DNS data."""

from __future__ import annotations

import functools

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from postmask.auth.dkim import Algorithm, SigningKey, generate_key, public_record
from postmask.clock import Deadline
from postmask.directory.lookup import ABSENT, Found, Lookup, Unavailable


class Zone:
    """TXT records as data, and names that don't answer."""

    def __init__(self, **records: str) -> None:
        self.records: dict[str, list[bytes]] = {}
        self.failing: set[str] = set()
        self.asked: list[str] = []

    def add(self, name: str, *values: str | bytes) -> None:
        self.records.setdefault(name, []).extend(
            value.encode() if isinstance(value, str) else value for value in values
        )

    def txt(self, name: str, deadline: Deadline) -> Lookup[tuple[bytes, ...]]:
        self.asked.append(name)
        if name in self.failing:
            return Unavailable("DNS did not answer")
        return Found(tuple(self.records[name])) if name in self.records else ABSENT


@functools.cache
def rsa_key(bits: int = 2048) -> SigningKey:
    """One key of each length for a whole test run: making them is dear."""
    return SigningKey(rsa.generate_private_key(public_exponent=65537, key_size=bits))


@functools.cache
def ed25519_key() -> SigningKey:
    return generate_key(Algorithm.ED25519)


def published(zone: Zone, key: SigningKey, domain: str = "example.com", selector: str = "s1") -> None:
    """Publish the key as its owner would."""
    zone.add(f"{selector}._domainkey.{domain}", public_record(key))


def stranger_signs(
    message: bytes,
    key: SigningKey,
    *,
    domain: str = "example.com",
    selector: str = "s1",
    form: str = "relaxed/relaxed",
    names: list[str] | None = None,
    length: bool = False,
) -> bytes:
    """The message with a DKIM-Signature field by dkimpy in front."""
    header, body = form.encode().split(b"/")
    pem = key.private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    field = dkim.DKIM(message).sign(
        selector.encode(),
        domain.encode(),
        pem,
        canonicalize=(header, body),
        include_headers=None if names is None else [name.encode() for name in names],
        length=length,
    )
    return bytes(field) + message
