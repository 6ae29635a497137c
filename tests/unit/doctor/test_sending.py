"""The way of a message: a fault for every stage, each found alone, and silence all the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from postmask.doctor.finding import Code
from postmask.doctor.sending import codes
from postmask.doctor.sending.journey import Arrival, Handed, Probe, Step, travel
from postmask.maillog.reckoning import Queued
from postmask.spool import LedgerRow, Outcome

PROBE = Probe("doctor@a.test", "nobody@a.test", "doctor+stranger@a.test", "bob@stranger.test")
ROW = LedgerRow(b"key", PROBE.recipient, "4ABCDEF", Outcome.DELIVERED, new_queue_id="4ABCDE0")
REFUSED = Handed(Step.RECIPIENT, "550 5.1.1 no such address here")
TAKEN = Handed(Step.CONTENT, "250 2.0.0 Ok: queued as 4ABCDEF")
BLOCKED = Handed(Step.CONTENT, "550 5.7.1 sender refused")
THERE = Arrival(there=True)


def waiting(name: str, reason: str = "") -> Queued:
    return Queued("4ABCDEF", name, (PROBE.recipient,), reason=reason)


@dataclass(frozen=True)
class Played:
    """All goes well, but for what is said otherwise. rests: how often one may wait."""

    unknown: Handed = REFUSED
    handed: Handed = TAKEN
    guarded: Handed = BLOCKED
    ledger: Sequence[LedgerRow] = (ROW,)
    in_queue: Queued | None = None
    end: Arrival = THERE
    rests: list[int] = field(default_factory=lambda: [3])

    def asked(self, recipient: str) -> Handed:
        assert recipient == PROBE.unknown
        return self.unknown

    def hand_in(self, recipient: str, author: str = "") -> Handed:
        return self.guarded if author else self.handed

    def rows(self) -> Sequence[LedgerRow]:
        return self.ledger

    def queued(self) -> Queued | None:
        return self.in_queue

    def arrival(self, row: LedgerRow) -> Arrival:
        return self.end

    def wait(self) -> bool:
        self.rests[0] -= 1
        return self.rests[0] > 0


CASES: list[tuple[Code, Played, str]] = [
    (codes.SILENT, Played(unknown=Handed(Step.CONNECTED, "unreachable (Connection refused)")), "unreachable"),
    (codes.SILENT, Played(handed=Handed(Step.CONNECTED, "hung up")), "hung up"),
    (codes.GATE_OPEN, Played(unknown=Handed(Step.RECIPIENT, "250 2.1.5 Ok")), "nobody@a.test"),
    (codes.GATE_UNABLE, Played(unknown=Handed(Step.RECIPIENT, "451 4.3.0 try again later")), "451 4.3.0"),
    (codes.RECIPIENT_REFUSED, Played(handed=REFUSED), "550 5.1.1"),
    (codes.CONTENT_REFUSED, Played(handed=BLOCKED), "550 5.7.1"),
    (codes.UNEXAMINED, Played(guarded=TAKEN), "bob@stranger.test"),
    (codes.AT_THE_DOOR, Played(ledger=(), in_queue=waiting("deferred", "no forwarder")), "no forwarder"),
    (codes.AT_THE_DOOR, Played(ledger=(), in_queue=waiting("active")), "not tried yet"),
    (codes.AT_THE_DOOR, Played(ledger=(), in_queue=waiting("hold")), "(hold)"),
    (codes.LOST_SIGHT, Played(ledger=()), "neither"),
    (codes.NOT_FORWARDED, Played(ledger=[replace(ROW, outcome=Outcome.HELD, reason="spam")]), "held: spam"),
    (codes.NOT_REINJECTED, Played(ledger=[replace(ROW, outcome=Outcome.PENDING, reason="451")]), "451"),
    (codes.NOT_ARRIVED, Played(end=Arrival(trouble="450 busy\x1b[2J")), "4ABCDE0: 450 busy?[2J"),
    (codes.NOT_ARRIVED, Played(end=Arrival()), "still on its way"),
    (codes.UNSEEN, Played(end=Arrival(unseen=True)), "4ABCDE0"),
]


@pytest.mark.parametrize(("code", "played", "says"), CASES)
def test_each_fault_is_found_alone(code: Code, played: Played, says: str) -> None:
    (finding,) = travel(PROBE, played)
    assert finding.code is code
    assert says in finding.what


def test_silent_all_the_way() -> None:
    assert list(travel(PROBE, Played())) == []
    assert list(travel(replace(PROBE, guarded=""), Played(guarded=TAKEN))) == []


def test_every_stage_has_a_fault_here() -> None:
    elsewhere = {codes.NOT_BEGUN, codes.LEFT_BEHIND}  # tests/unit/cli/test_doctor_send.py
    assert {code for code, _, _ in CASES} | elsewhere == set(codes.CODES)


def test_who_is_asked_to_come_again_comes_again() -> None:
    busy = Handed(Step.RECIPIENT, "451 4.3.0 try again later")

    class Busy(Played):
        def asked(self, recipient: str) -> Handed:
            return busy if self.rests[0] == 3 else super().asked(recipient)

        def hand_in(self, recipient: str, author: str = "") -> Handed:
            return busy if self.rests[0] == 2 and not author else super().hand_in(recipient, author)

    played = Busy()
    assert list(travel(PROBE, played)) == []
    assert played.rests == [1]


def test_a_scan_milter_that_was_busy_once_is_asked_again() -> None:
    answers = [TAKEN, BLOCKED]

    class Busy(Played):
        def hand_in(self, recipient: str, author: str = "") -> Handed:
            return answers.pop(0) if author else super().hand_in(recipient)

    assert list(travel(PROBE, Busy())) == []


def test_each_mailbox_has_a_copy_of_its_own() -> None:
    rows = [ROW, replace(ROW, key=b"other", outcome=Outcome.HELD, reason="mailbox paused")]
    (finding,) = travel(PROBE, Played(ledger=rows))
    assert finding.code is codes.NOT_FORWARDED
