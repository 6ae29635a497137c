"""What becomes of a whole message, recipient by recipient, once its content is there.

judge() says it for one recipient, from what is known of him (postmask.alias.facts, asked for with the
author of the message, the address in From, as its sender) and of the message. At the end of data a
message is refused, or asked for again later, only where every recipient is ours and all of them want that:
agreed(). What is to be held or discarded is taken, and left to the forwarder.

DIAGNOSTICS
    550 5.7.1 the author is blocked, a message to a reverse alias isn't proven to be its owner's, or spam;
    550 5.7.26 DMARC fails and the author's domain asks for refusal; 450 4.7.1 no engine has judged, and
    such mail is to wait. What nobody can say now is no refusal: the forwarder asks again.

STANDARDS
    RFC 9989 (DMARC), RFC 7372 §3 and the IANA registry of enhanced status codes (5.7.26).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from postmask.address import Address
from postmask.alias.facts import Facts
from postmask.alias.rcpt import blocked
from postmask.alias.sifting import SpamRules
from postmask.auth.claims import Claims
from postmask.auth.proof import Proven, ReplyEvidence, Unproven, prove
from postmask.authentication import Authentication, Dmarc, Policy
from postmask.directory.lookup import Found
from postmask.message.evidence import SpamNote
from postmask.tokens import Reverse
from postmask.verdict import Verdict, deliver, reject


@dataclass(frozen=True, slots=True)
class Content:
    """What is known of a whole message.

    login:   the SASL login that it came by; None without one.
    own:     its client is the site's own (postmask.auth.networks).
    trusted: it came by a forwarder that the site trusts (postmask.auth.forwarders), or nobody can say now.
    spam:    what the spam check says; None where no engine is set up.
    now:     seconds since the epoch.
    """

    claims: Claims
    authentication: Authentication
    login: str | None
    own: bool
    trusted: bool
    spam: SpamNote | None
    now: float

    @property
    def refusal(self) -> Verdict | None:
        """What the author's domain asks for."""
        return forged(self.authentication, excused=self._excused)

    @property
    def quarantined(self) -> bool:
        """Whether it asks for quarantine."""
        return suspect(self.authentication, excused=self._excused)

    @property
    def _excused(self) -> bool:
        """Who submits mail here isn't asked for DMARC, nor who is trusted to break it."""
        return self.own or bool(self.login) or self.trusted


def forged(found: Authentication, *, excused: bool) -> Verdict | None:
    """The refusal that the author's domain asks for by DMARC; None: it doesn't, or the message isn't asked
    for it."""
    dmarc = found.dmarc
    if excused or dmarc.result is not Dmarc.FAIL or dmarc.policy is not Policy.REJECT:
        return None
    text = "refused, as the author's domain asks by DMARC"
    return reject("5.7.26", text, f"DMARC fails for {dmarc.domain}")


def suspect(found: Authentication, *, excused: bool) -> bool:
    """Whether the author's domain asks for quarantine by DMARC. excused: likewise."""
    dmarc = found.dmarc
    return not excused and dmarc.result is Dmarc.FAIL and dmarc.policy is Policy.QUARANTINE


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is set for a recipient. allowed: its owner wants the author's mail."""

    rules: SpamRules
    allowed: bool = False


def judge(content: Content, recipient: Address, facts: Facts, wishes: Wishes | None) -> Verdict:
    """What one recipient's share of the message has coming; to be delivered unless something is said.

    wishes: None where nobody can say now.
    """
    if isinstance(facts.reserved, Reverse):
        return _reply(content, recipient, facts, wishes)
    if facts.reserved is not None:
        return deliver("postmaster, abuse, or a bounce address")
    if isinstance(facts.rule, Found):
        return blocked(facts.rule.value)
    if refusal := content.refusal:
        return refusal
    if wishes is None or _writes_first(facts):
        return deliver("nothing against it")
    if wishes.allowed and content.authentication.dmarc.result is not Dmarc.FAIL:
        return deliver("contact allowed")
    return wishes.rules.forward(content.spam, quarantined=content.quarantined, may_refuse=True)


def agreed(verdicts: Iterable[Verdict]) -> Verdict | None:
    """The first refusal where all refuse, or the first deferral where all defer; None at the first that does
    neither, behind which none is asked."""
    first: Verdict | None = None
    for verdict in verdicts:
        if verdict.accepted or (first and verdict.kind is not first.kind):
            return None
        first = first or verdict
    return first


def _writes_first(facts: Facts) -> bool:
    """Whether it may be the owner's own message, to somebody new: "alias+user=host"."""
    return facts.detail is not None and "=" in facts.detail


def _reply(content: Content, recipient: Address, facts: Facts, wishes: Wishes | None) -> Verdict:
    if not isinstance(facts.reverse, Found):
        return deliver("reverse alias: not known here yet")
    evidence = ReplyEvidence(
        claims=content.claims,
        reverse_alias=recipient.key,
        mailboxes=facts.reverse.value.alias.mailboxes,
        login=content.login,
        dkim=content.authentication.dkim,
        spf=content.authentication.spf,
        client_trusted=content.own,
        now=content.now,
    )
    match prove(evidence):
        case Unproven(reason):
            text = "not proven to come from the owner of this address"
            return reject("5.7.1", text, f"reply not proven: {reason}")
        case Proven() if wishes is not None:
            return wishes.rules.reply(content.spam)
        case _:
            return deliver("reply: proven, or DNS doesn't answer")
