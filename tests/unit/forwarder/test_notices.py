"""The thread that sends notices: one that can't be sent keeps no other waiting."""

from __future__ import annotations

import threading

import pytest

from engine_rig import KEYS, Rig
from postmask.clock import day_of
from postmask.directory.lookup import Unavailable
from postmask.reinjection.submit import Outcome, Refused, Submitted
from postmask.spool import NOTICE_WAIT, Notice, SpoolError
from postmask.tokens import BounceValid, read
from postmask_transport.notices import NoticeSender
from postmask_transport.signing import DomainSigner


class Choosy:
    """A re-injection to which one recipient is the caller's fault."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.done = threading.Event()

    def submit(self, _sender: str, recipients: list[str], _data: bytes, **_how: object) -> Outcome:
        if "\x01" in recipients[0]:
            raise ValueError(f"{recipients[0]} can't be in a command")
        self.sent.append(recipients[0])
        self.done.set()
        return Submitted("Q")


def sending(rig: Rig, out: Choosy | Played) -> NoticeSender:
    return NoticeSender(
        spool=rig.spool,
        reinject=out,  # type: ignore[arg-type]  played
        keys=KEYS,
        clock=rig.clock,
        directory=rig.directory,
        signer=DomainSigner(rig.directory, KEYS, rig.clock),
        interval=0.01,
    )


def test_a_notice_that_cannot_be_sent_keeps_no_other_waiting(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """Whom a bounce is told to is a stranger's choice: by his envelope sender."""
    out = Choosy()
    for address in ("odd\x01@example.com", "me@real.test"):
        rig.spool.put([Notice("postmask@alias.test", address, "bounce", "Undelivered", "text")])
    sender = sending(rig, out)
    sender.start()
    assert out.done.wait(30.0)
    sender.stop()
    assert out.sent == ["me@real.test"]
    assert rig.spool.due_notices(9) == []
    assert any("ValueError at test_notices.py:" in record.getMessage() for record in caplog.records)
    assert "example.com" not in caplog.text, "a log names no mailbox"
    rig.clock.advance(NOTICE_WAIT)
    (again,) = rig.spool.due_notices(9)
    assert again.tries == 1


def test_what_could_not_be_recorded_is_at_the_end(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    out = Choosy()
    rig.spool.put([Notice("postmask@alias.test", "me@real.test", "code", "Your code", "text")])
    sender = sending(rig, out)

    def full(ident: int) -> None:
        monkeypatch.undo()
        sender._stop.set()
        raise SpoolError("database or disk is full")

    monkeypatch.setattr(rig.spool, "notice_sent", full)
    sender.start()
    assert out.done.wait(30.0)
    sender.stop()
    assert rig.spool.due_notices(9) == []


def test_what_postfix_took_is_not_sent_again_while_the_spool_cannot_be_written(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk must not become a stream of codes to somebody's mailbox."""
    out = Choosy()
    for address in ("me@real.test", "you@real.test"):
        rig.spool.put([Notice("postmask@alias.test", address, "code", "Your code", "text")])
    sender = sending(rig, out)
    refused: list[int] = []
    tried_again, recorded = threading.Event(), threading.Event()
    record = rig.spool.notice_sent

    def full(ident: int) -> None:
        refused.append(ident)
        if len(refused) == 3:
            tried_again.set()
        raise SpoolError("database or disk is full")

    def room(ident: int) -> None:
        record(ident)
        if not rig.spool.due_notices(9):
            recorded.set()

    monkeypatch.setattr(rig.spool, "notice_sent", full)
    sender.start()
    assert tried_again.wait(30.0)
    assert out.sent == ["me@real.test"]
    monkeypatch.setattr(rig.spool, "notice_sent", room)
    assert recorded.wait(30.0)
    sender.stop()
    assert out.sent == ["me@real.test", "you@real.test"]
    assert len(set(refused)) == 1


class Played:
    """A re-injection. answer: what it says; asked: envelope sender, recipient, SMTPUTF8."""

    def __init__(self, answer: Outcome) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str, object]] = []
        self.sender: NoticeSender | None = None

    def submit(self, sender: str, recipients: list[str], _data: bytes, **how: object) -> Outcome:
        self.asked.append((sender, recipients[0], how["smtputf8"]))
        if self.sender:
            self.sender._stop.set()
        return self.answer


def test_what_postfix_does_not_take_is_tried_again_after_longer_and_longer_waits(rig: Rig) -> None:
    out = Played(Refused(451, "4.3.0", "queue full"))
    rig.spool.put([Notice("postmask@alias.test", "me@real.test", "code", "Your code", "text")])
    sender = sending(rig, out)
    for tries, seconds in ((1, 30), (2, 60), (3, 120)):
        sender._round()
        rig.clock.advance(seconds - 1)
        sender._round()
        assert len(out.asked) == tries
        rig.clock.advance(1)


@pytest.mark.parametrize("unknown", ["domain", "dkim_keys"])
def test_it_waits_while_nobody_can_say_who_signs_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, unknown: str
) -> None:
    out = Played(Submitted("Q"))
    rig.spool.put([Notice("postmask@alias.test", "me@real.test", "code", "Your code", "text")])
    sender = sending(rig, out)
    with monkeypatch.context() as away:
        away.setattr(rig.directory, unknown, lambda *_: Unavailable("no database"))
        sender._round()
        assert (out.asked, rig.spool.due_notices(9)) == ([], [])
    rig.clock.advance(30)
    sender._round()
    assert len(out.asked) == 1


def test_the_envelope(rig: Rig) -> None:
    """A bounce address needs a domain of ours."""
    out = Played(Submitted("Q"))
    for sender in ("postmask@alias.test", "mail@host.test"):
        rig.spool.put([Notice(sender, "mé@real.test", "code", "Your code", "text")])
    sending(rig, out)._round()
    (ours, *asked), (null, *_) = out.asked
    assert isinstance(read(KEYS, ours.removesuffix("@alias.test"), day_of(rig.clock.now())), BounceValid)
    assert (asked, null) == (["mé@real.test", True], "")


def test_the_end_waits_for_one_notice_only(rig: Rig) -> None:
    out = Played(Submitted("Q"))
    for _ in range(2):
        rig.spool.put([Notice("postmask@alias.test", "me@real.test", "code", "Your code", "text")])
    out.sender = sending(rig, out)
    out.sender._round()
    assert len(out.asked) == 1
