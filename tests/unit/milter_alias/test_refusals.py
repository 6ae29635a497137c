"""Refusals are recorded behind the answer's back."""

import logging
import threading
import time

import pytest

import directories
from postmask.alias.rcpt import UNKNOWN, of_alias
from postmask.directory.records import AliasState, MailboxState, WhenDisabled
from postmask.verdict import Verdict, reject, unavailable
from postmask_milter.refusals import RefusalQueue, concerns_known_alias

DISABLED = reject("5.2.1", "this address is disabled", "alias disabled")


class Kept:
    """A recorder that can be held up, and stumbles over some."""

    def __init__(self) -> None:
        self.refusals: list[tuple[Verdict, str, str, str]] = []
        self.go_on = threading.Event()
        self.begun = threading.Event()
        self.go_on.set()

    def refused(self, verdict: Verdict, recipient: str, sender: str, queue_id: str) -> None:
        self.begun.set()
        self.go_on.wait(30)
        if recipient == "bad":
            raise OSError("no space left on device")
        self.refusals.append((verdict, recipient, sender, queue_id))


def test_what_is_queued_is_recorded_before_the_end() -> None:
    kept = Kept()
    refusals = RefusalQueue(kept)
    refusals.start()
    for number in range(50):
        refusals.refused(DISABLED, f"r{number}", "s", "Q1")
    assert refusals.close(30)
    assert kept.refusals == [(DISABLED, f"r{number}", "s", "Q1") for number in range(50)]


def test_a_recorder_that_raises_loses_one_record(caplog: pytest.LogCaptureFixture) -> None:
    kept = Kept()
    refusals = RefusalQueue(kept)
    refusals.start()
    refusals.refused(DISABLED, "bad", "s", "Q1")
    refusals.refused(DISABLED, "good", "s", "Q1")
    assert refusals.close(30)
    assert [recipient for _, recipient, *_ in kept.refusals] == ["good"]
    assert "could not be recorded" in caplog.text


def test_a_stuck_recorder_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    kept = Kept()
    kept.go_on.clear()
    refusals = RefusalQueue(kept, size=2)
    refusals.start()
    refusals.refused(DISABLED, "r0", "s", "Q1")
    assert kept.begun.wait(30)
    for number in range(1, 10):
        refusals.refused(DISABLED, f"r{number}", "s", "Q1")
    assert not refusals.close(0.01)
    kept.go_on.set()
    with caplog.at_level(logging.WARNING):
        assert refusals.close(30)
    assert [recipient for _, recipient, *_ in kept.refusals] == ["r0", "r1", "r2"]
    assert "7 refusals were not recorded" in caplog.text


def test_a_stuck_recorder_is_waited_for_as_long_as_was_said_and_no_longer() -> None:
    kept = Kept()
    kept.go_on.clear()
    refusals = RefusalQueue(kept, size=1)
    refusals.start()
    refusals.refused(DISABLED, "r0", "s", "Q1")
    assert kept.begun.wait(30)
    refusals.refused(DISABLED, "r1", "s", "Q1")
    threading.Timer(1.5, refusals._queue.get).start()  # There is room for the end, with half a second left.
    began = time.monotonic()
    assert not refusals.close(2.0)
    assert time.monotonic() - began < 3.0
    kept.go_on.set()


@pytest.mark.parametrize("answer", [WhenDisabled.REJECT, WhenDisabled.UNKNOWN, WhenDisabled.DEFER])
def test_a_disabled_alias_is_worth_an_event_whatever_it_answers(answer: WhenDisabled) -> None:
    assert concerns_known_alias(of_alias(directories.alias(state=AliasState.DISABLED, when_disabled=answer)))


def test_a_paused_mailbox_and_a_blocked_sender_are_worth_an_event() -> None:
    paused = directories.alias(mailboxes=(directories.mailbox(state=MailboxState.PAUSED),))
    assert concerns_known_alias(of_alias(paused))
    assert concerns_known_alias(reject("5.7.1", "sender refused", "sender blocked by rule"))


def test_unknown_addresses_and_our_own_trouble_are_not() -> None:
    kept = Kept()
    refusals = RefusalQueue(kept)
    refusals.start()
    for verdict in (UNKNOWN, unavailable("database"), reject("5.1.2", "no mail for this subdomain")):
        refusals.refused(verdict, "nosuch@alias.example", "s", "Q1")
    assert refusals.close(30)
    assert kept.refusals == []
