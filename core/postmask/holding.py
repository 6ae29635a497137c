"""What lies on hold and is ours: the ledger's rows and the queue's envelopes brought together. Pure.

A copy of ours carries its ledger key in the queue file. It is on hold by our doing when the ledger says
so; whatever else lies there is somebody else's affair. How a held copy ended stands in its row's reason, with
the queue ids that it had on hold.

A release or a discarding that was cut off leaves either the row as it was, marked as begun, or a finished
row whose copy is still on hold: a leftover, which is deleted and never sent again.

DIAGNOSTICS
    None.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from postmask.address import key_of
from postmask.spool import LedgerRow, Outcome

_BEGUN = "; a release was begun, it may have been sent"
_HELD_AS = re.compile(r"; (?:released|discarded|expired), was held as ([0-9A-Za-z,]+)$")
_SHARE_OF_LIFETIME = 0.4
_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a queue file on hold says of itself.

    arrived: seconds since the epoch. ident, client: as XFORWARD gave them; client: its attributes of
    whom Postfix names as the client, none where that was us.
    """

    queue_id: str
    sender: str
    recipients: tuple[str, ...]
    arrived: float
    size: int
    ident: str = ""
    smtputf8: bool = False
    client: tuple[tuple[str, str], ...] = ()


LOOP = "loop"
"""Why a copy is held that came round: by its mailbox nobody can be told of it."""


@dataclass(frozen=True, slots=True)
class Held:
    """A copy of ours on hold. queue_ids: more than one where it was put there twice by a crash.

    envelope: of the one that counts. row: what the ledger says.
    """

    envelope: Envelope
    row: LedgerRow
    queue_ids: tuple[str, ...]

    @property
    def queue_id(self) -> str:
        return self.envelope.queue_id

    @property
    def begun(self) -> bool:
        """Whether a release of it was cut off: it may have been sent."""
        return self.row.reason.endswith(_BEGUN)

    @property
    def why(self) -> str:
        """The reason of the holding alone."""
        return self.row.reason.removesuffix(_BEGUN)


@dataclass(frozen=True, slots=True)
class Holding:
    """held: in the order of their arrival. leftovers: queue ids of what has ended and is still there.

    unknown: queue ids of what carries a key of ours that the ledger doesn't have. foreign: all others.
    """

    held: tuple[Held, ...]
    leftovers: tuple[str, ...]
    unknown: tuple[str, ...]
    foreign: tuple[str, ...]

    def find(self, queue_id: str) -> Held | None:
        """The copy with this queue id."""
        return next((one for one in self.held if queue_id in one.queue_ids), None)


def keys(envelopes: Iterable[Envelope]) -> set[bytes]:
    """The ledger keys that they carry: the rows to be looked at."""
    return {bytes.fromhex(envelope.ident) for envelope in envelopes if _KEY.fullmatch(envelope.ident)}


def sort_out(rows: Iterable[LedgerRow], envelopes: Iterable[Envelope]) -> Holding:
    """Which of these queue files on hold are ours."""
    by_key: defaultdict[str, list[Envelope]] = defaultdict(list)
    for envelope in envelopes:
        by_key[envelope.ident if _KEY.fullmatch(envelope.ident) else ""].append(envelope)
    foreign = [envelope.queue_id for envelope in by_key.pop("", ())]
    held: list[Held] = []
    leftovers: list[str] = []
    for row in rows:
        found = by_key.pop(row.key.hex(), [])
        if row.outcome is Outcome.HELD and found:
            held.append(_held(row, found))
            continue
        for envelope in found:
            (leftovers if envelope.queue_id in held_as(row) else foreign).append(envelope.queue_id)
    unknown = [envelope.queue_id for found in by_key.values() for envelope in found]
    in_order = sorted(held, key=lambda one: (one.envelope.arrived, one.queue_id))
    return Holding(tuple(in_order), *(tuple(sorted(ids)) for ids in (leftovers, unknown, foreign)))


def _held(row: LedgerRow, found: Sequence[Envelope]) -> Held:
    newest = max(found, key=lambda one: (one.queue_id == row.new_queue_id, one.arrived, one.queue_id))
    return Held(newest, row, tuple(sorted(one.queue_id for one in found)))


def begin_release(held: Held) -> LedgerRow:
    """The ledger's row from the moment on when it may have been sent."""
    return replace(held.row, reason=held.why + _BEGUN)


def released(held: Held, new_queue_id: str) -> LedgerRow:
    """The row of what was sent. new_queue_id: under which Postfix has it now."""
    return _ended(held, "released", Outcome.DELIVERED, new_queue_id)


def discarded(held: Held, *, expired: bool = False) -> LedgerRow:
    """The row of what nobody gets."""
    word = "expired" if expired else "discarded"
    return _ended(held, word, Outcome.DISCARDED, held.row.new_queue_id)


def _ended(held: Held, word: str, outcome: Outcome, new_queue_id: str) -> LedgerRow:
    reason = f"{held.row.reason}; {word}, was held as {','.join(held.queue_ids)}"
    return replace(held.row, outcome=outcome, new_queue_id=new_queue_id, reason=reason)


def held_as(row: LedgerRow) -> tuple[str, ...]:
    """The queue ids that a copy had on hold before it was released or discarded; none for any other."""
    ended = row.outcome in (Outcome.DELIVERED, Outcome.DISCARDED)
    found = _HELD_AS.search(row.reason) if ended else None
    return tuple(found[1].split(",")) if found else ()


def keep_seconds(setting: float | None, lifetime: float) -> float:
    """How long held mail is kept. setting: hold.keep; lifetime: Postfix's maximal_queue_lifetime.

    Raises ValueError for a setting that isn't below half of the lifetime.
    """
    if setting is None:
        return lifetime * _SHARE_OF_LIFETIME
    if setting >= lifetime / 2:
        raise ValueError(
            f"hold.keep ({setting:.10g} s) must be shorter than half of this Postfix's "
            f"maximal_queue_lifetime ({lifetime:g} s)"
        )
    return setting


def is_for(held: Held, mailbox: str) -> bool:
    """Whether it would go to this address."""
    key = key_of(mailbox, mailbox)
    return any(key_of(recipient, recipient) == key for recipient in held.envelope.recipients)
