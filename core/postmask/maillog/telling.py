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
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from postmask.address import key_of
from postmask.maillog.lines import Line
from postmask.maillog.records import (
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
    """Where a story begins: a queue id, an alias or a Message-ID, as somebody typed it."""

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
            case Delivery(recipient=recipient) | Rejected(recipient=recipient) if recipient:
                return bool(self.address) and key_of(recipient, "") == self.address
            case _:
                return False


class Story:
    """Is shown the whole log twice: look() finds out what belongs to it, tell() picks that out."""

    def __init__(self, wanted: Wanted, rows: Sequence[LedgerRow]) -> None:
        self._wanted = wanted
        self._rows = rows
        self._ids = {wanted.text}
        self._keys: set[str] = set()
        self._joined: defaultdict[str, set[str]] = defaultdict(set)
        self._began: dict[str, float] = {}
        for row in rows:
            key = row.key.hex()
            self._join(row.queue_id, key)
            self._join(row.new_queue_id, key)
            if row.recipient == wanted.address:
                self._keys.add(key)

    def look(self, lines: Iterable[Line]) -> None:
        """Read the log for the first time."""
        for line in lines:
            record = parse(line) if line.service else None
            match record:
                case None:
                    continue
                case Received(queue_id=queue_id, key=key, previous=previous):
                    self._join(queue_id, key)
                    self._join(queue_id, previous)
                    self._began[queue_id] = line.at
                case Notified(queue_id=queue_id, notice=notice):
                    self._join(queue_id, notice)
            if self._wanted.begins(record) and queue_id_of(record):
                self._ids.add(queue_id_of(record))
        self._follow()

    def tell(self, lines: Iterable[Line]) -> list[Step]:
        """Read it again: the story in the order of time; empty if nothing is known."""
        steps = [step for line in lines for step in self._steps(line)]
        steps += [_ledger_step(row) for row in self._rows if row.key.hex() in self._keys]
        return sorted(steps, key=lambda step: int(step.at))

    def _join(self, one: str, other: str) -> None:
        if one and other:
            self._joined[one].add(other)
            self._joined[other].add(one)

    def _follow(self) -> None:
        """All that hangs together with what was found. Ids and keys can't be mistaken for each other."""
        reached: set[str] = set()
        ahead = self._ids | self._keys
        while ahead:
            reached |= ahead
            ahead = {neighbour for name in ahead for neighbour in self._joined[name]} - reached
        self._ids = {name for name in reached if len(name) < _KEY_LENGTH}
        self._keys = reached - self._ids

    def _steps(self, line: Line) -> Iterator[Step]:
        if not line.service:
            yield from self._of_ours(line)
            return
        record = parse(line)
        queue_id = queue_id_of(record) if record else ""
        if queue_id and queue_id in self._ids:
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
            belongs = (queue_id and queue_id in self._ids) or fields.get("key") in self._keys
        if belongs:
            yield Step(line.at, line.daemon, queue_id, line.text)

    def _is_its_rcpt(self, at: float, queue_id: str, recipient: str) -> bool:
        """Before the first recipient there is no queue id: then the time and the recipient decide."""
        if queue_id:
            return queue_id in self._ids
        if key_of(recipient, "") == self._wanted.address:
            return True
        named = {row.recipient: row.queue_id for row in self._rows if row.key.hex() in self._keys}
        began = self._began.get(named.get(key_of(recipient, ""), ""))
        return began is not None and began - _RCPT_SECONDS <= at <= began + 1


_KEY_LENGTH = 64


def _ledger_step(row: LedgerRow) -> Step:
    copy = f" as {row.new_queue_id}" if row.new_queue_id else ""
    why = f" ({row.reason})" if row.reason else ""
    return Step(row.at, "ledger", row.queue_id, f"{row.recipient}: {row.outcome.value}{copy}{why}")
