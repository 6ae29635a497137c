"""The spool's entries read as rows: checked, cut to size, in the columns' names.

DIAGNOSTICS
    EntryError names the field that is missing or can't be; the entry can never be applied.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from postmask import tokens
from postmask.address import AddressError, parse_loose
from postmask.spool import Entry
from postmask.store.models import MAX_ID
from postmask.store.vocabulary import BounceOrigin, EventKind

_ID = re.compile(r"[0-9a-f]{32}")
_FAR_FUTURE = 2.0**40
_TEXT_LIMIT = 1000
_NAME_LIMIT = 200


class EntryError(ValueError):
    """An entry that can't be applied."""


def read(entry: Entry) -> dict[str, Any]:
    """The values of the row that the entry stands for. Raises EntryError."""
    reader = _READERS.get(entry.kind)
    if reader is None:
        raise EntryError(f"unknown kind {entry.kind!r}")
    return reader(_Payload(entry))


class _Payload:
    """Typed access to an entry's fields."""

    def __init__(self, entry: Entry) -> None:
        if not _ID.fullmatch(entry.id):
            raise EntryError("the id is no UUID")
        self.id = entry.id
        self._fields = entry.payload

    def at(self) -> float:
        value = self._required("at")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _FAR_FUTURE:
            raise EntryError("at is no time")
        return float(value)

    def number(self, name: str, least: int = 1) -> int:
        value = self._required(name)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MAX_ID:
            raise EntryError(f"{name} is no id")
        return value

    def number_or_none(self, name: str) -> int | None:
        return self.number(name) if self._fields.get(name) else None

    def text(self, name: str, limit: int) -> str:
        """As it must be, or not at all: for what is compared."""
        value = self._required(name)
        if not isinstance(value, str) or not 1 <= len(value) <= limit or value != _storable(value):
            raise EntryError(f"{name} is no text of 1 to {limit} characters")
        return value

    def words(self, name: str, limit: int = _TEXT_LIMIT) -> str | None:
        """Cut where it is too long, None where it is empty: for what is only shown."""
        value = self._fields.get(name)
        return _storable(value)[:limit] or None if isinstance(value, str) else None

    def one_of(self, name: str, words: type[enum.StrEnum]) -> str:
        value = self._required(name)
        if value not in tuple(words):
            raise EntryError(f"{name} is none of {', '.join(words)}")
        return str(value)

    def _required(self, name: str) -> object:
        value = self._fields.get(name)
        if value is None:
            raise EntryError(f"{name} is missing")
        return value


def _contact(payload: _Payload) -> dict[str, Any]:
    try:
        address = parse_loose(payload.text("address", 320))
    except AddressError as error:
        raise EntryError("address is no address") from error
    token = payload.text("token", 24)
    if len(token) != 24 or token != token.lower():
        raise EntryError("token is none")
    return {
        "id": tokens.random_id(),
        "alias_id": payload.number("alias_id"),
        "address": address.key,
        "written": str(address),
        "name": payload.words("name", _NAME_LIMIT),
        "token": token,
        "created": payload.at(),
    }


def _event(payload: _Payload) -> dict[str, Any]:
    return {
        "id": payload.id,
        "at": payload.at(),
        "account_id": payload.number_or_none("account_id"),
        "alias_id": payload.number_or_none("alias_id"),
        "kind": payload.one_of("kind", EventKind),
        "contact": payload.words("contact", 320),
        "mailbox_id": payload.number_or_none("mailbox_id"),
        "status": payload.words("status", 11),
        "reason": payload.words("reason"),
        "queue_id": payload.words("queue_id", 64),
    }


def _bounce(payload: _Payload) -> dict[str, Any]:
    return {
        "id": payload.id,
        "at": payload.at(),
        "alias_id": payload.number("alias_id", 0),
        "contact_token": payload.text("contact_token", 16),
        "mailbox_id": payload.number("mailbox_id", 0),
        "kind": payload.one_of("kind", BounceOrigin),
        "action": payload.words("action", 32),
        "status": payload.words("status", 11),
        "reason": payload.words("reason"),
    }


def _replay(payload: _Payload) -> dict[str, Any]:
    return {
        "mark": payload.text("mark", 128),
        "reverse_token": payload.text("reverse_token", 24),
        "ledger_key": payload.text("ledger_key", 128),
        "at": payload.at(),
    }


def _mailbox_pause(payload: _Payload) -> dict[str, Any]:
    return {
        "mailbox_id": payload.number("mailbox_id"),
        "at": payload.at(),
        "reason": payload.words("reason") or "",
    }


_READERS: Mapping[str, Callable[[_Payload], dict[str, Any]]] = MappingProxyType(
    {
        "contact": _contact,
        "event": _event,
        "bounce": _bounce,
        "replay": _replay,
        "mailbox_pause": _mailbox_pause,
    }
)


def _storable(text: str) -> str:
    """Without what Postgres takes no text with: NUL, and half a surrogate pair."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
