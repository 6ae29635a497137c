"""The addresses that we make ourselves: reverse aliases, bounce addresses; and the ids behind them.

All of them prove by a MAC that they are ours, so a forged one is refused without a look-up. All are
base32 in lower case and survive any change of case on their way.

    reverse alias   <hint>.<24 characters>     token 80 bits, check MAC over it 40 bits
    bounce address  <53 characters>            kind 2, version 2, key id 4, date 16, alias 48,
                                               contact 64, mailbox 48 (masked), MAC over all that 80 bits

A contact sees the bounce address of each reply. The mailbox in it is masked by a MAC of what stands before
it: open, it would be the same behind all aliases of an owner, and tell contacts which ones belong together.

DIAGNOSTICS
    `read` never raises: what has the shape of ours and doesn't hold is BounceForged or ReverseForged,
    what can't be checked BounceUnread, what hasn't that shape None.

STANDARDS
    RFC 4648 §6 (base32), RFC 5321 §4.5.3.1.1 (64 octets), RFC 2142 (postmaster, abuse).
"""

from __future__ import annotations

import base64
import enum
import hmac
import re
import secrets
import unicodedata
from dataclasses import dataclass

from postmask.address import Address, split_detail
from postmask.keys.keyring import Keyring, Purpose

BOUNCE_DAYS = 30
"""A bounce address is good for so many days (longer than any queue keeps a message)."""

AHEAD_DAYS = 2
"""And by so many days before its date: for a clock that was a day ahead when it was made, and another, or
the same later, that is a day behind."""

CONTACT_LENGTH = 8
"""Octets of a reverse alias's token that a bounce address carries."""

NO_CONTACT = bytes(CONTACT_LENGTH)

HINT_LIMIT = 39
"""Characters of a reverse alias's hint: 64 octets less the dot and the token."""

_ID_LENGTH = 6
_TOKEN_LENGTH = 10
_CHECK_LENGTH = 5
_BOUNCE_MAC_LENGTH = 10
_BOUNCE_BODY_LENGTH = 1 + 2 + _ID_LENGTH + CONTACT_LENGTH + _ID_LENGTH
_TOMBSTONE_LENGTH = 16
_VERSION = 1
_UNMASKED = 0
"""The version before: its mailbox stands open. None is valid any more when BOUNCE_DAYS have gone by."""

_BOUNCE = re.compile(r"[a-z2-7]{53}")
_REVERSE = re.compile(r"[a-z0-9][a-z0-9-]{0,38}\.([a-z2-7]{24})")
_ROLES = frozenset({"postmaster", "abuse"})


class BounceKind(enum.IntEnum):
    """What the bounced message was."""

    FORWARD = 0
    REPLY = 1
    NOTICE = 2


_KINDS = frozenset(map(int, BounceKind))


@dataclass(frozen=True, slots=True)
class Bounce:
    """What a bounce address says.

    day: days since the epoch, UTC. alias_id, mailbox_id: 48 bits; 0 where there is none.
    contact: the first 8 octets of the contact's reverse token (contact_of); zeros where there is none.
    """

    kind: BounceKind
    day: int
    alias_id: int
    contact: bytes
    mailbox_id: int

    def __post_init__(self) -> None:
        if len(self.contact) != CONTACT_LENGTH:
            raise ValueError(f"a bounce address carries {CONTACT_LENGTH} octets of the contact's token")


@dataclass(frozen=True, slots=True)
class Postmaster:
    """postmaster or abuse, in any case, with or without detail. role: which."""

    role: str


@dataclass(frozen=True, slots=True)
class BounceValid:
    """A bounce address of ours, still good."""

    bounce: Bounce


@dataclass(frozen=True, slots=True)
class BounceForged:
    """Has a bounce address's shape and isn't one, or not any more. reason: for the log."""

    reason: str


