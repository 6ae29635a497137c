"""The story of a message: the lines that belong to it, on both sides of the forwarder.

What belongs together is found by what Postfix and the ledger say of each other: the ledger key that
re-injection logs, the new id after a re-queueing, the id of a DSN. Nothing is joined by a Message-ID or an
address, which a stranger chooses; these only say where to begin.

DIAGNOSTICS
    None. A short queue id that was used again within the period brings in the other message too; the
    times tell them apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from postmask.address import key_of
from postmask.maillog.lines import Line
from postmask.maillog.records import (
    Active,
    Delivery,
    MessageId,
    Notified,
    Received,
    Record,
    Rejected,
    parse,
    queue_id_of,
)
from postmask.spool import LedgerRow

_FIELD = re.compile(r'([a-z_0-9]+)=("(?:[^"\\]|\\.)*+"|[^\s"]*+)(?: |$)')
_RCPT_SECONDS = 60.0
"""How long before its queue file a session may have named its first recipient."""


@dataclass(frozen=True, slots=True)
class Step:
    """at: seconds since the epoch. by: who says it. queue_id: "" before there was one."""

    at: float
    by: str
    queue_id: str
    what: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where a story begins: a queue id, a Message-ID, or a recipient's or sender's address, as typed."""

    text: str

    @property
    def address(self) -> str:
        """As the ledger writes it; "" if it is none."""
        return "" if self.text.startswith("<") else key_of(self.text, "")

    def begins(self, record: Record) -> bool:
        """Whether this record is one that was asked for."""
        match record:
            case MessageId(value=value):
                return value.strip("<> ") == self.text.strip("<> ")
            case Delivery(recipient=address) | Rejected(recipient=address) | Active(sender=address) if (
                address
            ):
                return bool(self.address) and key_of(address, "") == self.address
            case _:
                return False


class Story:
    """The story of what was asked for; of the rest of log and ledger, which may be huge, nothing is kept.

    ledger, log: all of it from its beginning, at each call.
    """

    def __init__(
        self,
        wanted: Wanted,
        ledger: Callable[[], Iterable[LedgerRow]],
        log: Callable[[], Iterable[Line]],
    ) -> None:
        self._wanted = wanted
        self._ledger = ledger
        self._log = log
        self._names = {wanted.text} - {""}  # queue ids and ledger keys: can't be mistaken for each other
        self._began: dict[str, float] = {}
        self._rows: dict[str, LedgerRow] = {}
        self._queue_ids: dict[str, str] = {}

    def tell(self) -> list[Step]:
        """In the order of time; empty if nothing is known.

        Both are read until they name nothing new: a line may belong to what only a later one tells of.
        """
        while True:
            known = len(self._names) + len(self._began)
            self._ask_ledger()
            steps = [step for line in self._log() for step in self._steps(line)]
            if len(self._names) + len(self._began) == known:
                break
        steps += map(_ledger_step, self._rows.values())
        return sorted(steps, key=lambda step: int(step.at))

    def _ask_ledger(self) -> None:
        """All its rows that hang together with what was found."""
        found = -1
        while len(self._rows) > found:
            found = len(self._rows)
            for row in self._ledger():
                named = {row.key.hex(), row.queue_id, row.new_queue_id} - {""}
                if row.recipient == self._wanted.address or not self._names.isdisjoint(named):
                    self._rows[row.key.hex()] = row
                    self._names |= named
        self._queue_ids = {row.recipient: row.queue_id for row in self._rows.values()}

    def _learn(self, at: float, record: Record) -> None:
        """What it names that hangs together with what was found."""
        match record:
            case Received(queue_id=queue_id, key=key, previous=previous):
                self._join(queue_id, key)
                self._join(queue_id, previous)
                if queue_id in self._names:
                    self._began[queue_id] = at
            case Notified(queue_id=queue_id, notice=notice):
                self._join(queue_id, notice)
            case _:
                pass
        if self._wanted.begins(record) and queue_id_of(record):
            self._names.add(queue_id_of(record))

    def _join(self, one: str, other: str) -> None:
        if one and other and not self._names.isdisjoint((one, other)):
            self._names |= {one, other}

    def _steps(self, line: Line) -> Iterator[Step]:
        if not line.service:
            yield from self._of_ours(line)
            return
        record = parse(line)
        if record is None:
            return
        self._learn(line.at, record)
        queue_id = queue_id_of(record)
        if queue_id in self._names:
            by = f"{line.service}/{line.daemon}".removeprefix("postfix/")
            yield Step(line.at, by, queue_id, line.text.partition(": ")[2])
        elif isinstance(record, Rejected) and not queue_id and self._wanted.begins(record):
            yield Step(line.at, line.daemon, "", record.text)

    def _of_ours(self, line: Line) -> Iterator[Step]:
        event, _, said = line.text.partition(" ")
        fields = {match[1]: match[2].strip('"') for match in _FIELD.finditer(said)}
        queue_id = fields.get("queue_id", "")
        if event == "rcpt":
            belongs = self._is_its_rcpt(line.at, queue_id, fields.get("recipient", ""))
        else:
            belongs = queue_id in self._names or fields.get("key") in self._names
        if belongs:
            yield Step(line.at, line.daemon, queue_id, line.text)

    def _is_its_rcpt(self, at: float, queue_id: str, recipient: str) -> bool:
        """Before the first recipient there is no queue id: then the time and the recipient decide."""
        if queue_id:
            return queue_id in self._names
        if key_of(recipient, "") == self._wanted.address:
            return True
        began = self._began.get(self._queue_ids.get(key_of(recipient, ""), ""))
        return began is not None and began - _RCPT_SECONDS <= at <= began + 1


def _ledger_step(row: LedgerRow) -> Step:
    copy = f" as {row.new_queue_id}" if row.new_queue_id else ""
    why = f" ({row.reason})" if row.reason else ""
    return Step(row.at, "ledger", row.queue_id, f"{row.recipient}: {row.outcome.value}{copy}{why}")
