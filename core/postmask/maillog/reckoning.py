"""Every message that Postfix accepted for us, and what became of it: log, ledger and queue together.

What is counted is a share: one copy for one mailbox or contact, or a recipient for whom no copy was made.
Each share has exactly one outcome. A share without one is unaccounted for, and the sum doesn't close.

DIAGNOSTICS
    None: what can't be told is an Unaccounted, with the queue id and the reason.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from postmask.address import key_of
from postmask.holding import held_as
from postmask.maillog.records import Delivery, at_our_door
from postmask.maillog.tracking import Message, Tracker
from postmask.spool import LedgerRow, Outcome


class Fate(enum.StrEnum):
    """What became of a share.

    DELIVERED: the next server has it. BOUNCED: it refused, and the DSN came home. HELD: in the hold
    queue. WAITING: in the queue. DISCARDED, RECORDED, REFUSED: the ledger's word. RETURNED: Postfix sent
    it back. DELETED: by hand.
    """

    DELIVERED = "delivered"
    BOUNCED = "bounced"
    HELD = "held"
    WAITING = "waiting"
    DISCARDED = "discarded"
    RECORDED = "recorded"
    REFUSED = "refused"
    RETURNED = "returned"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Queued:
    """A message that lies in Postfix's queue.

    name: of the queue: hold, deferred, active, incoming. arrived: seconds since the epoch. reason: why it
    was put off, "" if it wasn't.
    """

    queue_id: str
    name: str
    recipients: tuple[str, ...]
    sender: str = ""
    arrived: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Unaccounted:
    """recipient: "" where not even that is known."""

    queue_id: str
    recipient: str
    why: str


@dataclass(frozen=True, slots=True)
class Duplicate:
    """One share that went out more than once. copies: the queue ids."""

    queue_id: str
    recipient: str
    copies: tuple[str, ...]
    cause: str


OURS = "the copy was sent again: its first 250 never came into the ledger (a kill or a cut in between)"
KEPT = "Postfix kept a copy to which it had answered 451: its cleanup was cut off with the message queued"
POSTFIXS = "Postfix delivered the same copy again: its delivery agent or its queue manager was cut off"


@dataclass(slots=True)
class Reckoning:
    """messages: accepted in the period for recipients of ours. fates: how many shares each."""

    messages: int = 0
    fates: Counter[Fate] = field(default_factory=Counter)
    duplicates: list[Duplicate] = field(default_factory=list)
    unaccounted: list[Unaccounted] = field(default_factory=list)

    @property
    def closes(self) -> bool:
        """Whether every share has its outcome."""
        return not self.unaccounted


@dataclass(frozen=True, slots=True)
class Period:
    """since: what began before isn't looked at. until: nor what began later. looked: when the queue was
    looked at; what began after that and hasn't ended is under way."""

    since: float
    until: float
    looked: float


_SLACK = 2.0
"""Seconds by which a line's time, cut to the second, may lie before what it tells of."""

_BEHIND = 60.0
"""Seconds by which a log may be behind the ledger."""


