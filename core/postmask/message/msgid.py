"""Message-IDs, wrapped so that neither side of an alias sees the other's.

An id that passes through an alias is sealed into one of the alias's domain, and opened again when an
answer refers to it from the other side: threads hold at both ends and no table is needed. What doesn't
open is foreign and gets wrapped; an id that is already wrapped for this direction passes as it is.

    sender's <m@host>          → owner sees <seal(m)@alias domain>, answers In-Reply-To that
    In-Reply-To <seal(m)@…>    → contact sees <m@host>

DIAGNOSTICS
    None. An id whose wrapped form would pass LIMIT octets becomes a keyed hash, which nothing opens:
    it is the same on every message that names it, so the owner's side of the thread holds.

STANDARDS
    RFC 5322 §3.6.4 (identification fields), RFC 5297 (AES-SIV), RFC 4648 §6 (base32).
"""

from __future__ import annotations

import base64
import binascii
import enum
import hashlib
import re
from collections.abc import Callable

from postmask.keys import Keyring, Purpose
from postmask.message.headers import Field, Headers, fold

LIMIT = 240
"""Octets of a wrapped id with its angle brackets: fits a line, and every program's buffer for ids."""

MAX_REFERENCES = 100
"""Ids kept in one References field: the first, which names the thread, and the last ones."""

_ONE_WAY_OCTETS = 20
_ID = re.compile(rb"<([^<>\r\n\0]{1,900})>")
_SPACE = re.compile(rb"[\s\0]+")


class Direction(enum.StrEnum):
    """Who will see the wrapped id. A value that is in use must never change."""

    TO_OWNER = "to-owner"
    TO_CONTACT = "to-contact"

    @property
    def opposite(self) -> Direction:
        """The other one."""
        return Direction.TO_CONTACT if self is Direction.TO_OWNER else Direction.TO_OWNER


def wrap(keys: Keyring, direction: Direction, alias: str, message_id: bytes, domain: str) -> bytes:
    """The id (with or without angle brackets) sealed: "<base32@domain>"."""
    plain = _bare(message_id) or b"?"
    sealed = keys.seal(Purpose.MESSAGE_ID, plain, *_bound(direction, alias))
    wrapped = _formed(sealed, domain)
    if len(wrapped) <= LIMIT:
        return wrapped
    named = b"\0".join((*_bound(direction, alias), plain))
    return _formed(keys.mac(Purpose.MESSAGE_ID, named, _ONE_WAY_OCTETS), domain)


def unwrap(keys: Keyring, direction: Direction, alias: str, message_id: bytes, domain: str) -> bytes | None:
    """The id, with angle brackets, that was wrapped for that direction; None for a foreign one."""
    local, at, host = _bare(message_id).rpartition(b"@")
    if not at or host.lower() != domain.encode("ascii"):
        return None
    try:
        sealed = base64.b32decode(local.upper() + b"=" * (-len(local) % 8))
    except binascii.Error:
        return None
    plain = keys.open(Purpose.MESSAGE_ID, sealed, *_bound(direction, alias))
    return None if plain is None else b"<" + plain + b">"


def carry(keys: Keyring, direction: Direction, alias: str, message_id: bytes, domain: str) -> bytes:
    """The id as it may stand in a message that goes in this direction: opened, left or wrapped."""
    opened = unwrap(keys, direction.opposite, alias, message_id, domain)
    if opened is not None:
        return opened
    if unwrap(keys, direction, alias, message_id, domain) is not None:
        return b"<" + _bare(message_id) + b">"
    return wrap(keys, direction, alias, message_id, domain)


def ids(value: bytes) -> list[bytes]:
    """The ids in a field value, with their angle brackets; a value without any bracket is one id."""
    found = _ID.findall(value)
    if not found and value and b"<" not in value and not _SPACE.search(value):
        found = [value]
    return [b"<" + message_id + b">" for message_id in found]


def map_field(name: str, value: bytes, one: Callable[[bytes], bytes]) -> Field | None:
    """The field with each id passed through `one`, folded between ids. None: there is no id in it."""
    found = ids(value)
    if len(found) > MAX_REFERENCES:
        found = found[:1] + found[1 - MAX_REFERENCES :]
    if not found:
        return None
    return fold(name, [one(message_id) for message_id in found])


def substitute(headers: Headers) -> bytes:
    """An id for a message that has none, made of its header."""
    digest = hashlib.sha256(headers.to_bytes()).hexdigest()[:32]
    return f"<{digest}@missing.invalid>".encode("ascii")


def _bare(message_id: bytes) -> bytes:
    return message_id.strip().removeprefix(b"<").removesuffix(b">")


def _bound(direction: Direction, alias: str) -> tuple[bytes, bytes]:
    return direction.encode("ascii"), alias.encode("utf-8")


def _formed(data: bytes, domain: str) -> bytes:
    local = base64.b32encode(data).rstrip(b"=").lower()
    return b"<" + local + b"@" + domain.encode("ascii") + b">"
