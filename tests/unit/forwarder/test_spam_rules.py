"""What becomes of what the engines call spam, and of what they don't judge."""

from __future__ import annotations

import contextlib
import math
from dataclasses import fields, replace
from pathlib import Path

import pytest

import engine_rig
from directories import alias, mailbox
from engine_rig import FOREIGN, KEYS, LOGGED_IN, PLAIN, Rig
from postmask.alias.sifting import NODE, SpamRules, contradiction, effective, objection, origin, rules_of
from postmask.clock import Deadline
from postmask.directory.lookup import Unavailable
from postmask.directory.records import POLICY_NAMES, Contact, ContactRule, SpamPolicy
from postmask.message.evidence import SpamNote
from postmask.message.headers import split
from postmask.reinjection.submit import Refused
from postmask.spam.engine import Facts
from postmask.spam.judgement import Attempt, Reason, Scan, Score
from postmask.tokens import reverse_token
from postmask.verdict import Kind, Verdict
from postmask_transport.lmtp import Client

RULES = SpamRules(mark=1.0, hold=2.0, discard=4.0, refuse=1.5)
UNSCANNED = SpamNote(unscanned="spamd timeout")


def spam(ratio: float) -> SpamNote:
    return SpamNote("spamd", ratio)


@pytest.mark.parametrize(
    ("note", "known", "kind"),
    [
        (None, False, Kind.DELIVER),
        (spam(-3.0), True, Kind.DELIVER),
        (spam(1.49), True, Kind.DELIVER),
        (spam(1.5), True, Kind.REJECT),
        (spam(1.5), False, Kind.HOLD),
        (spam(2.0), False, Kind.HOLD),
        (spam(3.99), True, Kind.REJECT),
        (spam(4.0), True, Kind.DISCARD),
        (spam(4.0), False, Kind.DISCARD),
        (UNSCANNED, False, Kind.DELIVER),
    ],
)
def test_the_hardest_rule_acts(note: SpamNote | None, known: bool, kind: Kind) -> None:
    assert RULES.forward(note, may_refuse=known).kind is kind


@pytest.mark.parametrize(
    ("note", "by_default", "holding"),
    [
        (None, Kind.DELIVER, Kind.HOLD),
        (spam(0.1), Kind.DELIVER, Kind.HOLD),
        (spam(5.0), Kind.DISCARD, Kind.DISCARD),
        (UNSCANNED, Kind.DELIVER, Kind.HOLD),
    ],
)
def test_what_dmarc_wants_quarantined(note: SpamNote | None, by_default: Kind, holding: Kind) -> None:
    rules = replace(RULES, dmarc_quarantine="hold")
    assert RULES.forward(note, quarantined=True, may_refuse=False).kind is by_default
    assert rules.forward(note, quarantined=True, may_refuse=False).kind is holding
    assert RULES.marks(note, quarantined=True)


@pytest.mark.parametrize(
    ("note", "marked"), [(None, False), (UNSCANNED, False), (spam(0.99), False), (spam(1.0), True)]
)
def test_what_is_marked(note: SpamNote | None, marked: bool) -> None:
    assert RULES.marks(note) is marked
    assert not replace(RULES, mark=math.inf).marks(note)


def test_value_by_value_the_narrowest_counts() -> None:
    policies = (
        SpamPolicy("alias", hold=3.0, subject_prefix=""),
        SpamPolicy("account", hold=9.0, refuse=math.inf, subject_prefix="[SPAM]"),
        SpamPolicy("domain", mark=0.5, refuse=1.2, when_unscanned="defer"),
    )
    rules = effective(RULES, policies)
    assert rules == replace(RULES, mark=0.5, hold=3.0, refuse=math.inf, when_unscanned="defer")
    found = [origin(policies, name) for name in ("mark", "hold", "refuse", "subject_prefix", "discard")]
    assert found == ["domain", "alias", "account", "alias", NODE]
    assert effective(RULES, ()) is RULES


def test_the_settings_are_the_rules() -> None:
    names = [field.name for field in fields(SpamRules)]
    assert sorted(names) == sorted(POLICY_NAMES)
    assert rules_of(replace(RULES, mark=7.0)) == replace(RULES, mark=7.0)


