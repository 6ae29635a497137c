"""The reply rule, as a table: what proves an owner, what decides nothing, and every known way to cheat."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmask.address import parse
from postmask.auth.claims import Claims
from postmask.auth.proof import (
    EARLIEST,
    MARKS_KEPT,
    By,
    Proven,
    ReplyEvidence,
    Undecided,
    Unproven,
    mark,
    prove,
)
from postmask.authentication import DkimResult, Spf, SpfResult
from postmask.directory.records import Mailbox, MailboxState

NOW = 1_800_000_000
DAY = 86_400
OWNER = parse("owner@example.com")
REVERSE = "bob-at-example-net.aaaabbbbccccddddeeeeffff@alias.test"
MAILBOX = Mailbox(
    id=1, account_id=1, address="owner@example.com", state=MailboxState.ACTIVE, senders=("also@example.org",)
)
SIGNED_ALL = ("from", "from", "to", "cc", "subject", "date", "message-id")
MICROSOFT = ("from", "date", "subject", "message-id", "content-type", "mime-version")
GOOD = DkimResult(
    domain="example.com",
    selector="s1",
    passed=True,
    signed=SIGNED_ALL,
    algorithm="rsa",
    key_bits=2048,
    b=b"signature",
)
BY_MICROSOFT = replace(GOOD, signed=MICROSOFT)
FAILED = replace(GOOD, passed=False, reason="the body was changed")
NO_KEY_NOW = replace(GOOD, passed=False, temporary=True, key_bits=0, reason="DNS did not answer")
PASS = SpfResult(Spf.PASS, "example.com")
UNSURE = SpfResult(Spf.TEMPERROR, "example.com")
CLAIMS = Claims(author=OWNER, to=((REVERSE,),), date=NOW - 60)
WILLING = replace(MAILBOX, allow_spf=True)

EVIDENCE = ReplyEvidence(
    claims=CLAIMS,
    reverse_alias=REVERSE,
    mailboxes=(MAILBOX,),
    login=None,
    dkim=(),
    spf=None,
    client_trusted=False,
    now=NOW,
)


def case(**changes: object) -> ReplyEvidence:
    """The evidence with changes; those of the claims are named claims_…"""
    claims = {name[7:]: value for name, value in changes.items() if name.startswith("claims_")}
    rest = {name: value for name, value in changes.items() if not name.startswith("claims_")}
    return replace(EVIDENCE, claims=replace(CLAIMS, **claims), **rest)


def address(text: str):
    return parse(text)


PROVEN = {
    "a: login": (case(mailboxes=(replace(MAILBOX, login="Owner"),), login="Owner"), By.LOGIN),
    "a: login, nothing else in order": (
        case(
            mailboxes=(replace(MAILBOX, login="o"),),
            login="o",
            dkim=(FAILED,),
            claims_date=None,
            claims_to=(),
        ),
        By.LOGIN,
    ),
    "b: DKIM": (case(dkim=(GOOD,)), By.DKIM),
    "b: only Cc signed, and named there": (
        case(dkim=(replace(GOOD, signed=("from", "date", "cc")),), claims_to=(), claims_cc=((REVERSE,),)),
        By.DKIM,
    ),
    "b: among other recipients": (
        case(dkim=(GOOD,), claims_to=(("eve@example.net", REVERSE),), claims_cc=(("x@example.net",),)),
        By.DKIM,
    ),
    "b: signed by a domain above": (
        case(
            dkim=(GOOD,),
            claims_author=address("owner@mail.example.com"),
            mailboxes=(replace(MAILBOX, address="owner@mail.example.com"),),
        ),
        By.DKIM,
    ),
    "b: signed by a domain below": (case(dkim=(replace(GOOD, domain="mail.example.com"),)), By.DKIM),
    "b: Ed25519": (case(dkim=(replace(GOOD, algorithm="ed25519", key_bits=256),)), By.DKIM),
    "b: 1024 bits": (case(dkim=(replace(GOOD, key_bits=1024),)), By.DKIM),
    "b: five days old": (case(dkim=(GOOD,), claims_date=NOW - 5 * DAY), By.DKIM),
    "b: a clock that is ahead": (case(dkim=(GOOD,), claims_date=NOW + DAY), By.DKIM),
    "b: expired since it came": (case(dkim=(replace(GOOD, expires=NOW - 1),)), By.DKIM),
    "b: authorised sender": (
        case(dkim=(replace(GOOD, domain="example.org"),), claims_author=address("ALSO@example.org")),
        By.DKIM,
    ),
    "b: among bad and foreign signatures": (
        case(dkim=(replace(GOOD, domain="esp.example"), FAILED, NO_KEY_NOW, GOOD)),
        By.DKIM,
    ),
    "b: a paused mailbox is still its owner's": (
        case(dkim=(GOOD,), mailboxes=(replace(MAILBOX, state=MailboxState.PAUSED),)),
        By.DKIM,
    ),
    "b: from a client of the site": (case(dkim=(GOOD,), client_trusted=True), By.DKIM),
    "b: where SPF fails": (case(dkim=(GOOD,), spf=SpfResult(Spf.FAIL, "example.com")), By.DKIM),
    "b: where SPF is unsure": (case(dkim=(GOOD,), spf=UNSURE), By.DKIM),
    "c: as Microsoft 365 signs": (case(dkim=(BY_MICROSOFT,), spf=PASS), By.DKIM_SPF),
    "c: the reverse alias in Bcc": (
        case(dkim=(GOOD,), spf=PASS, claims_to=(("somebody@example.net",),)),
        By.DKIM_SPF,
    ),
    "c: no recipients at all": (case(dkim=(GOOD,), spf=PASS, claims_to=()), By.DKIM_SPF),
    "d: SPF alone": (case(spf=PASS, mailboxes=(WILLING,)), By.SPF),
    "d: with a broken signature": (case(spf=PASS, mailboxes=(WILLING,), dkim=(FAILED,)), By.SPF),
}


@pytest.mark.parametrize(("evidence", "by"), PROVEN.values(), ids=PROVEN)
def test_proven(evidence, by):
    proof = prove(evidence)
    assert isinstance(proof, Proven), proof
    assert proof.by is by
    assert proof.identity == evidence.claims.author
    assert proof.mailbox == evidence.mailboxes[0]
    assert bool(proof.signatures) is (by in (By.DKIM, By.DKIM_SPF))


UNPROVEN = {
    "forged: nothing at all": case(),
    "forged: from a foreign client, SPF fails": case(
        spf=SpfResult(Spf.FAIL, "example.com"), mailboxes=(WILLING,)
    ),
    "forged: the attacker's own signature and SPF": case(
        dkim=(replace(GOOD, domain="attacker.example"),), spf=SpfResult(Spf.PASS, "attacker.example")
    ),
    "forged: the attacker's own SPF, envelope only": case(
        spf=SpfResult(Spf.PASS, "attacker.example"), mailboxes=(WILLING,)
    ),
    "forged: another gmail.com user's own signed message": case(
        dkim=(replace(GOOD, domain="gmail.com"),),
        spf=SpfResult(Spf.PASS, "gmail.com"),
        claims_author=address("eve@gmail.com"),
        mailboxes=(replace(WILLING, address="owner@gmail.com"),),
    ),
    "forged: a sibling domain signs": case(dkim=(replace(GOOD, domain="evil-example.com"),)),
    "forged: a top-level domain signs": case(dkim=(replace(GOOD, domain="com"),)),
    "forged: a public suffix signs": case(
        dkim=(replace(GOOD, domain="github.io"),),
        claims_author=address("owner@owner.github.io"),
        mailboxes=(replace(MAILBOX, address="owner@owner.github.io"),),
    ),
    "replayed: an old message": case(dkim=(GOOD,), claims_date=NOW - 5 * DAY - 1),
    "replayed: an old message to somebody else": case(dkim=(GOOD,), claims_to=(("shop@example.net",),)),
    "replayed: Date in the far future": case(dkim=(GOOD,), claims_date=NOW + DAY + 1),
    "replayed: Date added on top of the signed one": case(dkim=(GOOD,), claims_date=None),
    "replayed: Date not signed": case(dkim=(replace(GOOD, signed=("from", "to")),)),
    "replayed: To added on top of the signed one": case(
        dkim=(replace(GOOD, signed=("from", "to", "date")),), claims_to=((REVERSE,), ("shop@example.net",))
    ),
    "replayed: Cc added, To signed": case(
        dkim=(replace(GOOD, signed=("from", "to", "date")),),
        claims_to=(("shop@example.net",),),
        claims_cc=((REVERSE,),),
    ),
    "replayed: as Microsoft 365 signs, from a foreign client": case(
        dkim=(BY_MICROSOFT,), spf=SpfResult(Spf.FAIL, "example.com")
    ),
    "replayed: as Microsoft 365 signs, SPF of another domain": case(
        dkim=(BY_MICROSOFT,), spf=SpfResult(Spf.PASS, "attacker.example")
    ),
    "replayed: as Microsoft 365 signs, by way of the site": case(
        dkim=(BY_MICROSOFT,), spf=PASS, client_trusted=True
    ),
    "appended: l=": case(dkim=(replace(GOOD, has_length=True),)),
    "appended: l=, SPF as well": case(dkim=(replace(GOOD, has_length=True),), spf=PASS),
    "To not signed, SPF soft-fails": case(
        dkim=(replace(GOOD, signed=("from", "date")),), spf=SpfResult(Spf.SOFTFAIL, "example.com")
    ),
    "To not signed, no SPF": case(dkim=(replace(GOOD, signed=("from", "date")),)),
    "From not signed": case(dkim=(replace(GOOD, signed=("to", "date")),), spf=PASS),
    "SPF alone, not allowed": case(spf=PASS),
    "SPF alone, from the site itself": case(spf=PASS, mailboxes=(WILLING,), client_trusted=True),
    "SPF alone, a shared provider": case(
        spf=SpfResult(Spf.PASS, "outlook.com"),
        claims_author=address("owner@outlook.com"),
        mailboxes=(replace(WILLING, address="owner@outlook.com"),),
    ),
    "a short key": case(dkim=(replace(GOOD, key_bits=512),)),
    "a failed signature": case(dkim=(FAILED,), spf=PASS),
    "somebody else's login": case(mailboxes=(replace(MAILBOX, login="owner"),), login="eve"),
    "a login that no mailbox has": case(login="eve"),
    "a login of another mailbox of the alias": case(
        mailboxes=(MAILBOX, replace(MAILBOX, id=2, address="second@example.com", senders=(), login="second")),
        login="second",
    ),
    "several From fields": case(dkim=(GOOD,), claims_author=None, claims_fault="several From fields"),
    "From is another address of the owner's domain": case(
        dkim=(GOOD,), claims_author=address("eve@example.com")
    ),
    "From with detail is another address": case(dkim=(GOOD,), claims_author=address("owner+x@example.com")),
    "From looks alike": case(dkim=(GOOD,), claims_author=address("own\u0435r@example.com")),
    "an unconfirmed mailbox": case(
        dkim=(GOOD,), mailboxes=(replace(MAILBOX, state=MailboxState.UNCONFIRMED),)
    ),
    "an unconfirmed mailbox with a login": case(
        mailboxes=(replace(MAILBOX, state=MailboxState.UNCONFIRMED, login="owner"),), login="owner"
    ),
    "no mailboxes": case(dkim=(GOOD,), mailboxes=()),
    "DNS trouble, but nothing that it could save: old": case(dkim=(NO_KEY_NOW,), claims_date=NOW - 6 * DAY),
    "DNS trouble, but nothing that it could save: l=": case(dkim=(replace(NO_KEY_NOW, has_length=True),)),
    "DNS trouble, but nothing that it could save: foreign": case(
        dkim=(replace(NO_KEY_NOW, domain="attacker.example"),)
    ),
    "DNS trouble with SPF, which alone proves nothing": case(spf=UNSURE),
    "DNS trouble with SPF, the signature fails": case(spf=UNSURE, dkim=(replace(FAILED, signed=MICROSOFT),)),
    "DNS trouble with the key, SPF fails, To not signed": case(
        dkim=(replace(NO_KEY_NOW, signed=MICROSOFT),), spf=SpfResult(Spf.FAIL, "example.com")
    ),
    "DNS trouble with SPF of the site": case(spf=UNSURE, mailboxes=(WILLING,), client_trusted=True),
}


@pytest.mark.parametrize("evidence", UNPROVEN.values(), ids=UNPROVEN)
def test_unproven(evidence):
    proof = prove(evidence)
    assert isinstance(proof, Unproven), proof
    assert proof.reason
    assert "@" not in proof.reason


UNDECIDED = {
    "b: no key now": case(dkim=(NO_KEY_NOW,)),
    "b: no key now, another signature is broken": case(dkim=(FAILED, NO_KEY_NOW)),
    "c: no key now, SPF passes": case(dkim=(replace(NO_KEY_NOW, signed=MICROSOFT),), spf=PASS),
    "c: the key is there, SPF unsure": case(dkim=(BY_MICROSOFT,), spf=UNSURE),
    "c: neither": case(dkim=(replace(NO_KEY_NOW, signed=MICROSOFT),), spf=UNSURE),
    "d: SPF unsure": case(spf=UNSURE, mailboxes=(WILLING,)),
}


@pytest.mark.parametrize("evidence", UNDECIDED.values(), ids=UNDECIDED)
def test_undecided(evidence):
    proof = prove(evidence)
    assert isinstance(proof, Undecided), proof
    assert proof.reason


def test_several_mailboxes():
    second = replace(WILLING, id=2, address="second@example.com", login="second", senders=())
    mailboxes = (MAILBOX, second)
    by_dkim = prove(case(dkim=(GOOD,), mailboxes=mailboxes, claims_author=address("second@example.com")))
    assert isinstance(by_dkim, Proven)
    assert by_dkim.mailbox == second
    shared = (MAILBOX, replace(second, senders=("owner@example.com",)))
    by_login = prove(case(login="second", mailboxes=shared))
    assert isinstance(by_login, Proven)
    assert by_login.mailbox == shared[1]
    by_spf = prove(case(spf=PASS, mailboxes=shared))
    assert isinstance(by_spf, Proven)
    assert by_spf.mailbox == shared[1]


def test_every_aligned_signature_is_told_of():
    """Whoever replays a message with two signatures may take one off, or meet a key that DNS did not
    give before: each of them is used up."""
    second = replace(NO_KEY_NOW, b=b"second")
    foreign = replace(GOOD, domain="esp.example", b=b"foreign")
    proof = prove(case(dkim=(foreign, GOOD, second, GOOD)))
    assert isinstance(proof, Proven)
    assert proof.signatures == (b"signature", b"second")


def test_marks_are_kept_until_nothing_is_proven_by_their_signature_any_more():
    ahead = NOW + EARLIEST
    assert isinstance(prove(case(dkim=(GOOD,), claims_date=ahead)), Proven)
    assert isinstance(prove(case(dkim=(GOOD,), claims_date=ahead, now=NOW + MARKS_KEPT + 1)), Unproven)


def test_a_mark_is_of_one_signature_for_one_contact():
    assert len({mark(b"s", "a" * 24), mark(b"s", "b" * 24), mark(b"t", "a" * 24)}) == 3


RESULTS = st.builds(
    DkimResult,
    domain=st.sampled_from(["example.com", "mail.example.com", "attacker.example", "com", ""]),
    passed=st.booleans(),
    temporary=st.booleans(),
    signed=st.lists(st.sampled_from(["from", "to", "cc", "date"]), max_size=6).map(tuple),
    has_length=st.booleans(),
    algorithm=st.sampled_from(["rsa", "ed25519"]),
    key_bits=st.sampled_from([0, 256, 1024]),
)


@given(
    dkim=st.lists(RESULTS, max_size=3).map(tuple),
    spf=st.none()
    | st.builds(SpfResult, st.sampled_from(list(Spf)), st.sampled_from(["example.com", "x.example"])),
    date=st.sampled_from([None, NOW, NOW - 6 * DAY, NOW + 2 * DAY]),
    to=st.lists(st.sampled_from([(REVERSE,), ("x@example.net",), ()]), max_size=2).map(tuple),
    trusted=st.booleans(),
    willing=st.booleans(),
)
def test_whatever_is_proven_has_what_the_rule_asks(dkim, spf, date, to, trusted, willing):
    """The rule said another way round, over all combinations."""
    proof = prove(
        case(
            dkim=dkim,
            spf=spf,
            client_trusted=trusted,
            claims_date=date,
            claims_to=to,
            mailboxes=(WILLING if willing else MAILBOX,),
        )
    )
    good = [
        result
        for result in dkim
        if result.passed
        and result.domain.endswith("example.com")
        and not result.has_length
        and (result.key_bits >= 1024 or result.algorithm == "ed25519")
        and {"from", "date"} <= set(result.signed)
        and date == NOW
    ]
    naming = [
        result
        for result in good
        if any(to[-n - 1] == (REVERSE,) for n in range(min(len(to), result.signed.count("to"))))
    ]
    aligned_pass = spf == PASS and not trusted
    expected = (
        By.DKIM
        if naming
        else By.DKIM_SPF
        if good and aligned_pass
        else By.SPF
        if aligned_pass and willing
        else None
    )
    assert (proof.by if isinstance(proof, Proven) else None) is expected
    if isinstance(proof, Undecided):
        assert any(result.temporary for result in dkim) or (spf and spf.result is Spf.TEMPERROR)
