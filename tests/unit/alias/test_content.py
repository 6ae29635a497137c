"""What becomes of a whole message, recipient by recipient, and when all agree."""

from __future__ import annotations

from dataclasses import replace

import pytest

import directories
from postmask.address import Address, parse
from postmask.alias.content import Content, Wishes, agreed, judge
from postmask.alias.facts import Facts
from postmask.alias.sifting import SpamRules
from postmask.auth.claims import Claims
from postmask.authentication import Authentication, DkimResult, Dmarc, DmarcResult, Policy, Spf, SpfResult
from postmask.directory.lookup import ABSENT, Found, Unavailable
from postmask.directory.records import BlockAction, Domain, ReverseAlias, SenderRule
from postmask.message.evidence import SpamNote
from postmask.tokens import Postmaster, Reverse
from postmask.verdict import Kind, defer, deliver, discard, reject

NOW = 1_800_000_000
ALIAS = directories.alias()
TOKEN = "aaaabbbbccccddddeeeeffff"
REVERSE = parse(f"bob.{TOKEN}@alias.test")
SHOP = parse("shop@alias.test")
DOMAIN = Found(Domain(3, "alias.test", 1, "postmaster@real.test"))
OF_ALIAS = Facts(DOMAIN, alias=Found(ALIAS))
KNOWN = ReverseAlias(TOKEN, ALIAS, "bob@example.com", None)
OF_REVERSE = Facts(DOMAIN, reserved=Reverse(TOKEN), reverse=Found(KNOWN))
SIGNED = DkimResult(
    "real.test", "s1", passed=True, signed=("from", "to", "date"), algorithm="rsa", key_bits=2048, b=b"s"
)
NONE = SpfResult(Spf.NONE, "real.test")
PASSED = Authentication(NONE, NONE, (SIGNED,), DmarcResult(Dmarc.PASS, domain="real.test"))
REJECTED = DmarcResult(Dmarc.FAIL, Policy.REJECT, "real.test", "real.test")
OWNER = parse("me@real.test")
CLAIMS = Claims(author=OWNER, to=((REVERSE.key,),), date=NOW)
PLAIN = Content(CLAIMS, PASSED, login=None, own=False, trusted=False, spam=None, now=NOW)
FORGED = replace(PLAIN, authentication=replace(PASSED, dkim=(), dmarc=REJECTED))
BLOCKED = SenderRule(BlockAction.REJECT, "alias", "me@real.test")


WISHES = Wishes(SpamRules(hold=2.0, refuse=3.0, hold_replies=1.0, when_unscanned="defer"))
SPAM = SpamNote("spamd", 3.0)
UNSCANNED = SpamNote(unscanned="no time")


def status(content: Content, recipient: Address, facts: Facts, wishes: Wishes | None = WISHES) -> str:
    return judge(content, recipient, facts, wishes).status


@pytest.mark.parametrize(
    ("content", "facts", "wanted"),
    [
        (PLAIN, OF_ALIAS, "2.1.5"),
        (FORGED, OF_ALIAS, "5.7.26"),
        (replace(FORGED, trusted=True), OF_ALIAS, "2.1.5"),
        (replace(FORGED, own=True), OF_ALIAS, "2.1.5"),
        (replace(FORGED, login="jane"), OF_ALIAS, "2.1.5"),
        (FORGED, Facts(DOMAIN, reserved=Postmaster("abuse")), "2.1.5"),
        (PLAIN, replace(OF_ALIAS, rule=Found(BLOCKED)), "5.7.1"),
        (PLAIN, replace(OF_ALIAS, rule=Unavailable("gone")), "2.1.5"),
        (PLAIN, Facts(Unavailable("gone")), "2.1.5"),
    ],
)
def test_of_an_alias(content: Content, facts: Facts, wanted: str) -> None:
    assert status(content, SHOP, facts) == wanted


@pytest.mark.parametrize("policy", [Policy.NONE, Policy.QUARANTINE])
def test_a_milder_policy_refuses_nothing(policy: Policy) -> None:
    milder = replace(FORGED, authentication=replace(PASSED, dmarc=replace(REJECTED, policy=policy)))
    assert status(milder, SHOP, OF_ALIAS) == "2.1.5"
    assert milder.quarantined == (policy is Policy.QUARANTINE)


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("result", [result for result in Dmarc if result is not Dmarc.FAIL])
def test_of_who_does_not_fail_dmarc_nothing_is_asked(result: Dmarc, policy: Policy) -> None:
    found = replace(PASSED, dmarc=DmarcResult(result, policy, "real.test", "real.test"))
    content = replace(PLAIN, authentication=found)
    assert judge(content, SHOP, OF_ALIAS, WISHES).kind is Kind.DELIVER
    assert not content.quarantined


def test_a_block_that_discards_is_no_refusal() -> None:
    rule = Found(replace(BLOCKED, action=BlockAction.DISCARD))
    verdict = judge(PLAIN, SHOP, replace(OF_ALIAS, rule=rule), WISHES)
    assert verdict.kind == discard("x").kind
    assert agreed([verdict]) is None
    assert judge(FORGED, SHOP, replace(OF_ALIAS, rule=rule), WISHES).kind is Kind.DISCARD