@pytest.mark.parametrize(
    ("policies", "said"),
    [
        ((SpamPolicy("alias", hold=0.5),), "hold 0.5 (of the alias) is below mark 1 (of the settings)"),
        ((SpamPolicy("domain", mark=5.0),), "hold 2 (of the settings) is below mark 5 (of the domain)"),
        ((SpamPolicy("alias", discard=0.9),), "discard 0.9 (of the alias) is below mark 1 (of the settings)"),
        ((SpamPolicy("alias", refuse=0.9),), "refuse 0.9 (of the alias) is below mark 1 (of the settings)"),
        ((SpamPolicy("alias", hold=4.0, discard=3.0),), "nothing would ever be held"),
        ((SpamPolicy("alias", hold=0.5, mark=0.5),), ""),
        ((SpamPolicy("alias", hold=0.5, mark=math.inf),), ""),
        ((SpamPolicy("alias", hold=math.inf, discard=3.0),), ""),
        ((SpamPolicy("alias", discard=1.8),), ""),
        ((SpamPolicy("alias", when_unscanned="hold"), SpamPolicy("domain", mark=5.0)), ""),
    ],
)
def test_what_makes_no_sense(policies: tuple[SpamPolicy, ...], said: str) -> None:
    changed = [name for name in POLICY_NAMES if getattr(policies[0], name) is not None]
    told = objection(effective(RULES, policies), policies, policies[0].scope, changed)
    assert said in told
    assert bool(told) == bool(said)


@pytest.mark.parametrize(
    ("changed", "policies", "said"),
    [
        ("mark", (SpamPolicy("alias", hold=2.0), SpamPolicy("domain", mark=5.0)), "hold 2 (of the alias) is"),
        (
            "hold",
            (SpamPolicy("alias", mark=5.0), SpamPolicy("domain", hold=3.0)),
            "hold 3 (of the domain) is",
        ),
        ("mark", (SpamPolicy("account", discard=4.0), SpamPolicy("domain", mark=5.0)), "hold 2"),
        (
            "mark",
            (SpamPolicy("alias", hold=0.5),),
            "hold 0.5 (of the alias) is below mark 1 (of the settings)",
        ),
        ("mark", (SpamPolicy("alias", mark=6.0, hold=2.0), SpamPolicy("domain", mark=5.0)), ""),
        ("hold", (SpamPolicy("alias", hold=2.0, mark=5.0), SpamPolicy("domain", hold=3.0)), ""),
        ("subject_prefix", (SpamPolicy("alias", hold=0.5), SpamPolicy("domain", subject_prefix="*")), ""),
        ("mark", (SpamPolicy("alias", mark=0.5, hold=0.7), SpamPolicy("domain", mark=5.0)), ""),
    ],
)
def test_what_a_wider_change_is_to_blame_for(
    changed: str, policies: tuple[SpamPolicy, ...], said: str
) -> None:
    told = contradiction(effective(RULES, policies), policies, "domain", [changed])
    assert said in told
    assert bool(told) == bool(said)


def test_nothing_but_marking_by_default() -> None:
    assert SpamRules().forward(spam(1e9), may_refuse=True).kind is Kind.DELIVER


@pytest.mark.parametrize(
    ("policy", "kind"), [("tag", Kind.DELIVER), ("hold", Kind.HOLD), ("defer", Kind.DEFER)]
)
def test_what_nobody_judged(policy: str, kind: Kind) -> None:
    rules = replace(RULES, when_unscanned=policy)
    assert rules.forward(UNSCANNED, may_refuse=False).kind is kind
    assert rules.reply(UNSCANNED).kind is kind
    bypassed = SpamNote(unscanned=Reason.BYPASSED)
    assert rules.forward(bypassed, may_refuse=False).kind is Kind.DELIVER, "the emergency switch"
    assert rules.reply(None).kind is Kind.DELIVER, "no engine is set up"


def sifting(
    folder: Path, ratio: float, rules: SpamRules = RULES, replies: int = 100
) -> contextlib.AbstractContextManager[Rig]:
    """An engine before which every message has that ratio; NaN: none has judged."""

    def scan(content: bytes, facts: Facts, deadline: Deadline) -> Scan:
        if math.isnan(ratio):
            return Scan(None, "", (Attempt("spamd", Reason.TIMEOUT),), 1.0)
        return Scan(Score(ratio, 1.0), "spamd", (), 1.0)

    return engine_rig.rig(folder, scan, rules=rules, replies=replies)


def told(rig: Rig) -> str:
    field = split(rig.out.sent[-1][2])[0].get("x-postmask-spam")
    assert field is not None
    return field.value.decode()


