"""Signed messages as strangers make them: with dkimpy, not with our signer."""

from __future__ import annotations

import functools

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from dns_data import DnsData
from postmask.auth.dkim import Algorithm, SigningKey, generate_key, public_record


@functools.cache
def rsa_key(bits: int = 2048) -> SigningKey:
    """One key of each length for a whole test run: making them is dear."""
    return SigningKey(rsa.generate_private_key(public_exponent=65537, key_size=bits))


@functools.cache
def ed25519_key() -> SigningKey:
    return generate_key(Algorithm.ED25519)


def published(zone: DnsData, key: SigningKey, domain: str = "example.com", selector: str = "s1") -> None:
    """Publish the key as its owner would."""
    zone.txts[f"{selector}._domainkey.{domain}"] = [public_record(key).encode()]


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
