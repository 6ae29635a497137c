"""Asking, logging, recording."""

import logging
import threading

import pytest

from postmask.clock import ManualClock
from postmask.verdict import Verdict, defer, deliver, discard, reject
from postmask_milter.rcpt import InTime, Rcpt
from postmask_milter.workers import Workers

REFUSED = reject("5.2.1", "this address is disabled", "alias disabled")


class Parts:
    """Decider and recorder in one."""

    def __init__(self, verdict: Verdict | Exception | None) -> None:
        self.verdict = verdict
        self.clock = ManualClock()
        self.asked: list[tuple[str, str, str, bool]] = []
        self.recorded: list[tuple[Verdict, str, str, str]] = []

    def decide(self, recipient: str, sender: str, client: str = "", *, ours: bool = False) -> Verdict | None:
        self.asked.append((recipient, sender, client, ours))
        self.clock.advance(0.0042)
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict

    def refused(self, verdict: Verdict, recipient: str, sender: str, queue_id: str) -> None:
        self.recorded.append((verdict, recipient, sender, queue_id))

    def rcpt(self, by: str = "gate", ours: bool = True) -> Rcpt:
        return Rcpt(self, self, self.clock, by=by, ours=ours)


@pytest.fixture(autouse=True)
def _everything_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="postmask_milter")


def test_the_decision_hears_who_asks_for_whom() -> None:
    parts = Parts(deliver())
    assert parts.rcpt().answer("a@b", "c@d", "192.0.2.7") == deliver()
    parts.rcpt("milter", ours=False).answer("a@b", "")
    assert parts.asked == [("a@b", "c@d", "192.0.2.7", True), ("a@b", "", "", False)]


def test_one_canonical_line_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    Parts(REFUSED).rcpt().answer("shop@alias.example", "bob@example.com", "192.0.2.7", "4Q")
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert record.getMessage() == (
        "rcpt by=gate queue_id=4Q recipient=shop@alias.example domain=alias.example"
        ' verdict=reject status=5.2.1 reason="alias disabled" ms=4.2'
    )


def test_a_foreign_recipient_is_logged_for_debugging_only_and_without_its_local_part(
    caplog: pytest.LogCaptureFixture,
) -> None:
    Parts(None).rcpt("milter", ours=False).answer("user@elsewhere.example", "bob@example.com")
    (record,) = caplog.records
    assert record.levelno == logging.DEBUG
    assert record.getMessage() == "rcpt by=milter domain=elsewhere.example verdict=untouched ms=4.2"


def test_what_mail_says_is_escaped_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    Parts(REFUSED).rcpt().answer('"a\nrcpt by=gate"@alias.example', "")
    assert "\n" not in caplog.messages[0]


def test_refusals_are_handed_on_and_nothing_else() -> None:
    later = defer("4.2.1", "later", "alias disabled")
    for verdict in (REFUSED, later):
        parts = Parts(verdict)
        parts.rcpt().answer("a@b", "c@d", queue_id="4Q")
        assert parts.recorded == [(verdict, "a@b", "c@d", "4Q")]
    for accepted in (None, deliver(), discard("alias disabled")):
        parts = Parts(accepted)
        parts.rcpt().answer("a@b", "c@d")
        assert parts.recorded == []


def test_a_decision_that_raises_is_a_deferral_at_the_gate_and_silence_at_the_milter(
    caplog: pytest.LogCaptureFixture,
) -> None:
    parts = Parts(ZeroDivisionError("oops"))
    verdict = parts.rcpt().answer("a@b", "c@d")
    assert verdict is not None
    assert (verdict.code, verdict.status) == (451, "4.3.0")
    assert "oops" not in verdict.text
    assert parts.rcpt("milter", ours=False).answer("a@b", "c@d") is None
    assert "the RCPT decision raised" in caplog.text


def test_a_decision_that_comes_too_late_is_told_to_nobody(caplog: pytest.LogCaptureFixture) -> None:
    go_on = threading.Event()

    class Slow(Parts):
        def decide(
            self, recipient: str, sender: str, client: str = "", *, ours: bool = False
        ) -> Verdict | None:
            go_on.wait(30)
            return super().decide(recipient, sender, client, ours=ours)

    parts = Slow(REFUSED)
    workers = Workers("test", 1)
    workers.start()
    rcpt = Rcpt(InTime(parts, workers, 0.5), parts, parts.clock, by="milter", ours=False)
    assert rcpt.answer("shop@alias.example", "bob@example.com") is None
    go_on.set()
    assert workers.ask(lambda: True, 30), "behind the one that was late"
    assert parts.recorded == []
    assert "verdict=reject" not in caplog.text