@dataclass(frozen=True, slots=True)
class BounceUnread:
    """What this program can't read and another might, one with more secrets or of a newer version.

    reason: for the log.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Reverse:
    """A reverse alias that one of our nodes has made. token: its 24 characters."""

    token: str


@dataclass(frozen=True, slots=True)
class ReverseForged:
    """Has a reverse alias's shape, but none of our secrets has made it."""


Reserved = Postmaster | BounceValid | BounceForged | BounceUnread | Reverse | ReverseForged


def alias_id(keys: Keyring, address_key: str, attempt: int = 0) -> int:
    """48 bits of a keyed hash of the alias's address, never 0. On a clash: the next attempt."""
    data = attempt.to_bytes(4) + address_key.encode()
    return int.from_bytes(keys.mac(Purpose.ALIAS_ID, data, _ID_LENGTH)) or 1


def random_id() -> int:
    """48 random bits, never 0: for mailboxes, safe against re-use after a restore."""
    return secrets.randbelow(2**48 - 1) + 1


def tombstone(keys: Keyring, address_key: str) -> bytes:
    """What is kept of a removed address (16 octets): it can be recognised, not read."""
    return tombstones(keys, address_key)[0]


def tombstones(keys: Keyring, address_key: str) -> tuple[bytes, ...]:
    """The address's tombstones by every secret, the one that signs first: what to look for."""
    data = address_key.encode()
    return tuple(keys.mac(Purpose.TOMBSTONE, data, _TOMBSTONE_LENGTH, secret.id) for secret in keys.secrets)


def reverse_token(keys: Keyring, alias_id: int, contact_key: str, replacement: int = 0) -> str:
    """The 24 characters of an alias's reverse alias for a contact: the same on every node.

    replacement: raised by one each time a leaked reverse alias is replaced.
    """
    data = b"token" + replacement.to_bytes(4) + alias_id.to_bytes(_ID_LENGTH) + contact_key.encode()
    token = keys.mac(Purpose.TOKEN, data, _TOKEN_LENGTH)
    return _encode(token + keys.mac(Purpose.TOKEN, b"check" + token, _CHECK_LENGTH))


def contact_of(token: str) -> bytes:
    """What a bounce address carries of a reverse alias's 24 characters: the first 8 octets."""
    return _decode(token)[:CONTACT_LENGTH]


def reverse_local_part(contact: Address, name: str | None, token: str) -> str:
    """ "<hint>.<token>": the hint lets the owner see who it is, and means nothing to us.

    It is made of the contact's address ("bob-at-example-com"); of the name where the contact's local
    part has no letter or digit of ASCII in it.
    """
    local = _plain(contact.local) or _plain(name or "")
    domain = _plain(contact.domain)
    # A long local part is a mailing's serial number more often than a person: the domain stays whole.
    room = max(HINT_LIMIT - len("-at-") - len(domain), 12)
    hint = f"{local[:room].rstrip('-')}-at-{domain}" if local else domain
    return f"{hint[:HINT_LIMIT].rstrip('-') or 'contact'}.{token}"


def bounce_local_part(keys: Keyring, bounce: Bounce) -> str:
    """The 53 characters of a bounce address."""
    secret_id = keys.signing.id
    body = _masked(keys, _pack(bounce, secret_id), secret_id)
    return _encode(body + keys.mac(Purpose.BOUNCE, body, _BOUNCE_MAC_LENGTH, secret_id))


def read(keys: Keyring, local: str, today: int) -> Reserved | None:
    """What a local part at one of our domains is, if it is reserved; None: an ordinary one.

    today: days since the epoch, UTC.
    """
    if not local.isascii():
        return None
    local = local.lower()
    base, _ = split_detail(local)
    if base in _ROLES:
        return Postmaster(base)
    if _BOUNCE.fullmatch(local):
        return _read_bounce(keys, local, today)
    reverse = _REVERSE.fullmatch(local)
    if reverse:
        return _read_reverse(keys, reverse[1])
    return None


