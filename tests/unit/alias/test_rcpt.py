"""The table of RCPT answers, line by line, and what happens when the directory can't say."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from directories import MemoryDirectory, alias, mailbox
from postmask.alias.rcpt import Decider
from postmask.clock import DAY, ManualClock
from postmask.directory.lookup import ABSENT, GONE, Absent, Found, Lookup, Unavailable
from postmask.directory.records import (
    Alias,
    AliasState,
    BlockAction,
    MailboxState,
    ReverseAlias,
    SenderRule,
    WhenDisabled,
)
from postmask.keys import Keyring, Secret
from postmask.tokens import Bounce, BounceKind, bounce_local_part, reverse_token
from postmask.verdict import Kind, Verdict

KEYS = Keyring([Secret(1, "2026-01-01", b"s" * 32)])
CLOCK = ManualClock()
TODAY = int(CLOCK.now()) // DAY
SENDER = "bob@example.com"


@dataclass
class Counted:
    """Rates. over: which is reached; asked: for whom, and whether it counts."""

    over: str = ""
    asked: list[tuple[str, str, str, bool]] = field(default_factory=list)

    def reached(self, sender: str, alias: str, client: str, *, counts: bool) -> str:
        self.asked.append((sender, alias, client, counts))
        return self.over


@pytest.fixture
def directory() -> MemoryDirectory:
    made = MemoryDirectory().with_domain()
    made.aliases["shop@alias.test"] = alias()
    return made


def ask(directory: MemoryDirectory, recipient: str, sender: str = SENDER, **how: bool) -> Verdict | None:
    return Decider(directory, KEYS, CLOCK, Counted(), lambda: False).decide(recipient, sender, **how)


def said(verdict: Verdict | None) -> str:
    assert verdict is not None
    return f"{verdict.code} {verdict.status}"


@pytest.mark.parametrize(
    ("recipient", "answer"),
    [
        ("shop@alias.test", "250 2.1.5"),
        ("SHOP@ALIAS.TEST", "250 2.1.5"),
        ("shop+news@alias.test", "250 2.1.5"),
        ("unknown@alias.test", "550 5.1.1"),
        ("unknown+shop@alias.test", "550 5.1.1"),
        ("postmaster@alias.test", "250 2.1.5"),
        ("PostMaster@alias.test", "250 2.1.5"),
        ("abuse@alias.test", "250 2.1.5"),
        ("shop@sub.alias.test", "550 5.1.2"),
        ("shop@deep.sub.alias.test", "550 5.1.2"),
    ],
)
def test_the_table(directory: MemoryDirectory, recipient: str, answer: str) -> None:
    assert said(ask(directory, recipient, ours=True)) == answer


@pytest.mark.parametrize(
    "recipient",
    ["x@example.org", "shop@notalias.test", "shop@test", "postmaster", "nonsense", "shop@sub.alias.test"],
)
def test_what_is_not_ours_is_left_untouched(directory: MemoryDirectory, recipient: str) -> None:
    assert ask(directory, recipient) is None


@pytest.mark.parametrize(
    ("when_disabled", "kind", "answer"),
    [
        (WhenDisabled.REJECT, Kind.REJECT, "550 5.2.1"),
        (WhenDisabled.UNKNOWN, Kind.REJECT, "550 5.1.1"),
        (WhenDisabled.DEFER, Kind.DEFER, "450 4.2.1"),
        (WhenDisabled.DISCARD, Kind.DISCARD, "250 2.1.5"),
    ],
)
def test_a_disabled_alias_gives_its_own_answer(
    directory: MemoryDirectory, when_disabled: WhenDisabled, kind: Kind, answer: str
) -> None:
    directory.aliases["shop@alias.test"] = alias(state=AliasState.DISABLED, when_disabled=when_disabled)
    verdict = ask(directory, "shop@alias.test")
    assert verdict is not None
    assert (verdict.kind, said(verdict)) == (kind, answer)


def test_the_answer_unknown_cannot_be_told_from_a_truly_unknown_alias(directory: MemoryDirectory) -> None:
    directory.aliases["shop@alias.test"] = alias(
        state=AliasState.DISABLED, when_disabled=WhenDisabled.UNKNOWN
    )
    disabled, unknown = ask(directory, "shop@alias.test"), ask(directory, "unknown@alias.test")
    assert disabled is not None
    assert unknown is not None
    assert (disabled.code, disabled.status, disabled.text) == (unknown.code, unknown.status, unknown.text)


@pytest.mark.parametrize("state", [MailboxState.PAUSED, MailboxState.UNCONFIRMED])
def test_without_a_usable_mailbox_mail_waits(directory: MemoryDirectory, state: MailboxState) -> None:
    directory.aliases["shop@alias.test"] = alias(mailboxes=(mailbox(state=state),))
    assert said(ask(directory, "shop@alias.test")) == "450 4.2.1"
    directory.aliases["shop@alias.test"] = alias(mailboxes=(mailbox(state=state), mailbox("b@real.test")))
    assert said(ask(directory, "shop@alias.test")) == "250 2.1.5"


@pytest.mark.parametrize(
    ("action", "kind", "answer"),
    [(BlockAction.REJECT, Kind.REJECT, "550 5.7.1"), (BlockAction.DISCARD, Kind.DISCARD, "250 2.1.5")],
)
def test_a_blocked_sender(directory: MemoryDirectory, action: BlockAction, kind: Kind, answer: str) -> None:
    directory.rules[SENDER] = SenderRule(action, "global", SENDER)
    verdict = ask(directory, "shop@alias.test")
    assert verdict is not None
    assert (verdict.kind, said(verdict)) == (kind, answer)
    assert said(ask(directory, "shop@alias.test", "other@example.com")) == "250 2.1.5"
    assert said(ask(directory, "postmaster@alias.test")) == "250 2.1.5"


@pytest.mark.parametrize("method", ["alias", "sender_rule", "reverse_alias"])
def test_what_cannot_be_looked_up_is_not_passed_over(
    directory: MemoryDirectory, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = reverse_token(KEYS, 7, SENDER)
    directory.reverse_aliases[token] = ReverseAlias(token, alias(), SENDER, None)
    recipient = f"bob.{token}@alias.test" if method == "reverse_alias" else "shop@alias.test"
    assert said(ask(directory, recipient)) == "250 2.1.5"
    monkeypatch.setattr(directory, method, lambda *_: Unavailable("gone"))
    verdict = ask(directory, recipient)
    assert said(verdict) == "451 4.3.0"
    assert verdict is not None
    assert verdict.reason == "gone"


def test_what_an_alias_with_a_plus_has_goes_to_no_other_one(
    directory: MemoryDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answers(address: str) -> Lookup[Alias]:
        return Unavailable("gone") if "+" in address else Found(alias())

    monkeypatch.setattr(directory, "alias", answers)
    assert said(ask(directory, "shop+news@alias.test")) == "451 4.3.0"


def test_the_null_sender_is_blocked_by_nobody(directory: MemoryDirectory) -> None:
    directory.rules[""] = SenderRule(BlockAction.REJECT, "global", "")
    assert said(ask(directory, "shop@alias.test", "")) == "250 2.1.5"


def test_a_reverse_alias_is_settled_by_its_mac_first(directory: MemoryDirectory) -> None:
    token = reverse_token(KEYS, 7, SENDER)
    forged = ("b" if token[0] == "a" else "a") + token[1:]
    assert said(ask(directory, f"bob.{forged}@alias.test")) == "550 5.1.1"
    assert "reverse_alias" not in directory.asked
    assert said(ask(directory, f"bob.{token}@alias.test")) == "450 4.2.1"
    directory.reverse_aliases[token] = ReverseAlias(token, alias(), SENDER, None)
    assert said(ask(directory, f"bob.{token}@alias.test")) == "250 2.1.5"
    assert said(ask(directory, f"Other-Hint.{token.upper()}@alias.test")) == "250 2.1.5"


def test_the_reverse_aliases_of_a_removed_alias_are_refused(
    directory: MemoryDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "reverse_alias", lambda _: GONE)
    assert said(ask(directory, f"bob.{reverse_token(KEYS, 7, SENDER)}@alias.test")) == "550 5.1.1"


@pytest.mark.parametrize("wanted", WhenDisabled)
def test_the_reverse_aliases_of_a_disabled_alias_are_refused(
    directory: MemoryDirectory, wanted: WhenDisabled
) -> None:
    """Whatever it answers itself: who writes is the owner, and is to know."""
    token = reverse_token(KEYS, 7, SENDER)
    behind = alias(state=AliasState.DISABLED, when_disabled=wanted)
    directory.reverse_aliases[token] = ReverseAlias(token, behind, SENDER, None)
    assert said(ask(directory, f"bob.{token}@alias.test")) == "550 5.2.1"


@pytest.mark.parametrize(
    ("age", "answer"),
    [(0, "250 2.1.5"), (30, "250 2.1.5"), (31, "550 5.1.1"), (-2, "250 2.1.5"), (-3, "550 5.1.1")],
)
def test_a_bounce_address_is_good_for_thirty_days(directory: MemoryDirectory, age: int, answer: str) -> None:
    bounce = Bounce(BounceKind.FORWARD, TODAY - age, 7, b"c" * 8, 5)
    assert said(ask(directory, f"{bounce_local_part(KEYS, bounce)}@alias.test", "")) == answer


def test_a_bounce_address_by_a_secret_that_is_not_here_waits(directory: MemoryDirectory) -> None:
    """Another node may have it."""
    other = Keyring([Secret(2, "2026-01-01", b"x" * 32)])
    bounce = Bounce(BounceKind.FORWARD, TODAY, 7, b"c" * 8, 5)
    assert said(ask(directory, f"{bounce_local_part(other, bounce)}@alias.test", "")) == "451 4.3.0"


def test_a_forged_bounce_address_is_refused(directory: MemoryDirectory) -> None:
    other = Keyring([Secret(1, "2026-01-01", b"x" * 32)])
    bounce = Bounce(BounceKind.FORWARD, TODAY, 7, b"c" * 8, 5)
    assert said(ask(directory, f"{bounce_local_part(other, bounce)}@alias.test", "")) == "550 5.1.1"


@pytest.mark.parametrize("recipient", ["shop@alias.test", "unknown@alias.test", "postmaster@alias.test"])
def test_i_do_not_know_is_never_no(directory: MemoryDirectory, recipient: str) -> None:
    directory.broken = "database gone"
    assert said(ask(directory, recipient, ours=True)) == "451 4.3.0"
    assert directory.asked == ["domain"]


def test_the_hosts_own_mail_does_not_wait_for_our_database(directory: MemoryDirectory) -> None:
    decider = Decider(directory, KEYS, CLOCK, Counted(), lambda: False)
    assert said(decider.decide("shop@alias.test", SENDER)) == "250 2.1.5"
    directory.broken = "database gone"
    assert decider.decide("x@example.org", SENDER) is None
    assert said(decider.decide("shop@alias.test", SENDER)) == "451 4.3.0"
    assert decider.decide("shop@sub.alias.test", SENDER) is None
    assert said(decider.decide("shop@sub.alias.test", SENDER, ours=True)) == "451 4.3.0"
    directory.broken = ""
    del directory.domains["alias.test"]
    assert decider.decide("shop@alias.test", SENDER) is None
    directory.broken = "database gone"
    assert decider.decide("shop@alias.test", SENDER) is None, "it is ours no more"


def test_a_sender_in_no_charset_is_asked_about_as_text(
    directory: MemoryDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postfix takes such octets with smtputf8_enable = no; no database could be asked about them."""
    asked: list[object] = []

    def sender_rule(*of: object) -> Absent:
        asked.append(of)
        return ABSENT

    monkeypatch.setattr(directory, "sender_rule", sender_rule)
    assert said(ask(directory, "shop@alias.test", "Jos\udce9@example.com")) == "250 2.1.5"
    assert asked == [("jos?@example.com", alias(), directory.domains["alias.test"])]


