"""What the forwarder finds out about a message, from its evidence or by itself, and what it tells of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

import engine_rig
from directories import alias, mailbox
from engine_rig import FOREIGN, KEYS, LOGGED_IN, PLAIN, Rig
from postmask.authentication import Authentication, Dmarc, DmarcResult, Spf, SpfResult
from postmask.clock import DAY, Deadline
from postmask.directory.records import BlockAction, SenderRule, SpamPolicy
from postmask.message.evidence import Evidence, SpamNote, seal_evidence
from postmask.message.headers import Headers, join, split
from postmask.spam.engine import Facts
from postmask.spam.judgement import Attempt, Reason, Scan, Score
from postmask.verdict import Kind
from postmask_transport.lmtp import Client, Envelope

HAM = Scan(Score(1.0, 5.0, ("FINE",)), "spamd", (), 80.0)
NONE = Scan(None, "", (Attempt("spamd", Reason.TIMEOUT),), 4_000.0)
PASSED = SpfResult(Spf.PASS, "example.com")
FOUND = Authentication(PASSED, PASSED, (), DmarcResult(Dmarc.PASS, domain="example.com"))
AT = 1_800_000_000
BOB = "bob@example.com"
EVIDENCE = Evidence(
    AT,
    ("shop@alias.test",),
    BOB,
    client="198.51.100.77",
    helo="mx.example.com",
    spam=SpamNote("rspamd", 0.4, ("SEALED",), 9),
    authentication=FOUND,
)


@dataclass
class Engines:
    """What they say, and what they were asked."""

    says: Scan = HAM
    asked: list[tuple[bytes, Facts]] = field(default_factory=list)

    def scan(self, content: bytes, facts: Facts, deadline: Deadline) -> Scan:
        assert not deadline.passed
        self.asked.append((content, facts))
        return self.says


@pytest.fixture
def engines() -> Engines:
    return Engines()


@pytest.fixture
def sifting(tmp_path: Path, engines: Engines) -> Iterator[Rig]:
    with engine_rig.rig(tmp_path, engines.scan) as made:
        yield made


def sealed(evidence: Evidence = EVIDENCE, content: bytes = PLAIN) -> bytes:
    """The message with the evidence on top."""
    headers, body = split(content)
    made = seal_evidence(KEYS, evidence, headers, body)
    assert made is not None
    return join(Headers([made, *headers.fields]), body)


def told(rig: Rig, name: str) -> list[str]:
    """The fields of that name in the last copy that was sent."""
    return [one.value.decode() for one in split(rig.out.sent[-1][2])[0].get_all(name)]


def test_without_evidence_it_looks_for_itself(sifting: Rig, engines: Engines) -> None:
    sifting.dns.txts["example.com"] = [b"v=spf1 ip4:203.0.113.5 -all"]
    assert sifting.deliver().kind is Kind.DELIVER
    assert told(sifting, "x-postmask-spam") == ["no; ratio=0.20 engine=spamd symbols=FINE"]
    (results,) = told(sifting, "authentication-results")
    assert results.startswith("mx.alias.test; spf=pass smtp.mailfrom=example.com;")
    ((content, facts),) = engines.asked
    assert content == PLAIN
    assert (facts.client, facts.helo, facts.sender) == ("203.0.113.5", "mx.example.com", "bob@example.com")
    assert (facts.recipients, facts.queue_id) == (("shop@alias.test",), "Q1")


def test_by_its_evidence_nobody_is_asked(sifting: Rig, engines: Engines) -> None:
    assert sifting.deliver(content=sealed()).kind is Kind.DELIVER
    assert told(sifting, "x-postmask-spam") == ["no; ratio=0.40 engine=rspamd symbols=SEALED"]
    assert "spf=pass" in told(sifting, "authentication-results")[0]
    assert (engines.asked, sifting.dns.asked) == ([], [])
    assert told(sifting, "x-postmask-evidence") == []


def test_the_sender_is_whom_the_milter_saw(sifting: Rig, engines: Engines) -> None:
    """Not whom the host made of it (SRS)."""
    rewritten = "SRS0=HHHH=TT=example.com=bob@host.test"
    assert sifting.deliver(content=sealed(), sender=rewritten).kind is Kind.DELIVER
    assert "smtp.mailfrom=example.com" in told(sifting, "authentication-results")[0]
    assert (engines.asked, sifting.dns.asked) == ([], [])
    sifting.directory.rules[BOB] = SenderRule(BlockAction.DISCARD, "alias", BOB)
    assert sifting.deliver(content=sealed(), sender=rewritten).kind is Kind.DISCARD


@pytest.mark.parametrize(
    "content",
    [
        sealed(replace(EVIDENCE, recipients=("other@alias.test",))),
        sealed(replace(EVIDENCE, at=AT - 6 * DAY - 1)),
        sealed() + b"A filter was here.\r\n",
        sealed().replace(b"bob@", b"eve@"),
        b"X-Postmask-Evidence: AXNvbWV0aGluZyB0aGF0IHdhcyBzZWFsZWQgYnkgbm9ib2R5\r\n" + PLAIN,
    ],
    ids=["another recipient", "stale", "altered body", "another author", "forged"],
)
def test_evidence_of_another_message_is_none(sifting: Rig, engines: Engines, content: bytes) -> None:
    assert sifting.deliver(content=content).kind is Kind.DELIVER
    assert told(sifting, "x-postmask-spam") == ["no; ratio=0.20 engine=spamd symbols=FINE"]
    assert "spf=none" in told(sifting, "authentication-results")[0]
    assert len(engines.asked) == 1
    assert told(sifting, "x-postmask-evidence") == []


def test_once_a_message_however_many_recipients(sifting: Rig, engines: Engines) -> None:
    sifting.directory.aliases["other@alias.test"] = alias("other@alias.test", id=8)
    both = ("shop@alias.test", "other@alias.test")
    envelope = Envelope("bob@example.com", both, smtputf8=False, body=None, client=FOREIGN)
    sifting.engine.message(envelope, PLAIN, Deadline.after(sifting.clock, 25))
    assert len(sifting.out.sent) == 2
    assert len(engines.asked) == 1
    assert sifting.dns.asked.count("_dmarc.example.com") == 1


def test_what_is_not_forwarded_is_not_examined(sifting: Rig, engines: Engines) -> None:
    sifting.deliver("postmaster@alias.test")
    sifting.deliver("nobody@alias.test")
    assert (engines.asked, sifting.dns.asked) == ([], [])


@pytest.mark.parametrize("client", [LOGGED_IN, Client(queue_id="Q1"), Client("127.0.0.1", queue_id="Q1")])
def test_who_submits_here_is_not_asked_for_dmarc(sifting: Rig, engines: Engines, client: Client) -> None:
    sifting.deliver(client=client)
    assert sifting.dns.asked == []
    assert told(sifting, "authentication-results") == []
    assert len(engines.asked) == 1


def test_without_engines_nothing_is_said_of_spam(rig: Rig) -> None:
    rig.deliver()
    assert told(rig, "x-postmask-spam") == []


def test_unscanned_says_why(sifting: Rig, engines: Engines) -> None:
    engines.says = NONE
    sifting.deliver()
    assert told(sifting, "x-postmask-spam") == ["unscanned; spamd timeout"]


def test_a_spam_check_that_raises_is_said(sifting: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postmask_transport.examination.note_of", lambda scan: 1 // 0)
    assert sifting.deliver().kind is Kind.DELIVER
    assert told(sifting, "x-postmask-spam") == ["unscanned; fault"]


def test_a_spam_check_that_never_ends_is_not_waited_for(tmp_path: Path) -> None:
    release = threading.Event()

    def hang(content: bytes, facts: Facts, deadline: Deadline) -> Scan:
        release.wait(60)
        return HAM

    with engine_rig.rig(tmp_path, hang) as hung:
        hung.clock.advance(1.0)
        envelope = Envelope(
            "bob@example.com", ("shop@alias.test",), smtputf8=False, body=None, client=FOREIGN
        )
        (verdict,) = hung.engine.message(envelope, PLAIN, Deadline.after(hung.clock, 0.2))
        assert verdict.kind is Kind.DELIVER
        assert told(hung, "x-postmask-spam") == ["unscanned; no time"]
    release.set()


def test_authentication_that_raises_stops_nothing(
    sifting: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("postmask_transport.examination.authenticate", lambda *_: {}["me@real.test"])
    assert sifting.deliver().kind is Kind.DELIVER
    assert "KeyError at test_examination.py:" in caplog.text
    assert "real.test" not in caplog.text
    assert told(sifting, "authentication-results") == []


def test_without_dns_it_is_forwarded(sifting: Rig) -> None:
    sifting.dns.failing |= {"example.com", "_dmarc.example.com", "mx.example.com"}
    assert sifting.deliver().kind is Kind.DELIVER
    assert "spf=temperror" in told(sifting, "authentication-results")[0]


@pytest.mark.parametrize(("policy", "asked"), [("tag", 0), ("hold", 1), ("defer", 1)])
def test_engines_are_asked_again_where_something_depends_on_it(
    sifting: Rig, engines: Engines, policy: str, asked: int
) -> None:
    unscanned = replace(EVIDENCE, spam=SpamNote(unscanned="spamd timeout"))
    sifting.directory.policies = (SpamPolicy("domain", when_unscanned=policy),)
    sifting.deliver(content=sealed(unscanned))
    assert len(engines.asked) == asked


def test_a_login_in_the_evidence_proves_a_reply(rig: Rig) -> None:
    """As lmtp(8) and a content filter lose it."""
    rig.directory.aliases["shop@alias.test"] = alias(mailboxes=(mailbox(login="me"),))
    reverse = reverse_alias(rig)
    content = b"From: me@real.test\r\nTo: x\r\n\r\nYes.\r\n"
    evidence = Evidence(
        AT, (reverse,), "me@real.test", client="198.51.100.77", login="me", authentication=FOUND
    )
    assert rig.deliver(reverse, sealed(evidence, content), "me@real.test").kind is Kind.DELIVER
    assert rig.out.sent[-1][1] == "bob@example.com"
    assert b"X-Postmask-Evidence" not in rig.out.sent[-1][2]


def test_evidence_proves_nothing_on_another_message_or_for_another_reverse_alias(rig: Rig) -> None:
    rig.directory.aliases["shop@alias.test"] = alias(mailboxes=(mailbox(login="me"),))
    reverse = reverse_alias(rig)
    other = reverse_alias(rig, "carol@example.com")
    content = b"From: me@real.test\r\nTo: x\r\n\r\nYes.\r\n"
    evidence = Evidence(
        AT, (reverse,), "me@real.test", client="198.51.100.77", login="me", authentication=FOUND
    )
    stolen = sealed(evidence, content)
    assert rig.deliver(other, stolen, "me@real.test").kind is Kind.HOLD
    assert rig.deliver(reverse, stolen.replace(b"Yes.", b"No."), "me@real.test").kind is Kind.HOLD
    assert rig.deliver(reverse, stolen, "me@real.test").kind is Kind.DELIVER


def test_evidence_without_a_login_takes_away_the_doors(rig: Rig) -> None:
    """A content filter's own login says nothing about who wrote."""
    evidence = replace(EVIDENCE, recipients=("nobody@alias.test",))
    assert rig.deliver("nobody@alias.test", sealed(evidence), client=LOGGED_IN).kind is Kind.DELIVER
    assert len(rig.held.sent) == 1
    assert b"X-Postmask-Evidence" not in rig.held.sent[0][2]