def is_reserved(local: str) -> bool:
    """Whether a local part has the shape of one of ours and may not become an alias."""
    if not local.isascii():
        return False
    local = local.lower()
    base, _ = split_detail(local)
    return base in _ROLES or bool(_BOUNCE.fullmatch(local) or _REVERSE.fullmatch(local))


def _read_bounce(keys: Keyring, local: str, today: int) -> BounceValid | BounceForged | BounceUnread:
    raw = _decode(local)
    body, mac = raw[:_BOUNCE_BODY_LENGTH], raw[_BOUNCE_BODY_LENGTH:]
    secret_id = body[0] & 0x0F
    if keys.by_id(secret_id) is None:
        written = _unpack(body)
        if written and today - BOUNCE_DAYS <= written.day <= today + AHEAD_DAYS:
            return BounceUnread("made with a secret that this program does not have")
        return BounceForged("made with a secret that we do not have")
    if not hmac.compare_digest(keys.mac(Purpose.BOUNCE, body, _BOUNCE_MAC_LENGTH, secret_id), mac):
        return BounceForged("the MAC is wrong")
    if _encode(raw) != local:
        return BounceForged("the last character has bits that we never set")
    bounce = _unpack(body if _version(body) == _UNMASKED else _masked(keys, body, secret_id))
    if bounce is None:
        return BounceUnread("of a kind or version that this program does not know")
    if bounce.day > today + AHEAD_DAYS:
        return BounceForged("dated ahead")
    if bounce.day < today - BOUNCE_DAYS:
        return BounceForged(f"{today - bounce.day} days old")
    return BounceValid(bounce)


def _read_reverse(keys: Keyring, token: str) -> Reverse | ReverseForged:
    raw = _decode(token)
    if keys.check(Purpose.TOKEN, b"check" + raw[:_TOKEN_LENGTH], raw[_TOKEN_LENGTH:]):
        return Reverse(token)
    return ReverseForged()


def _masked(keys: Keyring, body: bytes, secret_id: int) -> bytes:
    """With the mailbox masked; of what is masked already: open."""
    before, mailbox = body[:-_ID_LENGTH], body[-_ID_LENGTH:]
    mask = keys.mac(Purpose.BOUNCE, b"mailbox" + before, _ID_LENGTH, secret_id)
    return before + bytes(one ^ other for one, other in zip(mailbox, mask, strict=True))


def _pack(bounce: Bounce, secret_id: int) -> bytes:
    """Raises OverflowError for a day or an id that doesn't fit its field."""
    head = bounce.kind << 6 | _VERSION << 4 | secret_id
    return b"".join(
        (
            head.to_bytes(1),
            bounce.day.to_bytes(2),
            bounce.alias_id.to_bytes(_ID_LENGTH),
            bounce.contact,
            bounce.mailbox_id.to_bytes(_ID_LENGTH),
        )
    )


def _version(body: bytes) -> int:
    return body[0] >> 4 & 0b11


def _unpack(body: bytes) -> Bounce | None:
    kind = body[0] >> 6
    if _version(body) > _VERSION or kind not in _KINDS:
        return None
    return Bounce(
        kind=BounceKind(kind),
        day=int.from_bytes(body[1:3]),
        alias_id=int.from_bytes(body[3:9]),
        contact=body[9:17],
        mailbox_id=int.from_bytes(body[17:23]),
    )


def _encode(raw: bytes) -> str:
    return base64.b32encode(raw).decode("ascii").rstrip("=").lower()


def _decode(text: str) -> bytes:
    return base64.b32decode(text.upper() + "=" * (-len(text) % 8))


def _plain(text: str) -> str:
    """What is left in [a-z0-9-]: accents dropped, everything else one hyphen, none at the ends."""
    letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii").lower()
    return re.sub(r"[^a-z0-9]+", "-", letters).strip("-")