@pytest.mark.parametrize("recipient", ["x@mail.deep.example.org", "shop@sub.alias.test"])
def test_of_the_hosts_own_mail_one_question_is_asked(directory: MemoryDirectory, recipient: str) -> None:
    assert ask(directory, recipient) is None
    assert directory.asked == ["domain"]


@pytest.mark.parametrize(
    ("recipient", "answer"),
    [
        ("shop@alias.test", "450 4.3.2"),
        ("unknown@alias.test", "450 4.3.2"),
        ("postmaster@alias.test", "450 4.3.2"),
        (f"x.{'a' * 24}@alias.test", "450 4.3.2"),
        ("shop@sub.alias.test", "550 5.1.2"),
    ],
)
def test_a_drained_node_takes_nothing_for_us(directory: MemoryDirectory, recipient: str, answer: str) -> None:
    directory.rules[SENDER] = SenderRule(BlockAction.REJECT, "global", SENDER)
    drained = Decider(directory, KEYS, CLOCK, Counted(), lambda: True)
    assert said(drained.decide(recipient, SENDER, ours=True)) == answer
    assert {what.partition(" ")[0] for what in directory.asked} == {"domain"}


def test_a_drained_node_leaves_alone_what_is_not_ours(directory: MemoryDirectory) -> None:
    drained = Decider(directory, KEYS, CLOCK, Counted(), lambda: True)
    assert drained.decide("x@example.org", SENDER) is None
    directory.broken = "database gone"
    assert drained.decide("x@example.org", SENDER) is None
    assert said(drained.decide("shop@alias.test", SENDER, ours=True)) == "451 4.3.0"


