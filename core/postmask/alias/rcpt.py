"""The answer at RCPT: one decision, asked by the gate, by the alias milter and again by the forwarder.

answer() is the table of the design as a pure function of the facts; Decider gathers the facts and
turns whatever goes wrong into "451 4.3.0".

DIAGNOSTICS
    550 5.1.1 unknown, or forged or stale bounce address or reverse alias, or that of a removed alias;
    550 5.1.2 a subdomain that isn't ours; 550 5.2.1 disabled; 550 5.7.1 blocked sender; 450 4.7.1 over
    the rate; 450 4.2.1 known but not now, or not known here yet; 450 4.3.2 this node is drained; 451
    4.3.0 can't tell. None: not ours, to be left untouched.

STANDARDS
    RFC 5321 §3.6.2 and §4.2.3, RFC 3463 §3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, assert_never

from postmask.address import Address, AddressError, parse_loose
from postmask.alias.facts import Facts, gather
from postmask.clock import Clock, day_of
from postmask.directory.lookup import Absent, Found, Gone, Unavailable
from postmask.directory.records import (
    Alias,
    AliasState,
    BlockAction,
    Directory,
    MailboxState,
    SenderRule,
    WhenDisabled,
)
from postmask.fault import fault
from postmask.keys import Keyring
from postmask.tokens import (
    BounceForged,
    BounceUnread,
    BounceValid,
    Postmaster,
    Reserved,
    Reverse,
    ReverseForged,
)
from postmask.verdict import Verdict, defer, deliver, discard, reject, unavailable

UNKNOWN = reject("5.1.1", "no such address here", "unknown alias")
DRAINED = defer("4.3.2", "no mail is taken here for now, try the next server", "this node is drained")
"""Senders go on to the next MX at once, with this recipient alone; 421 would end the session for all."""


def answer(facts: Facts) -> Verdict | None:
    """What RCPT is answered. None: not ours."""
    if isinstance(facts.domain, Unavailable):
        return unavailable(facts.domain.reason)
    if isinstance(facts.domain, Absent):
        if facts.subdomain:
            return reject("5.1.2", "no mail for this subdomain", "subdomain of ours that isn't ours")
        return None
    if facts.drained:
        return DRAINED
    if facts.reserved is not None:
        return _reserved(facts.reserved, facts)
    if isinstance(facts.alias, Unavailable):
        return unavailable(facts.alias.reason)
    if isinstance(facts.rule, Unavailable):
        return unavailable(facts.rule.reason)
    if isinstance(facts.rule, Found):
        return blocked(facts.rule.value)
    if facts.over:
        return defer("4.7.1", "too much mail within an hour, try again later", f"rate of the {facts.over}")
    if isinstance(facts.alias, Absent):
        return UNKNOWN
    return of_alias(facts.alias.value)


def of_alias(alias: Alias) -> Verdict:
    """What an alias answers by its own state and that of its mailboxes."""
    if alias.state is AliasState.DISABLED:
        return _disabled(alias.when_disabled)
    states = {mailbox.state for mailbox in alias.mailboxes}
    if MailboxState.ACTIVE in states:
        return deliver("active alias")
    return defer("4.2.1", "this address takes no mail for now, try again later", "no usable mailbox")


def _reserved(reserved: Reserved, facts: Facts) -> Verdict:
    match reserved:
        case Postmaster():
            return deliver("postmaster or abuse")
        case BounceValid():
            return deliver("bounce address")
        case BounceForged(reason):
            return reject("5.1.1", "no such address here", f"bounce address: {reason}")
        case BounceUnread(reason):
            return unavailable(f"bounce address: {reason}")
        case ReverseForged():
            return reject("5.1.1", "no such address here", "reverse alias: the MAC is wrong")
        case Reverse():
            return _reverse(facts)
        case _:
            assert_never(reserved)


def _reverse(facts: Facts) -> Verdict:
    if isinstance(facts.reverse, Unavailable):
        return unavailable(facts.reverse.reason)
    if isinstance(facts.reverse, Gone):
        return reject("5.1.1", "no such address here", "reverse alias of a removed alias")
    if isinstance(facts.reverse, Absent):
        return defer("4.2.1", "not known here yet, try again later", "reverse alias: not known here yet")
    if facts.reverse.value.alias.state is AliasState.DISABLED:
        return reject("5.2.1", "this address is disabled", "reverse alias of a disabled alias")
    return deliver("reverse alias")


def blocked(rule: SenderRule) -> Verdict:
    """What a blocked sender is answered."""
    reason = f"sender blocked by rule {rule.scope}:{rule.pattern}"
    if rule.action is BlockAction.DISCARD:
        return discard(reason)
    return reject("5.7.1", "sender refused", reason)


def _disabled(answer_wanted: WhenDisabled) -> Verdict:
    match answer_wanted:
        case WhenDisabled.REJECT:
            return reject("5.2.1", "this address is disabled", "alias disabled")
        case WhenDisabled.UNKNOWN:
            return reject("5.1.1", "no such address here", "alias disabled")
        case WhenDisabled.DEFER:
            return defer("4.2.1", "this address takes no mail for now, try again later", "alias disabled")
        case WhenDisabled.DISCARD:
            return discard("alias disabled")
        case _:
            assert_never(answer_wanted)


class Rates(Protocol):
    """How often who may be named in RCPT."""

    def reached(self, sender: str, alias: str, client: str, *, counts: bool) -> str:
        """Which rate is reached, "" if none; then it is one more, if that counts."""


class Decider:
    """The decision with its directory at hand. Shared by threads. drained: whether this node is, now."""

    def __init__(
        self,
        directory: Directory,
        keys: Keyring,
        clock: Clock,
        rates: Rates,
        drained: Callable[[], bool],
    ) -> None:
        self._directory = directory
        self._keys = keys
        self._clock = clock
        self._rates = rates
        self._drained = drained
        self._ours: set[str] = set()

    def decide(self, recipient: str, sender: str, client: str = "", *, ours: bool = False) -> Verdict | None:
        """The answer for one RCPT; never raises. client: its address.

        ours: the caller knows that Postfix holds the recipient's domain as one of ours, or as one below
        that isn't the host's (the gate is asked for no other). Without that, what lies below a domain of
        ours may be the host's, and a domain that nobody can look up now is ours only if it was seen to be
        so before: the host's own mail must not wait for our database. Rates are counted for the gate
        alone: whoever asks after it asks about the same recipient.
        """
        try:
            address = parse_loose(recipient)
        except AddressError as error:
            return reject("5.1.3", "bad address syntax", str(error)) if ours else None
        try:
            return self._decide(address, sender, client, ours)
        except Exception as error:  # noqa: BLE001  an unknown exception is a deferral, in every shell
            return unavailable(fault(error)) if ours or self._seen(address) else None

    def _decide(self, address: Address, sender: str, client: str, ours: bool) -> Verdict | None:
        today = day_of(self._clock.now())
        drained = self._drained()
        facts = gather(self._directory, self._keys, today, address, sender, drained=drained, below=ours)
        if isinstance(facts.domain, Found):
            self._ours.add(facts.domain.value.name)
        elif isinstance(facts.domain, Unavailable):
            return unavailable(facts.domain.reason) if ours or self._seen(address) else None
        else:
            self._ours.discard(address.domain)
            if not ours:
                return None
            if not facts.subdomain:
                return reject("5.1.2", "no mail for this domain here", "domain not in the directory")
        return answer(facts if facts.drained else self._rated(facts, sender, client, ours))

    def _rated(self, facts: Facts, sender: str, client: str, counts: bool) -> Facts:
        """With the rate that is reached, where nothing else has decided before."""
        if facts.reserved or isinstance(facts.alias, Unavailable) or not isinstance(facts.rule, Absent):
            return facts
        alias = facts.alias.value.address if isinstance(facts.alias, Found) else ""
        return replace(facts, over=self._rates.reached(sender, alias, client, counts=counts))

    def _seen(self, address: Address) -> bool:
        """True if the address lies in a domain that was ours when last looked up."""
        return address.domain in self._ours