class Reckoner:
    """Holds a log against the ledger and the queue.

    rows: the whole ledger, which may be huge; kept is what the log's messages of the period need. is_ours:
    whether an address is in a domain of ours.
    """

    def __init__(
        self,
        tracker: Tracker,
        rows: Iterable[LedgerRow],
        queue: Mapping[str, Queued],
        period: Period,
        is_ours: Callable[[str], bool],
    ) -> None:
        self._tracker = tracker
        self._queue = queue
        self._period = period
        self._is_ours = is_ours
        self._rows: dict[str, list[LedgerRow]] = {}
        self._unknown = {key for key in tracker.copies if len(key) == _KEY_LENGTH}
        self._unlogged: list[LedgerRow] = []
        self._logged = {message.queue_id for message in tracker.messages}
        self._ends = max(tracker.ends or 0.0, period.since)
        self._result = Reckoning()
        for row in rows:
            self._sort(row)

    def _sort(self, row: LedgerRow) -> None:
        """Keep a row of the ledger, if anything is to be found out by it."""
        self._unknown.discard(row.key.hex())
        if row.at >= self._period.since - _SLACK and row.queue_id in self._logged:
            self._rows.setdefault(row.queue_id, []).append(row)
        # A log daemon that stopped, or another's log.
        if self._ends + _BEHIND < row.at < self._period.until:
            self._unlogged.append(row)

    def run(self) -> Reckoning:
        """The sum."""
        for message in self._tracker.messages:
            if not message.key and not message.previous and self._is_in(message):
                self._message(message)
        for key, copies in self._tracker.copies.items():
            if key in self._unknown and self._is_in(copies[0]):
                self._lost(copies[0].queue_id, "", "a copy of ours that the ledger doesn't know")
        for row in self._unlogged:
            self._lost(row.queue_id, row.recipient, "the ledger knows it, but the log ends before")
        return self._result

    def _is_in(self, message: Message) -> bool:
        return message.began is not None and self._period.since <= message.began < self._period.until

    def _message(self, head: Message) -> None:
        *_, newest = head.chain
        ids = [message.queue_id for message in head.chain]
        if any(message.unreadable for message in head.chain):
            self._lost(ids[-1], "", "a line of the log about it can't be read")
        tried = {address: last for message in head.chain for address, last in message.last.items()}
        queued = self._queue.get(newest.queue_id)
        known = {a: last for a, last in tried.items() if at_our_door(last) or self._waits(last)}
        waiting = {a for a in queued.recipients if self._is_ours(a)} - known.keys() if queued else set()
        rows = [row for queue_id in ids for row in self._rows_of(queue_id, head)]
        if not known and not waiting:
            self._nothing_known(newest, rows, bool(queued or tried))
            return
        self._result.messages += 1
        for address, last in known.items():
            key = key_of(address, address.lower())
            self._recipient(newest, address, last, [row for row in rows if row.recipient == key])
        self._result.fates[Fate.WAITING] += len(waiting)

    def _nothing_known(self, message: Message, rows: Sequence[LedgerRow], elsewhere: bool) -> None:
        """The log tells of no attempt for a recipient of ours; where it was cut off, the ledger may.

        elsewhere: it is in the queue, or was for others alone.
        """
        if elsewhere or not message.accepted or self._is_fresh(message):
            return
        if rows and all(row.outcome is not Outcome.PENDING for row in rows):
            self._result.messages += 1
            for row in rows:
                self._copy(message.queue_id, row.recipient, row)
        elif message.ended is None:
            self._lost(message.queue_id, "", self._gone())

    def _recipient(self, message: Message, address: str, last: Delivery, rows: list[LedgerRow]) -> None:
        done = [row for row in rows if row.outcome is not Outcome.PENDING or self._copies(row)]
        for row in done:
            self._copy(message.queue_id, address, row)
        match last.status:
            case "sent" if not rows:
                self._lost(message.queue_id, address, "handed over, but the ledger has no row of it")
            case "sent" if len(done) < len(rows):
                self._lost(message.queue_id, address, "handed over, but a copy is pending in the ledger")
            case "bounced" if not any(row.outcome is Outcome.REFUSED for row in rows):
                self._result.fates[Fate.RETURNED] += 1
            case "deferred" if not rows or len(done) < len(rows):
                self._undelivered(message, address, len(rows) - len(done) or 1)
            case _:
                pass

    def _undelivered(self, message: Message, address: str, shares: int) -> None:
        """The last attempt was put off."""
        queued = self._queue.get(message.queue_id)
        if message.expired:
            fate = Fate.RETURNED
        elif message.removed_by == "postsuper":
            fate = Fate.DELETED
        elif queued:
            fate = Fate.HELD if queued.name == "hold" else Fate.WAITING
        elif self._is_fresh(message):
            fate = Fate.WAITING
        else:
            self._lost(message.queue_id, address, self._gone())
            return
        self._result.fates[fate] += shares

    def _copy(self, queue_id: str, address: str, row: LedgerRow) -> None:
        """One row of the ledger: what it says, or what became of the copy."""
        if row.outcome.value in _ENDS:
            self._result.fates[Fate(row.outcome.value)] += 1
            return
        copies = self._copies(row)
        if not copies:
            self._lost(queue_id, address, f"its copy {row.new_queue_id} is nowhere to be found")
            return
        if len(copies) > 1:
            names = tuple(copy.queue_id for copy in copies)
            cause = KEPT if _CUT_OFF in row.reason else OURS
            self._result.duplicates.append(Duplicate(queue_id, address, names, cause))
        again = [copy.queue_id for copy in copies if any(count > 1 for count in _sent(copy).values())]
        if again:
            self._result.duplicates.append(Duplicate(queue_id, address, tuple(again), POSTFIXS))
        chosen = next((copy for copy in copies if copy.queue_id == row.new_queue_id), copies[-1])
        fate = self._fate(chosen)
        if isinstance(fate, Fate):
            self._result.fates[fate] += 1
        else:
            self._lost(queue_id, address, f"its copy {chosen.queue_id}: {fate}")

    def _copies(self, row: LedgerRow) -> list[Message]:
        """The copies that Postfix surely took; what was broken off before the final dot is none.

        Nor is what a copy was on hold, before it was released as another.
        """
        before = held_as(row)
        return [
            copy
            for copy in self._tracker.copies.get(row.key.hex(), ())
            if copy.queue_id not in before
            and (
                copy.queue_id == row.new_queue_id
                or any(message.accepted or message.queue_id in self._queue for message in copy.chain)
            )
        ]

    def _fate(self, copy: Message) -> Fate | str:
        """What became of a copy, or why nobody can say."""
        *_, newest = copy.chain
        attempts = [last.status for message in copy.chain for last in message.last.values()]
        final = {address: last.status for message in copy.chain for address, last in message.last.items()}
        queued = self._queue.get(newest.queue_id)
        if newest.removed_by == "postsuper":
            return Fate.DELETED
        if newest.expired:
            return Fate.RETURNED
        if "bounced" in final.values():
            return Fate.BOUNCED
        delivered = set(final.values()) == {"sent"}
        if delivered and newest.ended is not None:
            return Fate.DELIVERED
        if queued:
            return Fate.HELD if queued.name == "hold" else Fate.WAITING
        if self._is_fresh(newest):
            return Fate.WAITING
        if delivered and len(final) >= newest.recipients:
            return Fate.DELIVERED  # the queue manager was killed before it could say "removed"
        return self._gone() if not attempts or newest.ended is None else "it ended without an answer"

    def _rows_of(self, queue_id: str, head: Message) -> Iterator[LedgerRow]:
        """The ledger's rows for this message, not those of an earlier one with the same queue id."""
        began = head.began or 0.0
        return (row for row in self._rows.get(queue_id, ()) if row.at >= began - _SLACK)

    def _waits(self, last: Delivery) -> bool:
        """An attempt for a recipient of ours that didn't even reach one of our transports."""
        return last.status != "sent" and self._is_ours(last.recipient)

    def _is_fresh(self, message: Message) -> bool:
        """Whether it began when the queue had been looked at already."""
        return message.began is not None and message.began >= self._period.looked - _SLACK

    def _lost(self, queue_id: str, address: str, why: str) -> None:
        self._result.unaccounted.append(Unaccounted(queue_id, address, why))

    def _gone(self) -> str:
        if self._tracker.deleted:
            return f"it is gone; postsuper deleted {self._tracker.deleted} messages without naming them"
        return "it is gone from the queue, and the log doesn't say how"


_ENDS = frozenset({Outcome.DISCARDED.value, Outcome.RECORDED.value, Outcome.REFUSED.value})
_KEY_LENGTH = 64
_CUT_OFF = "sent again after re-injection: 451 4.3.0 "
"""In the ledger, of a copy for which smtpd had no word from its cleanup."""


def _sent(copy: Message) -> Counter[str]:
    """How often each recipient of a copy was delivered to, re-queued or not."""
    counts: Counter[str] = Counter()
    for message in copy.chain:
        counts.update(message.sent)
    return counts