@pytest.mark.parametrize(
    ("note", "facts", "kind"),
    [
        (SPAM, OF_ALIAS, Kind.REJECT),
        (replace(SPAM, ratio=2.0), OF_ALIAS, Kind.HOLD),
        (replace(SPAM, ratio=1.9), OF_ALIAS, Kind.DELIVER),
        (UNSCANNED, OF_ALIAS, Kind.DEFER),
        (SpamNote(unscanned="bypassed"), OF_ALIAS, Kind.DELIVER),
        (SPAM, replace(OF_ALIAS, detail="bob=example.com"), Kind.DELIVER),
        (SPAM, replace(OF_ALIAS, detail="news"), Kind.REJECT),
        (SPAM, Facts(DOMAIN, reserved=Postmaster("abuse")), Kind.DELIVER),
        (SPAM, OF_REVERSE, Kind.HOLD),
        (replace(SPAM, ratio=1.0), OF_REVERSE, Kind.HOLD),
        (replace(SPAM, ratio=0.9), OF_REVERSE, Kind.DELIVER),
        (UNSCANNED, OF_REVERSE, Kind.DEFER),
    ],
)
def test_of_spam(note: SpamNote, facts: Facts, kind: Kind) -> None:
    recipient = REVERSE if facts is OF_REVERSE else SHOP
    content = replace(PLAIN, spam=note)
    assert judge(content, recipient, facts, WISHES).kind is kind
    assert judge(content, recipient, facts, None).kind is Kind.DELIVER, "nobody can say what is wished for"


def test_an_allowed_contact_is_no_spam_unless_forged() -> None:
    allowed = replace(WISHES, allowed=True)
    assert judge(replace(PLAIN, spam=SPAM), SHOP, OF_ALIAS, allowed).kind is Kind.DELIVER
    fails = replace(PASSED, dmarc=replace(REJECTED, policy=Policy.NONE))
    assert judge(replace(PLAIN, spam=SPAM, authentication=fails), SHOP, OF_ALIAS, allowed).kind is Kind.REJECT


def test_quarantine_holds_where_that_is_set() -> None:
    asked = replace(REJECTED, policy=Policy.QUARANTINE)
    content = replace(PLAIN, authentication=replace(PASSED, dmarc=asked))
    holding = Wishes(SpamRules(dmarc_quarantine="hold"))
    assert judge(content, SHOP, OF_ALIAS, holding).kind is Kind.HOLD
    assert judge(content, SHOP, OF_ALIAS, WISHES).kind is Kind.DELIVER
    assert judge(replace(content, trusted=True), SHOP, OF_ALIAS, holding).kind is Kind.DELIVER


UNSURE = replace(SIGNED, passed=False, temporary=True, key_bits=0)


@pytest.mark.parametrize(
    ("content", "facts", "wanted"),
    [
        (PLAIN, OF_REVERSE, "2.1.5"),
        (FORGED, OF_REVERSE, "5.7.1"),
        (replace(PLAIN, claims=replace(CLAIMS, author=parse("eve@example.com"))), OF_REVERSE, "5.7.1"),
        (replace(PLAIN, claims=replace(CLAIMS, author=None)), OF_REVERSE, "5.7.1"),
        (replace(FORGED, authentication=replace(PASSED, dkim=(UNSURE,))), OF_REVERSE, "2.1.5"),
        (
            replace(FORGED, spam=UNSCANNED, authentication=replace(PASSED, dkim=(UNSURE,))),
            OF_REVERSE,
            "2.1.5",
        ),
        (FORGED, replace(OF_REVERSE, reverse=ABSENT), "2.1.5"),
        (FORGED, replace(OF_REVERSE, reverse=Unavailable("gone")), "2.1.5"),
    ],
)
def test_of_a_reverse_alias(content: Content, facts: Facts, wanted: str) -> None:
    assert status(content, REVERSE, facts) == wanted


def test_a_reverse_alias_is_the_same_in_any_case() -> None:
    assert status(PLAIN, parse(f"BOB.{TOKEN.upper()}@alias.test"), OF_REVERSE) == "2.1.5"


def test_spf_speaks_for_no_client_of_our_own() -> None:
    alias = replace(ALIAS, mailboxes=(directories.mailbox(allow_spf=True),))
    facts = replace(OF_REVERSE, reverse=Found(replace(KNOWN, alias=alias)))
    passed = replace(PASSED, dkim=(), spf=SpfResult(Spf.PASS, "real.test"))
    content = replace(PLAIN, authentication=passed)
    assert status(content, REVERSE, facts) == "2.1.5"
    assert status(replace(content, own=True), REVERSE, facts) == "5.7.1"


def test_a_login_proves_a_reply_whatever_dmarc_says() -> None:
    mailbox = directories.mailbox(login="jane")
    alias = replace(ALIAS, mailboxes=(mailbox,))
    facts = replace(OF_REVERSE, reverse=Found(replace(KNOWN, alias=alias)))
    assert status(replace(FORGED, login="jane"), REVERSE, facts) == "2.1.5"
    assert status(replace(FORGED, login="joan"), REVERSE, facts) == "5.7.1"


def test_no_refusal_says_whose_mail_it_is() -> None:
    for content, recipient, facts in ((FORGED, SHOP, OF_ALIAS), (FORGED, REVERSE, OF_REVERSE)):
        verdict = judge(content, recipient, facts, WISHES)
        assert "@" not in verdict.text
        assert "real.test" not in verdict.text


def test_all_must_agree() -> None:
    first, second = reject("5.7.1", "one"), reject("5.7.26", "two")
    assert agreed([first, second]) is first
    assert agreed([first, deliver(), second]) is None
    later = defer("4.7.1", "later")
    assert agreed([later, later]) is later
    assert agreed([later, first]) is None
    assert agreed([first, later]) is None
    assert agreed([]) is None


def test_none_is_asked_behind_one_who_takes_it() -> None:
    def verdicts():
        yield deliver()
        raise AssertionError("asked on")

    assert agreed(verdicts()) is None
