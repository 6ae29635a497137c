"""The master secrets, and what is done with them: sign, check, seal, open.

Each use has a key of its own, HKDF(secret, purpose), derived once and kept in the Keyring. One
secret signs and seals, the newest that isn't waiting; all of them verify and open. A new one waits until
every program on every node has it: what it signed before would be refused by those that haven't.

DIAGNOSTICS
    `check` answers False and `open` None for whatever was not made with one of our secrets, however
    broken it is. ValueError and KeyError mean a mistake in the calling code.

STANDARDS
    RFC 5869 (HKDF), RFC 2104 (HMAC), RFC 5297 (AES-SIV).
"""

from __future__ import annotations

import enum
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SECRET_LENGTH = 32
"""Octets of a master secret."""

HIGHEST_ID = 15
"""A bounce address has four bits for the secret's id; 0 is left unused."""

SHORTEST_MAC = 5
"""Octets; the check part of a reverse alias. Anything shorter proves nothing."""

_LONGEST_MAC = 32
_SIV_OVERHEAD = 1 + 16


class Purpose(enum.StrEnum):
    """What a derived key is for. A value that is in use must never change."""

    TOKEN = "token"  # noqa: S105 - a name, no secret
    BOUNCE = "bounce"
    EVIDENCE = "evidence"
    MESSAGE_ID = "message-id"
    TRACE = "trace"
    DKIM_STORAGE = "dkim-storage"
    ALIAS_ID = "alias-id"
    TOMBSTONE = "tombstone"
    CODE = "code"
    FINGERPRINT = "fingerprint"


@dataclass(frozen=True, slots=True)
class Secret:
    """One master secret. id: 1 to 15. created: ISO date. material: 32 octets, never shown.

    waits: it verifies, and doesn't sign yet.
    """

    id: int
    created: str
    material: bytes = field(repr=False)
    waits: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.id <= HIGHEST_ID:
            raise ValueError(f"the id of a secret is a number from 1 to {HIGHEST_ID}")
        if len(self.material) != SECRET_LENGTH:
            raise ValueError(f"a secret has {SECRET_LENGTH} octets")


class Keyring:
    """All secrets with the keys derived from them. Safe to share between threads."""

    def __init__(self, secrets: Sequence[Secret]) -> None:
        """Oldest first. Raises ValueError without one that signs, or with two of one id."""
        signing = [secret for secret in secrets if not secret.waits]
        if not signing:
            raise ValueError("a keyring needs at least one secret that signs")
        self._by_id = {secret.id: secret for secret in secrets}
        if len(self._by_id) != len(secrets):
            raise ValueError("two secrets have the same id")
        others = (secret for secret in reversed(secrets) if secret is not signing[-1])
        self._signing_first = (signing[-1], *others)
        self._mac_keys: dict[tuple[Purpose, int], bytes] = {}
        self._ciphers: dict[tuple[Purpose, int], AESSIV] = {}

    @property
    def signing(self) -> Secret:
        """The secret that signs and seals."""
        return self._signing_first[0]

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """All secrets: the one that signs, then the others, newest first."""
        return self._signing_first

    def by_id(self, id: int) -> Secret | None:  # noqa: A002 - it is the secret's field
        """The secret with this id."""
        return self._by_id.get(id)

    def mac(self, purpose: Purpose, data: bytes, length: int, secret_id: int | None = None) -> bytes:
        """HMAC-SHA256 cut to `length` octets (5 to 32), by the secret that signs or the one named.

        Raises KeyError for an id that isn't in the ring, ValueError for the length.
        """
        if not SHORTEST_MAC <= length <= _LONGEST_MAC:
            raise ValueError(f"a MAC has {SHORTEST_MAC} to {_LONGEST_MAC} octets")
        key = self._mac_key(purpose, self.signing.id if secret_id is None else secret_id)
        return hmac.digest(key, data, "sha256")[:length]

    @property
    def fingerprint(self) -> str:
        """The secrets by their ids and MACs of nothing, in their order: "2:5d1c… 1:9a3b…".

        Equal where the secrets and their order are, and no help to whoever wants to know one.
        """
        macs = ((secret.id, self.mac(Purpose.FINGERPRINT, b"", 8, secret.id)) for secret in self.secrets)
        return " ".join(f"{number}:{mac.hex()}" for number, mac in macs)

    def check(self, purpose: Purpose, data: bytes, mac: bytes) -> bool:
        """Whether one of the secrets made this MAC (5 to 32 octets), in constant time for each."""
        if not SHORTEST_MAC <= len(mac) <= _LONGEST_MAC:
            return False
        return any(
            hmac.compare_digest(self.mac(purpose, data, len(mac), secret.id), mac)
            for secret in self._signing_first
        )

    def seal(self, purpose: Purpose, plain: bytes, *associated: bytes) -> bytes:
        """AES-SIV with the secret that signs: its id (1 octet), then the SIV (16), then the ciphertext.

        Deterministic: the same input gives the same result until the next rotation. The plain text
        may not be empty (ValueError).
        """
        if not plain:
            raise ValueError("there is nothing to seal")
        secret_id = self.signing.id
        return bytes([secret_id]) + self._cipher(purpose, secret_id).encrypt(plain, list(associated))

    def open(self, purpose: Purpose, sealed: bytes, *associated: bytes) -> bytes | None:
        """The plain text, or None: not sealed by us, for this purpose, with this associated data."""
        if len(sealed) <= _SIV_OVERHEAD or sealed[0] not in self._by_id:
            return None
        try:
            return self._cipher(purpose, sealed[0]).decrypt(sealed[1:], list(associated))
        except InvalidTag:
            return None

    def _mac_key(self, purpose: Purpose, secret_id: int) -> bytes:
        key = self._mac_keys.get((purpose, secret_id))
        if key is None:
            key = _derive(self._by_id[secret_id], purpose, "mac", 32)
            self._mac_keys[purpose, secret_id] = key
        return key

    def _cipher(self, purpose: Purpose, secret_id: int) -> AESSIV:
        cipher = self._ciphers.get((purpose, secret_id))
        if cipher is None:
            cipher = AESSIV(_derive(self._by_id[secret_id], purpose, "aes-siv", 64))
            self._ciphers[purpose, secret_id] = cipher
        return cipher


def _derive(secret: Secret, purpose: Purpose, use: str, length: int) -> bytes:
    """HKDF without salt: the secret is uniformly random already (RFC 5869 §3.1)."""
    return HKDF(SHA256(), length, salt=None, info=f"postmask 1 {purpose} {use}".encode()).derive(
        secret.material
    )
