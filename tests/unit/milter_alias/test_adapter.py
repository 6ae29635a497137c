"""The adapter in pymilter's own stand-in for libmilter."""

from pathlib import Path

import Milter
import pytest
from Milter import testctx

from postmask.verdict import Verdict, defer, deliver, discard, reject
from postmask_milter.adapter import AliasMilter, Running


class Lab:
    """A context, and the answers that the milter gets."""

    def __init__(self, logfile: Path) -> None:
        self.context = testctx.TestCtx(logfile=str(logfile))
        self.asked: list[tuple[str, str, str]] = []
        self.verdicts: dict[str, Verdict | None] = {}

    def answer(self, recipient: str, sender: str, queue_id: str) -> Verdict | None:
        self.asked.append((recipient, sender, queue_id))
        return self.verdicts.get(recipient)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    made = Lab(tmp_path / "milter.log")
    monkeypatch.setattr(Milter, "factory", lambda: AliasMilter(made.answer, Running()))
    return made


def test_it_wants_no_more_than_connection_mail_and_rcpt(lab: Lab) -> None:
    assert lab.context._negotiate() == Milter.CONTINUE
    protocol = lab.context._protocol
    refused = (Milter.P_NOHELO, Milter.P_NODATA, Milter.P_NOHDRS, Milter.P_NOEOH, Milter.P_NOBODY)
    assert all(protocol & step for step in (*refused, Milter.P_NOUNKNOWN))
    assert not any(protocol & step for step in (Milter.P_NOCONNECT, Milter.P_NOMAIL, Milter.P_NORCPT))
    assert protocol & Milter.P_NR_MAIL
    assert not protocol & Milter.P_NR_RCPT
    assert [stage for stage in lab.context._symlist if stage] == [{b"i"}] * 3


def test_each_recipient_has_its_own_answer(lab: Lab) -> None:
    lab.verdicts = {
        "shop@alias.example": deliver(),
        "quiet@alias.example": discard("alias disabled"),
        "nosuch@alias.example": reject("5.1.1", "no such address here"),
        "later@alias.example": defer("4.2.1", "100% later"),
    }
    context = lab.context
    assert context._connect(host="mail.example", ip="192.0.2.1") == Milter.CONTINUE
    assert context._envfrom("<bob@example.com>", "SIZE=100") == Milter.NOREPLY
    context._setsymval("i", "4Q")
    assert context._envrcpt("<shop@alias.example>") == Milter.CONTINUE
    assert context._envrcpt("<quiet@alias.example>") == Milter.CONTINUE
    assert context._envrcpt("<user@elsewhere.example>") == Milter.CONTINUE
    assert context._reply is None
    assert context._envrcpt("<nosuch@alias.example>") == Milter.REJECT
    assert context._reply == ("550", "5.1.1", "no such address here")
    assert context._envrcpt("<later@alias.example>") == Milter.TEMPFAIL
    assert context._reply == ("450", "4.2.1", "100%% later")
    assert {(sender, queue_id) for _, sender, queue_id in lab.asked} == {("bob@example.com", "4Q")}


def test_an_emulated_session_is_accepted_at_connect(lab: Lab) -> None:
    lab.context._negotiate()
    milter = lab.context._priv
    assert milter.connect("localhost", 2, ("127.0.0.1", 0)) == Milter.ACCEPT
    assert milter.connect("localhost", 2, ("127.0.0.1", 4711)) == Milter.CONTINUE


def test_octets_that_are_no_utf8_reach_the_decision(lab: Lab) -> None:
    lab.context._negotiate()
    lab.context._stage = Milter.M_ENVRCPT
    milter = lab.context._priv
    milter.envfrom_bytes(b"<\xff@x>")
    assert milter.envrcpt_bytes(b"<b\xc3\xbccher@alias.example>") == Milter.CONTINUE
    assert lab.asked == [("bücher@alias.example", "\udcff@x", "")]


def test_callbacks_at_work_are_counted() -> None:
    running = Running()
    with running:
        assert not running.drained(0.0)
    assert running.drained(0.0)