@pytest.mark.parametrize(
    ("ratio", "client", "kind", "outcome", "event"),
    [
        (1.2, FOREIGN, Kind.DELIVER, "delivered", "forwarded"),
        (2.5, FOREIGN, Kind.DELIVER, "held", "held"),
        (2.5, LOGGED_IN, Kind.REJECT, "refused", "refused"),
        (5.0, FOREIGN, Kind.DISCARD, "discarded", "discarded"),
    ],
)
def test_each_ends_with_its_record(
    tmp_path: Path, ratio: float, client: Client, kind: Kind, outcome: str, event: str
) -> None:
    with sifting(tmp_path, ratio) as rig:
        assert rig.deliver(client=client).kind is kind
        assert (rig.outcomes(), rig.events()) == ([outcome], [event])
        assert (len(rig.out.sent), len(rig.held.sent)) == (outcome == "delivered", outcome == "held")


def test_what_is_held_is_the_finished_copy(tmp_path: Path) -> None:
    with sifting(tmp_path, 2.5) as rig:
        rig.deliver()
        ((_, recipient, content),) = rig.held.sent
        assert recipient == "me@real.test"
        assert b"X-Postmask-Spam: yes; ratio=2.50 engine=spamd\r\n" in content


def subject(rig: Rig) -> str:
    field = split(rig.out.sent[-1][2])[0].get("subject")
    assert field is not None
    return field.text


def test_what_is_set_for_the_alias_counts(tmp_path: Path) -> None:
    with sifting(tmp_path, 2.5) as rig:
        rig.directory.policies = (SpamPolicy("alias", refuse=math.inf, hold=3.0, subject_prefix="[SPAM]"),)
        assert rig.deliver().kind is Kind.DELIVER
        assert (told(rig)[:4], subject(rig)) == ("yes;", "[SPAM] s")
        rig.directory.policies = (
            SpamPolicy("alias", refuse=math.inf, hold=3.0, mark=2.6, subject_prefix="[SPAM]"),
        )
        assert rig.deliver(content=PLAIN + b"again\r\n").kind is Kind.DELIVER
        assert (told(rig)[:4], subject(rig)) == ("no; ", "s")


def test_without_its_rules_a_message_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sifting(tmp_path, 2.5) as rig:
        monkeypatch.setattr(rig.directory, "spam_policies", lambda alias: Unavailable("gone"))
        verdict = rig.deliver()
        assert (verdict.kind, verdict.status, rig.outcomes()) == (Kind.DEFER, "4.3.0", [])


def test_a_quarantined_message_is_marked_or_held(tmp_path: Path) -> None:
    with sifting(tmp_path, 0.1) as rig:
        rig.dns.txts["_dmarc.example.com"] = [b"v=DMARC1; p=quarantine"]
        rig.directory.policies = (SpamPolicy("account", subject_prefix="***"),)
        allow(rig)
        assert rig.deliver().kind is Kind.DELIVER
        assert (told(rig), subject(rig)) == ("yes; dmarc=quarantine ratio=0.10 engine=spamd", "*** s")
        rig.directory.policies = (SpamPolicy("account", dmarc_quarantine="hold"),)
        rig.deliver(content=PLAIN + b"again\r\n")
        assert rig.outcomes() == ["delivered", "held"]
        rig.deliver(content=PLAIN + b"by its owner\r\n", client=LOGGED_IN)
        assert rig.outcomes() == ["delivered", "delivered", "held"]


def allow(rig: Rig) -> None:
    token = reverse_token(KEYS, 7, "bob@example.com")
    contact = Contact(7, "bob@example.com", None, ContactRule.ALLOW, token)
    rig.directory.contacts[7, "bob@example.com"] = contact


def test_an_allowed_contact_is_never_marked_or_held(tmp_path: Path) -> None:
    with sifting(tmp_path, 9.0) as rig:
        allow(rig)
        assert rig.deliver().kind is Kind.DELIVER
        assert told(rig).startswith("no; ratio=9.00")


def test_who_forges_an_allowed_contact_is_not_it(tmp_path: Path) -> None:
    with sifting(tmp_path, 9.0) as rig:
        allow(rig)
        rig.dns.txts["_dmarc.example.com"] = [b"v=DMARC1; p=none"]
        assert rig.deliver().kind is Kind.DISCARD


