"""Two tries of one message at once: Postfix was restarted while the forwarder was at work on the first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from directories import alias, mailbox
from engine_rig import FOREIGN, PLAIN, Played, Rig
from postmask.clock import Deadline
from postmask.reinjection.submit import Outcome as Answer
from postmask.verdict import Kind, Verdict
from postmask_transport.lmtp import Envelope

Step = Callable[[], object]


def try_once(rig: Rig, seconds: float = 25.0, content: bytes = PLAIN) -> Verdict:
    envelope = Envelope("bob@example.com", ("shop@alias.test",), smtputf8=False, body=None, client=FOREIGN)
    (verdict,) = rig.engine.message(envelope, content, Deadline.after(rig.clock, seconds))
    return verdict


def before_the_first_answer(rig: Rig, monkeypatch: pytest.MonkeyPatch, step: Step) -> None:
    """Do something while Postfix has not yet answered to the first copy."""
    steps = [step]

    def submit(*arguments: object, **how: object) -> Answer:
        if steps:
            steps.pop()()
        return Played.submit(rig.out, *arguments, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(rig.out, "submit", submit)


def test_the_second_sends_nothing_that_the_first_has_in_hand(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    second: list[Verdict] = []
    before_the_first_answer(
        rig, monkeypatch, lambda: second.extend(try_once(rig, seconds=0.0) for _ in range(2))
    )
    assert try_once(rig).kind is Kind.DELIVER
    later = (Kind.DEFER, "an earlier try is still under way")
    assert [(one.kind, one.reason) for one in second] == [later, later]
    assert len(rig.out.sent) == 1


def test_the_second_keeps_nothing_in_hand(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own copies, which the first hasn't, are sent by the next."""

    def second() -> None:
        boxes = (mailbox(), mailbox("b@real.test", id=6))
        rig.directory.aliases["shop@alias.test"] = alias(mailboxes=boxes)
        assert try_once(rig, seconds=0.0).kind is Kind.DEFER

    before_the_first_answer(rig, monkeypatch, second)
    assert try_once(rig).kind is Kind.DELIVER
    assert try_once(rig, seconds=0.0).kind is Kind.DELIVER
    assert [recipient for _, recipient, _ in rig.out.sent] == ["me@real.test", "b@real.test"]


def test_the_second_waits_for_the_first(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    at_work, go_on = threading.Event(), threading.Event()
    changed = rig.engine._courier._in_hand._changed
    wait_for = changed.wait_for

    def wait() -> None:
        at_work.set()
        go_on.wait(60)

    def wait_for_the_first(free: Callable[[], bool], seconds: float) -> bool:
        if not free():
            go_on.set()
        return wait_for(free, seconds)

    before_the_first_answer(rig, monkeypatch, wait)
    monkeypatch.setattr(changed, "wait_for", wait_for_the_first)
    with ThreadPoolExecutor(2) as tries:
        first = tries.submit(try_once, rig)
        assert at_work.wait(60)
        second = tries.submit(try_once, rig, seconds=200.0)
        assert [one.result(60).kind for one in (first, second)] == [Kind.DELIVER, Kind.DELIVER]
    assert len(rig.out.sent) == 1
    assert rig.outcomes() == ["delivered"]


def test_another_message_waits_for_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    other: list[Verdict] = []
    before_the_first_answer(rig, monkeypatch, lambda: other.append(try_once(rig, 0.0, PLAIN + b"more\r\n")))
    assert try_once(rig).kind is Kind.DELIVER
    assert [one.kind for one in other] == [Kind.DELIVER]
    assert len(rig.out.sent) == 2
