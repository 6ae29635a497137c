"""The way of a message through all of it: gate, milters, queue, forwarder, re-injection, the other end.

It ends at the first stage that isn't passed. What is asked to come again comes again while there is time, and
what the scan milter should have refused is tried a few times: a busy host isn't a broken one. Who looks at
Postfix, the ledger and the clock is handed in.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from postmask.doctor.finding import Finding
from postmask.doctor.inquiry import shown
from postmask.doctor.sending import codes
from postmask.maillog.reckoning import Queued
from postmask.spool import LedgerRow, Outcome

_CODE = re.compile(r"([245])\d\d(?:[ -]|$)")
_TRIES = 3


class Step(enum.StrEnum):
    """How far a message came at the front door."""

    CONNECTED = "connection"
    RECIPIENT = "recipient"
    CONTENT = "content"


@dataclass(frozen=True, slots=True)
class Handed:
    """A message at the front door. answer: the last that was said, to this step."""

    step: Step
    answer: str

    @property
    def taken(self) -> bool:
        """Whether all of it was."""
        return self.step is Step.CONTENT and _kind(self.answer) == "2"


@dataclass(frozen=True, slots=True)
class Probe:
    """recipient: whom the message is for. unknown: nobody's address in the same domain. guarded: an address
    at which a message by `stranger` is refused once it is there, "" where that isn't tried."""

    recipient: str
    unknown: str
    guarded: str = ""
    stranger: str = ""


@dataclass(frozen=True, slots=True)
class Arrival:
    """Where a copy is. there: at the other end. trouble: what keeps it. unseen: it has left."""

    there: bool = False
    trouble: str = ""
    unseen: bool = False

    @property
    def known(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.there or self.unseen or bool(self.trouble)


class Passage(Protocol):
    """What is asked on the way. wait: rests a moment; False when there is no time left."""

    def asked(self, recipient: str) -> Handed: ...

    def hand_in(self, recipient: str, author: str = "") -> Handed: ...

    def rows(self) -> Sequence[LedgerRow]: ...

    def queued(self) -> Queued | None: ...

    def arrival(self, row: LedgerRow) -> Arrival: ...

    def wait(self) -> bool: ...


def travel(probe: Probe, passage: Passage) -> Iterator[Finding]:
    """What went wrong on the way."""
    said = _answered(lambda: passage.asked(probe.unknown), passage)
    match _kind(said.answer):
        case "2":
            yield codes.GATE_OPEN.at("gate", f"{probe.unknown} is answered {shown(said.answer)}")
        case "4":
            yield codes.GATE_UNABLE.at("gate", f"{probe.unknown} is answered {shown(said.answer)}")
            return
        case "":
            yield codes.SILENT.at("listener", shown(said.answer))
            return
    handed = _answered(lambda: passage.hand_in(probe.recipient), passage)
    if not handed.taken:
        yield _refusal(handed)
        return
    if probe.guarded and all(passage.hand_in(probe.guarded, probe.stranger).taken for _ in range(_TRIES)):
        yield codes.UNEXAMINED.at("scan", f"a message by {probe.stranger}, who is blocked, was accepted")
    rows = _decided(passage)
    if not rows:
        yield _unforwarded(passage)
    for row in rows:
        yield from _onward(row, passage)


def _answered(ask: Callable[[], Handed], passage: Passage) -> Handed:
    """The first answer that isn't to come again later, or the last."""
    said = ask()
    while _kind(said.answer) == "4" and passage.wait():
        said = ask()
    return said


def _refusal(handed: Handed) -> Finding:
    code = {
        Step.CONNECTED: codes.SILENT,
        Step.RECIPIENT: codes.RECIPIENT_REFUSED,
        Step.CONTENT: codes.CONTENT_REFUSED,
    }[handed.step]
    return code.at("listener", shown(handed.answer))


def _decided(passage: Passage) -> Sequence[LedgerRow]:
    """The copies, once each has its outcome, or there is no use in waiting."""
    while True:
        rows = passage.rows()
        if is_decided(rows):
            return rows
        if is_stuck(passage.queued()) or not passage.wait():
            return passage.rows()


def is_decided(rows: Sequence[LedgerRow]) -> bool:
    """Whether the forwarder is done with a message."""
    return bool(rows) and not any(row.outcome is Outcome.PENDING for row in rows)


def is_stuck(message: Queued | None) -> bool:
    """Whether it lies in the queue and will lie there for a while."""
    return message is not None and (message.name == "hold" or bool(message.reason))


def _unforwarded(passage: Passage) -> Finding:
    message = passage.queued()
    if message is None:
        return codes.LOST_SIGHT.at("queue")
    what = f"{message.queue_id} is in the queue ({message.name}): {shown(message.reason) or 'not tried yet'}"
    return codes.AT_THE_DOOR.at("forwarder", what)


def _onward(row: LedgerRow, passage: Passage) -> Iterator[Finding]:
    if row.outcome is Outcome.PENDING:
        yield codes.NOT_REINJECTED.at("re-injection", shown(row.reason) or "it isn't answered")
        return
    if row.outcome is not Outcome.DELIVERED:
        yield codes.NOT_FORWARDED.at("forwarder", f"{row.outcome.value}: {shown(row.reason)}")
        return
    arrival = passage.arrival(row)
    while not arrival.known and passage.wait():
        arrival = passage.arrival(row)
    if arrival.unseen:
        yield codes.UNSEEN.at("log", f"Postfix had it as {row.new_queue_id}")
    elif not arrival.there:
        what = shown(arrival.trouble) or "it is still on its way"
        yield codes.NOT_ARRIVED.at("other end", f"{row.new_queue_id}: {what}")


def _kind(answer: str) -> str:
    """The class of an SMTP answer: 2, 4 or 5; "" for what is none."""
    found = _CODE.match(answer)
    return found[1] if found else ""
