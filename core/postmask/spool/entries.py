"""What lies in the spool, as plain values."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from postmask.clock import DAY

LEDGER_KEPT = 6 * DAY
"""Seconds; longer than Postfix keeps trying (maximal_queue_lifetime, 5 days), by a day."""

NOTICE_WAIT = 3_600.0
"""Seconds; the longest wait between two tries of a notice."""

Json: TypeAlias = str | int | float | bool | None


class SpoolError(Exception):
    """The spool can't be read or written: disk full, read-only, damaged. Mail waits."""


class ReplayUsedError(Exception):
    """The signature that proves this reply was used by another message before."""


class Outcome(enum.StrEnum):
    """What became of one copy: the ledger's last word. PENDING: not known to be sent."""

    PENDING = "pending"
    DELIVERED = "delivered"
    HELD = "held"
    DISCARDED = "discarded"
    RECORDED = "recorded"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to be taken to the truth. id: UUID in hex, which makes applying it twice harmless."""

    id: str
    kind: str
    payload: Mapping[str, Json]

    @classmethod
    def new(cls, kind: str, /, **payload: Json) -> Entry:
        """An entry with an id of its own."""
        return cls(uuid.uuid4().hex, kind, payload)


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One copy of one message on its way. key: SHA-256 of message digest, recipient and mailbox."""

    key: bytes
    recipient: str
    queue_id: str
    outcome: Outcome = Outcome.PENDING
    alias_id: int = 0
    mailbox_id: int = 0
    new_queue_id: str = ""
    reason: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class LocalContact:
    """A contact that was first met on this node and may not be known to the truth yet.

    address: its key; written: as it wrote it, for delivery.
    """

    token: str
    alias_id: int
    address: str
    name: str | None
    written: str

    def entry(self, at: float) -> Entry:
        """What the truth is told of it."""
        told: dict[str, Json] = {"alias_id": self.alias_id, "address": self.written}
        return Entry.new("contact", **told, name=self.name, token=self.token, at=at)


@dataclass(frozen=True, slots=True)
class ReplayMark:
    """A used proof: which signature on which reverse alias, and by which message."""

    mark: str
    ledger_key: bytes
    reverse_token: str


@dataclass(frozen=True, slots=True)
class Notice:
    """A small message of ours that waits to be sent. sender: an address of ours, for its From."""

    sender: str
    recipient: str
    kind: str
    subject: str
    text: str
    id: int = 0
    tries: int = 0


News: TypeAlias = Entry | Notice
"""What somebody is told of an outcome: the truth by an entry, a person by a notice."""
