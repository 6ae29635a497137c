"""DKIM private keys as the truth holds them: PKCS #8, sealed, bound to their domain and selector.

DIAGNOSTICS
    UnreadableKeyError: the row was sealed with secrets that this node doesn't have, or for another
    domain or selector.
"""

from __future__ import annotations

from postmask.auth.dkim.keys import SigningKey, UnreadableKeyError
from postmask.directory.records import DkimKey
from postmask.keys import Keyring, Purpose

_MOST_KEYS = 8_192


def seal_key(keyring: Keyring, domain: str, selector: str, key: SigningKey) -> bytes:
    """What is stored as DkimKey.sealed."""
    return keyring.seal(Purpose.DKIM_STORAGE, key.to_pkcs8(), domain.encode(), selector.encode())


class KeyChain:
    """Keys that were opened and loaded, kept for the next message. Safe to share between threads."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._loaded: dict[DkimKey, SigningKey] = {}

    def load(self, record: DkimKey) -> SigningKey:
        """The key in a directory row, opened on first use. Raises UnreadableKeyError."""
        key = self._loaded.get(record)
        if key is None:
            key = self._open(record)
            if len(self._loaded) >= _MOST_KEYS:
                self._loaded.clear()
            self._loaded[record] = key
        return key

    def _open(self, record: DkimKey) -> SigningKey:
        der = self._keyring.open(
            Purpose.DKIM_STORAGE, record.sealed, record.domain.encode(), record.selector.encode()
        )
        if der is None:
            raise UnreadableKeyError(
                f"the DKIM key {record.selector} of {record.domain} can't be opened: "
                "it was sealed with secrets that aren't in this node's key file"
            )
        return SigningKey.from_pkcs8(der)
