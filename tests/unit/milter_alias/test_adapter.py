"""The adapter in pymilter's own stand-in for libmilter."""

import time
from collections.abc import Sequence
from pathlib import Path

import Milter
import pytest
from Milter import testctx

from postmask.message.headers import fold
from postmask.verdict import Verdict, defer, deliver, discard, reject
from postmask_milter.adapter import AliasMilter, Running, ScanMilter
from postmask_milter.scan import NOTHING, Message, Outcome, Session


class Lab:
    """A context, and the answers that the milter gets."""

    def __init__(self, logfile: Path) -> None:
        self.context = testctx.TestCtx(logfile=str(logfile))
        self.asked: list[tuple[str, str, str]] = []
        self.verdicts: dict[str, Verdict | None] = {}
        self.running = Running()

    def answer(self, recipient: str, sender: str, client: str, queue_id: str) -> Verdict | None:
        assert not self.running.drained(0.0)
        self.asked.append((recipient, sender, queue_id))
        return self.verdicts.get(recipient)


@pytest.fixture(autouse=True)
def offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the stand-in offers: all. It keeps what was negotiated last, for the next test too."""
    monkeypatch.setattr(testctx.TestCtx, "default_opts", [0x1FF, 0x1FFFFF, 0, 0])


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """For how long it would have been."""
    times: list[float] = []
    monkeypatch.setattr(time, "sleep", times.append)
    return times


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    made = Lab(tmp_path / "milter.log")
    monkeypatch.setattr(Milter, "factory", lambda: AliasMilter(made.answer, made.running))
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
    assert lab.context._opts[0] == Milter.SETSYMLIST


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


def test_callbacks_at_work_are_counted_and_their_answers_have_time_to_be_written(slept: list[float]) -> None:
    running = Running()
    with running:
        assert not running.drained(0.0)
    assert running.drained(0.0)
    assert slept[0] == 0.0
    assert 0.0 < slept[1] <= 1.0


class ScanLab:
    """The same for the scan milter. outcome: of each message."""

    def __init__(self, logfile: Path) -> None:
        self.context = testctx.TestCtx(logfile=str(logfile))
        self.examined: list[Message] = []
        self.outcome = NOTHING
        self.ours = True
        self.running = Running()
        self.drained: list[bool] = []

    def made(self) -> ScanMilter:
        return ScanMilter(Session(self.all_ours, self.examine, 10_000), self.running)

    def all_ours(self, _recipients: Sequence[str]) -> bool:
        self.drained.append(self.running.drained(0.0))
        return self.ours

    def examine(self, message: Message) -> Outcome:
        self.drained.append(self.running.drained(0.0))
        self.examined.append(message)
        return self.outcome

    def message(self) -> int:
        """One from a client; what its end is answered."""
        context = self.context
        assert context._connect(host="mail.example", helo="helo.example", ip="192.0.2.1") == Milter.CONTINUE
        assert context._envfrom("<bob@example.com>", "BODY=8BITMIME") == Milter.NOREPLY
        assert context._envrcpt("<shop@alias.example>") == Milter.NOREPLY
        assert context._data() == Milter.CONTINUE
        assert context._header("From", " bob@example.com\n\t(Bob)") == Milter.NOREPLY
        assert context._priv.body(b"Hi.\r\n") == Milter.NOREPLY
        context._setsymval("i", "4Q")
        return context._eom()


@pytest.fixture
def scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScanLab:
    made = ScanLab(tmp_path / "milter.log")
    monkeypatch.setattr(Milter, "factory", made.made)
    return made


def test_scan_wants_all_of_a_message_and_to_add_a_field(scan: ScanLab) -> None:
    assert scan.context._negotiate() == Milter.CONTINUE
    protocol = scan.context._protocol
    wanted = (Milter.P_NOCONNECT, Milter.P_NOHELO, Milter.P_NOMAIL, Milter.P_NORCPT, Milter.P_NODATA)
    assert not any(protocol & step for step in (*wanted, Milter.P_NOHDRS, Milter.P_NOBODY))
    silent = (Milter.P_NR_MAIL, Milter.P_NR_RCPT, Milter.P_NR_HDR, Milter.P_NR_BODY, Milter.P_HDR_LEADSPC)
    assert all(protocol & step for step in (*silent, Milter.P_NOUNKNOWN, Milter.P_NOEOH))
    assert not protocol & (Milter.P_NR_HELO | Milter.P_NR_DATA | Milter.P_NR_CONN)
    assert {b"i", b"{auth_authen}"} in scan.context._symlist
    assert scan.context._opts[0] == Milter.SETSYMLIST | Milter.ADDHDRS


def test_scan_hands_over_the_message_as_it_is(scan: ScanLab) -> None:
    assert scan.message() == Milter.CONTINUE
    (message,) = scan.examined
    assert message.headers.to_bytes() == b"From: bob@example.com\r\n\t(Bob)\r\n"
    assert message.body == b"Hi.\r\n"
    assert (message.queue_id, message.client.helo) == ("4Q", "helo.example")


def test_scan_is_waited_for_at_the_end_of_the_program(scan: ScanLab) -> None:
    scan.message()
    assert scan.drained == [False, False]
    assert scan.running.drained(0.0)


def test_scan_raises_at_no_login(scan: ScanLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """MAIL has no answer; one all the same, of an exception, Postfix takes for that to the next question."""

    def strict(_self: ScanMilter, name: str) -> str | None:
        return b"j\xfcrgen".decode() if name == "{auth_authen}" else None

    monkeypatch.setattr(ScanMilter, "getsymval", strict)
    assert scan.message() == Milter.CONTINUE
    (message,) = scan.examined
    assert message.sender == "bob@example.com"
    assert message.login not in ("", "jürgen")


def test_scan_adds_the_evidence_with_its_folds(scan: ScanLab, monkeypatch: pytest.MonkeyPatch) -> None:
    added: list[tuple[str, str]] = []
    monkeypatch.setattr(scan.context, "addheader", lambda name, value, idx: added.append((name, value)))
    scan.outcome = Outcome(field=fold("X-Postmask-Evidence", [b"A" * 56, b"B" * 56]))
    assert scan.message() == Milter.CONTINUE
    assert added == [("X-Postmask-Evidence", f" {'A' * 56}\n {'B' * 56}")]


def test_scan_refuses_at_the_end(scan: ScanLab) -> None:
    scan.outcome = Outcome(refusal=reject("5.7.26", "no"))
    assert scan.message() == Milter.REJECT
    assert scan.context._reply == ("550", "5.7.26", "no")


def test_scan_lets_go_what_is_not_ours(scan: ScanLab) -> None:
    scan.ours = False
    scan.context._connect(host="mail.example", ip="192.0.2.1")
    scan.context._envfrom("<bob@example.com>")
    scan.context._envrcpt("<you@elsewhere.example>")
    assert scan.context._data() == Milter.ACCEPT
    assert scan.context._priv.connect("localhost", 2, ("127.0.0.1", 0)) == Milter.ACCEPT