def test_an_unknown_exception_is_a_deferral(
    directory: MemoryDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def burst(name: str) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(directory, "alias", burst)
    verdict = ask(directory, "shop@alias.test", ours=True)
    assert said(verdict) == "451 4.3.0"
    assert verdict is not None
    assert verdict.reason.startswith("RuntimeError at test_rcpt.py:"), "its text may name a mailbox"
    assert "RuntimeError" not in verdict.text


def test_the_hosts_own_mail_does_not_wait_for_an_error_of_ours(
    directory: MemoryDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def burst(name: str) -> None:
        raise RuntimeError("boom")

    decider = Decider(directory, KEYS, CLOCK, Counted(), lambda: False)
    decider.decide("shop@alias.test", SENDER)
    monkeypatch.setattr(directory, "domain", burst)
    assert decider.decide("x@example.org", SENDER) is None
    assert said(decider.decide("shop@alias.test", SENDER)) == "451 4.3.0"
    assert said(decider.decide("x@example.org", SENDER, ours=True)) == "451 4.3.0"


def test_a_domain_that_postfix_still_holds_but_we_do_not(directory: MemoryDirectory) -> None:
    assert said(ask(directory, "x@gone.test", ours=True)) == "550 5.1.2"


def test_what_is_no_address_is_refused_where_it_is_ours(directory: MemoryDirectory) -> None:
    assert said(ask(directory, "nonsense", ours=True)) == "550 5.1.3"


def test_rates_are_counted_for_the_gate_and_read_for_others(directory: MemoryDirectory) -> None:
    rates = Counted()
    decider = Decider(directory, KEYS, CLOCK, rates, lambda: False)
    decider.decide("SHOP+news@alias.test", SENDER, "192.0.2.7", ours=True)
    decider.decide("unknown@alias.test", "", "192.0.2.7")
    decider.decide("postmaster@alias.test", "", "192.0.2.7")
    Decider(directory, KEYS, CLOCK, rates, lambda: True).decide("shop@alias.test", SENDER, ours=True)
    assert rates.asked == [(SENDER, "shop@alias.test", "192.0.2.7", True), ("", "", "192.0.2.7", False)]


@pytest.mark.parametrize(
    ("recipient", "answer"),
    [
        ("shop@alias.test", "450 4.7.1"),
        ("off@alias.test", "450 4.7.1"),
        ("unknown@alias.test", "450 4.7.1"),
        ("postmaster@alias.test", "250 2.1.5"),
        ("shop@sub.alias.test", "550 5.1.2"),
    ],
)
def test_over_the_rate(directory: MemoryDirectory, recipient: str, answer: str) -> None:
    directory.aliases["off@alias.test"] = alias("off@alias.test", state=AliasState.DISABLED)
    decider = Decider(directory, KEYS, CLOCK, Counted("client"), lambda: False)
    assert said(decider.decide(recipient, SENDER, ours=True)) == answer
    assert decider.decide("you@elsewhere.test", SENDER) is None


def test_a_block_comes_before_the_rate(directory: MemoryDirectory) -> None:
    directory.rules[SENDER] = SenderRule(BlockAction.REJECT, "alias", SENDER)
    rates = Counted("sender")
    assert (
        said(Decider(directory, KEYS, CLOCK, rates, lambda: False).decide("shop@alias.test", SENDER))
        == "550 5.7.1"
    )
    assert rates.asked == []
