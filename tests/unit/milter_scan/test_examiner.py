"""The end of a message: evidence, a refusal by common consent, and whatever may go wrong on the way."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field, replace

import pytest

from directories import MemoryDirectory, alias
from postmask.address import parse
from postmask.alias.sifting import SpamRules
from postmask.auth.forwarders import TrustedForwarders
from postmask.authentication import Authentication, DkimResult, Dmarc, DmarcResult, Policy, Spf, SpfResult
from postmask.clock import Deadline, SystemClock
from postmask.directory.lookup import Unavailable
from postmask.directory.records import BlockAction, Contact, ContactRule, ReverseAlias, SenderRule, SpamPolicy
from postmask.keys import Keyring, Secret
from postmask.message.evidence import Evidence, SpamNote, open_evidence
from postmask.message.headers import Headers, split
from postmask.tokens import reverse_local_part, reverse_token
from postmask.verdict import Verdict
from postmask_milter.examiner import Examined, Examiner
from postmask_milter.scan import NOTHING, Client, Message, Outcome

KEYS = Keyring([Secret(1, "2030-01-01", bytes(range(32)))])
CLOCK = SystemClock()
NONE = SpfResult(Spf.NONE, "example.com")
FOUND = Authentication(NONE, NONE, (), DmarcResult(Dmarc.NONE))
FORGED = replace(FOUND, dmarc=DmarcResult(Dmarc.FAIL, Policy.REJECT, "bank.example", "bank.example"))
HEADERS, BODY = split(b"From: Bob <bob@example.com>\r\nSubject: x\r\n\r\nHi.\r\n")
MESSAGE = Message(
    queue_id="4Q",
    client=Client("192.0.2.1", "mail.example.com", "helo.example.com"),
    login="",
    sender="bounces@example.com",
    smtputf8=True,
    body_type="8BITMIME",
    recipients=("shop@alias.test",),
    headers=HEADERS,
    body=BODY,
)
NOTE = SpamNote("spamd", 0.5, ("A",), 80)


@dataclass
class Rig:
    """An examiner with a directory in memory, and what it recorded."""

    found: Authentication = FOUND
    trusted: tuple[str, ...] = ()
    note: SpamNote | None = None
    rules: SpamRules = field(default_factory=SpamRules)
    refused_: list[tuple[str, str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.directory = MemoryDirectory().with_domain()
        for name in ("shop@alias.test", "other@alias.test"):
            self.directory.aliases[name] = alias(name)
        self.examiner = Examiner(
            directory=self.directory,
            keys=KEYS,
            clock=CLOCK,
            authenticate=lambda message, deadline, now: self.authenticate(),
            check_spam=(lambda message, deadline: self.check()) if self.note else None,
            recorder=self,
            own_networks=(),
            trusted=TrustedForwarders(self.trusted),
            rules=self.rules,
            most=2,
        )

    def authenticate(self) -> Authentication:
        return self.found

    def check(self) -> SpamNote:
        assert self.note is not None
        return self.note

    def refused(self, verdict: Verdict, recipient: str, sender: str, queue_id: str) -> None:
        self.refused_.append((verdict.status, recipient, sender, queue_id))

    def examine(self, message: Message = MESSAGE, seconds: float = 30.0) -> Outcome:
        return self.examiner.answer(message, self.examined(message, seconds))

    def examined(self, message: Message = MESSAGE, seconds: float = 30.0) -> Examined:
        return self.examiner.examine(message, Deadline.after(CLOCK, seconds))

    def evidence(self, message: Message = MESSAGE, seconds: float = 30.0) -> Evidence:
        """What a message goes on with; it must not be refused."""
        outcome = self.examine(message, seconds)
        assert outcome.refusal is None
        assert outcome.field is not None
        headers = Headers([*message.headers.fields, outcome.field])
        found = open_evidence(KEYS, headers, message.body, message.recipients, now=CLOCK.now(), oldest=60)
        assert found is not None
        return found

    def reverse(self, contact: str = "bob@example.com") -> str:
        """A reverse alias of shop@alias.test."""
        token = reverse_token(KEYS, 7, contact)
        self.directory.reverse_aliases[token] = ReverseAlias(
            token, self.directory.aliases["shop@alias.test"], contact, None, contact
        )
        return f"{reverse_local_part(parse(contact), None, token)}@alias.test"


def test_the_evidence_holds_what_was_seen() -> None:
    found = Rig(note=NOTE).evidence()
    assert (found.client, found.client_name, found.helo) == (
        "192.0.2.1",
        "mail.example.com",
        "helo.example.com",
    )
    assert (found.login, found.smtputf8, found.body) == ("", True, "8BITMIME")
    assert found.recipients == ("shop@alias.test",)
    assert found.authentication == FOUND
    assert found.spam == NOTE
    assert Rig().evidence(replace(MESSAGE, login="jane")).login == "jane"


def test_without_engines_nothing_is_said_of_spam() -> None:
    assert Rig().evidence().spam is None


@pytest.mark.parametrize(
    ("recipients", "ours"),
    [
        (("shop@alias.test",), True),
        (("shop@alias.test", "Any.thing+x@ALIAS.test"), True),
        (("shop@alias.test", "you@elsewhere.test"), False),
        (("you@elsewhere.test",), False),
        (("shop@sub.alias.test",), False),
        (("postmaster",), False),
        ((), False),
    ],
)
def test_whose_recipients_they_are(recipients: tuple[str, ...], ours: bool) -> None:
    assert Rig().examiner.all_ours(recipients) is ours


def test_what_nobody_can_say_is_not_ours() -> None:
    rig = Rig()
    rig.directory.broken = "the database is gone"
    assert not rig.examiner.all_ours(["shop@alias.test"])


def test_dmarc_is_applied_where_all_recipients_are_aliases() -> None:
    rig = Rig(FORGED)
    both = replace(MESSAGE, recipients=("shop@alias.test", "other@alias.test"))
    outcome = rig.examine(both)
    assert outcome.field is None
    assert outcome.refusal is not None
    assert (outcome.refusal.code, outcome.refusal.status) == (550, "5.7.26")
    assert rig.refused_ == [
        ("5.7.26", name, "bounces@example.com", both.queue_id) for name in both.recipients
    ]


def test_a_refusal_that_comes_too_late_is_none(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="postmask_milter")
    rig = Rig(FORGED)
    assert rig.examined().outcome.refusal is not None
    assert rig.examiner.answer(MESSAGE, None) is NOTHING
    assert rig.refused_ == []
    said = 'scan queue_id=4Q verdict=accept reason="not examined in time" evidence=no size=5'
    assert caplog.messages == [said]


@pytest.mark.parametrize(
    "message",
    [
        replace(MESSAGE, recipients=("shop@alias.test", "postmaster@alias.test")),
        replace(MESSAGE, login="jane"),
        replace(MESSAGE, client=Client("127.0.0.1")),
        replace(MESSAGE, client=Client("")),
    ],
    ids=["postmaster too", "login", "loopback", "no client"],
)
def test_where_dmarc_is_not_applied(message: Message) -> None:
    assert Rig(FORGED).evidence(message).authentication == FORGED


@pytest.mark.parametrize("trusted", ["192.0.2.0/24", "192.0.2.1"])
def test_a_trusted_forwarder_may_break_dmarc(trusted: str) -> None:
    assert Rig(FORGED, trusted=(trusted,)).evidence()


def test_while_dns_does_not_tell_of_a_trusted_forwarder_nothing_is_refused() -> None:
    signed = DkimResult("lists.example", temporary=True)
    assert Rig(replace(FORGED, dkim=(signed,)), trusted=("lists.example",)).evidence()
    assert Rig(replace(FORGED, dkim=(signed,)), trusted=("other.example",)).examine().refusal


def test_a_reply_without_proof_is_refused() -> None:
    rig = Rig()
    reverse = rig.reverse()
    outcome = rig.examine(replace(MESSAGE, recipients=(reverse,)))
    assert outcome.refusal is not None
    assert (outcome.refusal.code, outcome.refusal.status) == (550, "5.7.1")
    assert [status for status, *_ in rig.refused_] == ["5.7.1"]
    assert rig.evidence(replace(MESSAGE, recipients=(reverse, "shop@alias.test")))


def test_a_block_acts_on_the_author() -> None:
    rig = Rig()
    rig.directory.rules["bob@example.com"] = SenderRule(BlockAction.REJECT, "alias", "bob@example.com")
    refusal = rig.examine().refusal
    assert refusal is not None
    assert refusal.status == "5.7.1"
    rig.directory.rules["bob@example.com"] = SenderRule(BlockAction.DISCARD, "alias", "bob@example.com")
    assert rig.evidence()


SPAM = SpamNote("spamd", 2.5, ("GTUBE",), 80)
UNSCANNED = SpamNote(unscanned="spamd timeout")


@pytest.mark.parametrize(
    ("note", "policies", "code"),
    [
        (SPAM, SpamPolicy("alias", refuse=2.0), 550),
        (SPAM, SpamPolicy("alias", refuse=3.0), 0),
        (SPAM, SpamPolicy("alias", refuse=2.0, discard=2.2), 0),
        (SPAM, SpamPolicy("alias", hold=2.0), 0),
        (NOTE, SpamPolicy("domain", refuse=1.0), 0),
        (UNSCANNED, SpamPolicy("domain", when_unscanned="defer"), 450),
        (UNSCANNED, SpamPolicy("domain", when_unscanned="hold"), 0),
        (UNSCANNED, SpamPolicy("domain", refuse=1.0), 0),
    ],
)
def test_spam_is_refused_as_it_is_set(note: SpamNote, policies: SpamPolicy, code: int) -> None:
    rig = Rig(note=note)
    rig.directory.policies = (policies,)
    both = replace(MESSAGE, recipients=("shop@alias.test", "other@alias.test"))
    if not code:
        assert rig.evidence(both).spam == note
        return
    refusal = rig.examine(both).refusal
    assert refusal is not None
    assert (refusal.code, refusal.status[1:]) == (code, ".7.1")
    assert rig.evidence(replace(both, recipients=(*both.recipients, "postmaster@alias.test")))


def test_an_allowed_contact_is_never_refused_as_spam() -> None:
    rig = Rig(note=SPAM, rules=SpamRules(refuse=1.0))
    contact = Contact(7, "bob@example.com", None, ContactRule.ALLOW, "a" * 24)
    rig.directory.contacts[7, "bob@example.com"] = contact
    assert rig.evidence()
    rig.found = replace(FOUND, dmarc=DmarcResult(Dmarc.FAIL, domain="example.com"))
    assert rig.examine().refusal, "somebody else"
    rig.found = FOUND
    rig.directory.contacts[7, "bob@example.com"] = replace(contact, rule=ContactRule.NONE)
    assert rig.examine().refusal, "known, and no more"


@pytest.mark.parametrize("method", ["spam_policies", "contact"])
def test_what_nobody_can_say_refuses_nothing(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(note=SPAM, rules=SpamRules(refuse=1.0))
    assert rig.examine().refusal
    monkeypatch.setattr(rig.directory, method, lambda *_: Unavailable("gone"))
    assert rig.evidence()


def test_authentication_that_raises_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig(note=NOTE)

    def fails() -> Authentication:
        raise ZeroDivisionError("a fault of ours")

    rig.authenticate = fails  # type: ignore[method-assign]
    found = rig.evidence()
    assert (found.authentication, found.spam) == (None, NOTE)
    assert "a fault of ours" in caplog.text


def test_a_directory_that_raises_refuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(FORGED)

    def fails(name: str) -> object:
        raise ZeroDivisionError("the directory broke")

    monkeypatch.setattr(rig.directory, "alias", fails)
    assert rig.evidence()


def test_a_spam_check_that_raises_is_said(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig(note=NOTE)

    def fails() -> SpamNote:
        raise ZeroDivisionError

    rig.check = fails  # type: ignore[method-assign]
    assert rig.evidence().spam == SpamNote(unscanned="fault")


def test_a_spam_check_is_not_waited_for_beyond_the_deadline() -> None:
    rig = Rig(note=NOTE)
    release = threading.Event()

    def slow() -> SpamNote:
        release.wait(60)
        return NOTE

    rig.check = slow  # type: ignore[method-assign]
    began = time.monotonic()
    assert rig.evidence(seconds=0.2).spam == SpamNote(unscanned="no time")
    assert time.monotonic() - began < 30
    release.set()


def test_the_checks_run_beside_each_other() -> None:
    rig = Rig(note=NOTE)
    together = threading.Barrier(2)

    def authenticate() -> Authentication:
        together.wait(30)
        return FOUND

    def check() -> SpamNote:
        together.wait(30)
        return NOTE

    rig.authenticate = authenticate  # type: ignore[method-assign]
    rig.check = check  # type: ignore[method-assign]
    assert rig.evidence().spam == NOTE
