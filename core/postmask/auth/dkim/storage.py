"""DKIM private keys as the truth holds them: PKCS #8, sealed, bound to their domain and selector.

DIAGNOSTICS
    UnreadableKeyError: the row was sealed with secrets that this node doesn't have, or for another
    domain or selector.
"""

from __future__ import annotations

from postmask.auth.dkim.keys import SigningKey, UnreadableKeyError
from postmask.directory.records import DkimKey
from postmask.keys import Keyring, Purpose


def seal_key(keyring: Keyring, domain: str, selector: str, key: SigningKey) -> bytes:
    """What is stored as DkimKey.sealed."""
    return keyring.seal(Purpose.DKIM_STORAGE, key.to_pkcs8(), domain.encode(), selector.encode())


def open_key(keyring: Keyring, record: DkimKey) -> SigningKey:
    """The key in a directory row, ready to sign: to be kept, not opened anew for each message.

    Raises UnreadableKeyError, whose text says what is wrong with which key.
    """
    name = f"{record.selector}._domainkey.{record.domain}"
    der = keyring.open(Purpose.DKIM_STORAGE, record.sealed, record.domain.encode(), record.selector.encode())
    if der is None:
        raise UnreadableKeyError(f"the DKIM key {name} was sealed with other master secrets")
    try:
        return SigningKey.from_pkcs8(der)
    except UnreadableKeyError as error:
        raise UnreadableKeyError(f"the DKIM key {name} is damaged: {error}") from error
