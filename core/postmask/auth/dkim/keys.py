"""DKIM key pairs: made, written as PKCS #8, loaded once, published.

A SigningKey wraps a key object of `cryptography`, whose arithmetic is constant-time and some twenty
times as fast as dkimpy's own. Loading one is dear when it is validated (30 ms), so it is loaded
once and kept.

DIAGNOSTICS
    UnreadableKeyError: the bytes aren't a PKCS #8 key of a kind that DKIM knows.

STANDARDS
    RFC 6376 §3.6.1 (key records), RFC 8301 (RSA of 1024 bits at least, SHA-256 only), RFC 8463
    (Ed25519).
"""

from __future__ import annotations

import base64
import enum
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

RSA_BITS = 2048
_SHA256 = Prehashed(hashes.SHA256())


class Algorithm(enum.StrEnum):
    """Kinds of key, named as in a key record's k= tag."""

    RSA = "rsa"
    ED25519 = "ed25519"


class UnreadableKeyError(ValueError):
    """These bytes can't be a DKIM private key."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key, loaded and ready."""

    private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

    @property
    def algorithm(self) -> Algorithm:
        return Algorithm.RSA if isinstance(self.private, rsa.RSAPrivateKey) else Algorithm.ED25519

    @property
    def tag(self) -> bytes:
        """What stands in a signature's a= tag."""
        return self.algorithm.encode() + b"-sha256"

    def sign_digest(self, digest: bytes) -> bytes:
        """The signature over a SHA-256 digest (RFC 6376 §3.3.1; for Ed25519, RFC 8463 §3)."""
        if isinstance(self.private, rsa.RSAPrivateKey):
            return self.private.sign(digest, padding.PKCS1v15(), _SHA256)
        return self.private.sign(digest)

    def to_pkcs8(self) -> bytes:
        """The private key as unencrypted PKCS #8 DER: to be sealed before it is stored."""
        return self.private.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @classmethod
    def from_pkcs8(cls, der: bytes) -> SigningKey:
        """Load what to_pkcs8 wrote.

        RSA parameters aren't validated again: the bytes come out of an authenticated seal of ours.
        """
        try:
            private = serialization.load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise UnreadableKeyError("not a PKCS #8 private key") from error
        if not isinstance(private, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
            raise UnreadableKeyError("neither an RSA nor an Ed25519 key")
        return cls(private)


def generate_key(algorithm: Algorithm = Algorithm.RSA) -> SigningKey:
    """A new key pair: RSA of 2048 bits, or Ed25519."""
    if algorithm is Algorithm.ED25519:
        return SigningKey(ed25519.Ed25519PrivateKey.generate())
    return SigningKey(rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS))


def public_record(key: SigningKey) -> str:
    """The TXT record's value for SELECTOR._domainkey.DOMAIN, unquoted and unsplit.

    An RSA-2048 record has more than 255 octets: a zone file needs it as two strings.
    """
    public = key.private.public_key()
    if isinstance(public, ed25519.Ed25519PublicKey):
        data = public.public_bytes_raw()
    else:
        data = public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    return f"v=DKIM1; k={key.algorithm}; p={base64.b64encode(data).decode('ascii')}"