@pytest.mark.parametrize("smtputf8", [True, False])
def test_sender_and_client_are_those_that_the_milter_saw(rig: Rig, smtputf8: bool) -> None:
    """What is held as it came is to come again as from them, not from a content filter."""
    evidence = replace(
        EVIDENCE,
        recipients=("nobody@alias.test",),
        sender="real@example.com",
        client_name="mail.example.com",
        smtputf8=smtputf8,
    )
    rig.deliver("nobody@alias.test", sealed(evidence), client=Client(address="127.0.0.1", queue_id="Q1"))
    assert [sender for sender, _, _ in rig.held.sent] == ["real@example.com"]
    client = {"ADDR": "198.51.100.77", "NAME": "mail.example.com", "HELO": "mx.example.com"}
    assert (rig.held.how[0]["client"], rig.held.how[0]["smtputf8"]) == (client, smtputf8)


def test_what_dns_could_not_tell_the_milter_is_asked_again(rig: Rig) -> None:
    reverse = reverse_alias(rig)
    temporary = SpfResult(Spf.TEMPERROR, "real.test")
    unsure = replace(FOUND, spf=temporary)
    rig.directory.aliases["shop@alias.test"] = alias(mailboxes=(mailbox(allow_spf=True),))
    evidence = Evidence(
        AT, (reverse,), "me@real.test", client="198.51.100.77", helo="h", authentication=unsure
    )
    rig.dns.txts["real.test"] = [b"v=spf1 ip4:198.51.100.77 -all"]
    content = b"From: me@real.test\r\nTo: x\r\nDate: Fri, 15 Jan 2027 08:00:00 +0000\r\n\r\nYes.\r\n"
    verdict = rig.deliver(reverse, sealed(evidence, content), "me@real.test")
    assert (verdict.kind, "proven by spf" in verdict.reason) == (Kind.DELIVER, True), verdict


def reverse_alias(rig: Rig, contact: str = "bob@example.com") -> str:
    """One that is known because its contact has written."""
    content = PLAIN.replace(b"bob@example.com", contact.encode())
    assert rig.deliver(content=content, sender=contact).kind is Kind.DELIVER
    known = rig.spool.contact(7, contact)
    assert known is not None
    return f"{contact.replace('@', '-at-').replace('.', '-')}.{known.token}@alias.test"