@pytest.mark.parametrize(
    "author",
    [b"From: bob@example.com, eve@evil.test", b"From: bob@example.com\r\nFrom: eve@evil.test", b"From: Bob"],
)
def test_an_allowed_contact_has_a_domain_that_speaks_for_it(tmp_path: Path, author: bytes) -> None:
    with sifting(tmp_path, 9.0) as rig:
        allow(rig)
        rig.dns.txts["_dmarc.example.com"] = [b"v=DMARC1; p=reject"]
        content = PLAIN.replace(b"From: Bob <bob@example.com>", author)
        assert rig.deliver(content=content).kind is Kind.DISCARD


def test_unscanned_waits_where_that_is_set(tmp_path: Path) -> None:
    with sifting(tmp_path, math.nan, replace(RULES, when_unscanned="defer")) as rig:
        verdict = rig.deliver()
        assert (verdict.code, verdict.status) == (450, "4.7.1")
        assert rig.outcomes() == []


def test_a_reply_waits_likewise(tmp_path: Path) -> None:
    with sifting(tmp_path, math.nan) as rig:
        reverse = known_reverse_alias(rig)
        rig.directory.policies = (SpamPolicy("alias", when_unscanned="defer"),)
        verdict = reply(rig, reverse)
        assert (verdict.code, verdict.status) == (450, "4.7.1")
        assert (len(rig.out.sent), rig.held.sent) == (1, [])


REPLY = b"From: me@real.test\r\nTo: x\r\n\r\nYes.\r\n"


def reply(rig: Rig, reverse: str, content: bytes = REPLY) -> Verdict:
    return rig.deliver(reverse, content, "me@real.test", LOGGED_IN)


def test_a_reply_that_is_spam_is_held_and_its_owner_told(tmp_path: Path) -> None:
    with sifting(tmp_path, 1.1) as rig:
        reverse = known_reverse_alias(rig)
        assert reply(rig, reverse).kind is Kind.DELIVER
        assert [recipient for _, recipient, _ in rig.held.sent] == ["bob@example.com"]
        assert b"X-Postmask-Spam" not in rig.held.sent[0][2]
        (notice,) = rig.spool.due_notices(9)
        assert "spam ratio 1.10 by spamd" in notice.text
        assert notice.text.endswith("\n\nYour mail operator can see and release what is held.\n")


def test_the_contact_does_not_see_our_mark(tmp_path: Path) -> None:
    answer = REPLY.replace(b"To: x", b"To: x\r\nSubject: Re: [SPAM] s")
    with sifting(tmp_path, 0.1) as rig:
        reverse = known_reverse_alias(rig)
        reply(rig, reverse, answer)
        assert subject(rig) == "Re: [SPAM] s", "it isn't ours"
        rig.directory.policies = (SpamPolicy("alias", subject_prefix="[SPAM]"),)
        reply(rig, reverse, answer + b"Again.\r\n")
        assert subject(rig) == "Re: s"
        rig.deliver(reverse, answer + b"Forged.\r\n", "me@real.test", FOREIGN)
        assert b"Subject: Re: s\r\n" in rig.held.sent[-1][2], "not proven, and held as it would go out"


def test_a_mailbox_has_so_many_replies_an_hour(tmp_path: Path) -> None:
    with sifting(tmp_path, 0.1, replies=2) as rig:
        reverse = known_reverse_alias(rig)
        # The first comes again, though it was sent.
        kinds = [reply(rig, reverse, REPLY + b"%d\r\n" % number).kind for number in (0, 0, 1, 2)]
        assert kinds == [Kind.DELIVER, Kind.DELIVER, Kind.DELIVER, Kind.DEFER]
        verdict = reply(rig, reverse, REPLY + b"2\r\n")
        assert (verdict.code, verdict.status) == (450, "4.7.1")
        rig.clock.advance(3_601)
        assert reply(rig, reverse, REPLY + b"2\r\n").kind is Kind.DELIVER


def test_a_reply_counts_when_it_is_sent(tmp_path: Path) -> None:
    with sifting(tmp_path, 0.1, replies=1) as rig:
        reverse = known_reverse_alias(rig)
        rig.out.answers = [Refused(451, "4.3.0", "no")]
        assert [reply(rig, reverse).kind for _ in range(2)] == [Kind.DEFER, Kind.DELIVER]
        assert reply(rig, reverse, REPLY + b"another\r\n").status == "4.7.1"


def known_reverse_alias(rig: Rig) -> str:
    rig.directory.aliases["shop@alias.test"] = alias(mailboxes=(mailbox(login="me"),))
    assert rig.deliver(content=PLAIN).kind is Kind.DELIVER
    known = rig.spool.contact(7, "bob@example.com")
    assert known is not None
    return f"bob-at-example-com.{known.token}@alias.test"
