"""The decision on a recipient, in words: the steps, the answer, and where mail would go.

It gathers the same facts and asks the same function as the programs do, so that what is explained
can't differ from what is answered.
"""

from __future__ import annotations

from dataclasses import dataclass

from postmask.address import Address
from postmask.alias.facts import Facts, gather
from postmask.alias.rcpt import answer
from postmask.alias.sifting import SpamRules, effective, policies_of
from postmask.cli.spampolicy import worded
from postmask.clock import Clock, day_of
from postmask.directory.lookup import Absent, Found, Gone, Lookup, Unavailable
from postmask.directory.records import Alias, Directory, MailboxState
from postmask.keys import Keyring
from postmask.tokens import (
    BounceForged,
    BounceKind,
    BounceUnread,
    BounceValid,
    Postmaster,
    Reserved,
    Reverse,
    ReverseForged,
)
from postmask.verdict import Kind, Verdict

_FATE = {
    MailboxState.ACTIVE: "delivered",
    MailboxState.PAUSED: "held: the mailbox is paused",
    MailboxState.UNCONFIRMED: "held: the mailbox isn't confirmed",
}
_BOUNCE = {
    BounceKind.FORWARD: "nothing is delivered",
    BounceKind.REPLY: "what else a machine answers goes to the alias's mailboxes",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """verdict: None, not ours. destinations: address and what becomes of its copy."""

    verdict: Verdict | None
    steps: tuple[str, ...]
    destinations: tuple[dict[str, str], ...]

    @property
    def certain(self) -> bool:
        """False where something could not be looked up."""
        return self.verdict is None or not self.verdict.status.startswith("4.3.0")

    @property
    def answer(self) -> dict[str, object]:
        """The verdict for JSON."""
        if self.verdict is None:
            return {"kind": None, "code": None, "status": None, "text": None, "reason": "not ours"}
        kind, status = self.verdict.kind, self.verdict.status
        return {
            "kind": kind,
            "code": self.verdict.code,
            "status": status,
            "text": self.verdict.text,
            "reason": self.verdict.reason,
        }


def explained(
    directory: Directory,
    keys: Keyring,
    clock: Clock,
    recipient: Address,
    sender: str,
    spam: SpamRules,
    *,
    drained: bool,
) -> Explanation:
    """What becomes of mail to this recipient from this envelope sender ("": the null sender).

    spam: the node's rules. drained: whether the node is.
    """
    facts = gather(directory, keys, day_of(clock.now()), recipient, sender, drained=drained)
    verdict = answer(facts)
    goes = _destinations(facts) if verdict is not None and verdict.kind is Kind.DELIVER else ()
    steps = [*_steps(facts, recipient, sender), *_of_spam(facts, directory, spam)]
    return Explanation(verdict, tuple(steps), goes)


def _steps(facts: Facts, recipient: Address, sender: str) -> list[str]:
    steps = [_of_domain(facts, recipient.domain)]
    if not isinstance(facts.domain, Found):
        return steps
    if facts.drained:
        return [*steps, "this node is drained; to take mail again: postmask node resume"]
    if facts.reserved is not None:
        return [*steps, _of_reserved(facts.reserved, facts)]
    steps.append("the local part has no reserved form")
    steps.append(_of_alias(facts.alias, facts.detail))
    if sender and not isinstance(facts.alias, Unavailable):
        steps.append(_of_sender(facts, sender))
    if isinstance(facts.alias, Found):
        steps += [f"mailbox {box.address}: {box.state}" for box in facts.alias.value.mailboxes]
    return steps


def _of_domain(facts: Facts, name: str) -> str:
    match facts.domain:
        case Found():
            return f"{name} is one of our domains"
        case Unavailable(reason):
            return f"whether {name} is ours can't be looked up: {reason}"
        case _:
            return f"{name} lies below a domain of ours" if facts.subdomain else f"{name} is not ours"


def _of_reserved(reserved: Reserved, facts: Facts) -> str:
    match reserved:
        case Postmaster(role):
            return f"{role} is always accepted"
        case BounceValid(bounce):
            return f"a bounce address of ours, for a {bounce.kind.name.lower()}"
        case BounceForged(reason):
            return f"has the form of a bounce address, but isn't a good one: {reason}"
        case BounceUnread(reason):
            return f"has the form of a bounce address, which can't be read here: {reason}"
        case ReverseForged():
            return "has the form of a reverse alias, but none of our secrets has made it"
        case Reverse():
            return _of_reverse(facts)


def _of_reverse(facts: Facts) -> str:
    match facts.reverse:
        case Found(reverse):
            disabled = ", which is disabled, or its account," if reverse.alias.state == "disabled" else ""
            return f"the reverse alias by which {reverse.alias.address}{disabled} writes to {reverse.contact}"
        case Unavailable(reason):
            return f"a reverse alias of ours that can't be looked up: {reason}"
        case Gone():
            return "a reverse alias of ours whose alias was removed"
        case Absent():
            return "a reverse alias of ours that the database doesn't know yet"


def _of_alias(alias: Lookup[Alias], detail: str | None) -> str:
    match alias:
        case Found(found):
            without = f", found without the detail {detail!r}" if detail is not None else ""
            disabled = f"disabled, or its account is; answers {found.when_disabled}"
            shown = disabled if found.state == "disabled" else found.state
            return f"the alias {found.address}: {shown}{without}"
        case Unavailable(reason):
            return f"the alias can't be looked up: {reason}"
        case Absent():
            return "there is no such alias"


def _of_sender(facts: Facts, sender: str) -> str:
    match facts.rule:
        case Found(rule):
            return f"the sender {sender} is blocked by {rule.scope}:{rule.pattern}, {rule.action}"
        case Unavailable(reason):
            return f"the rules for the sender {sender} can't be looked up: {reason}"
        case Absent():
            return f"no rule blocks the sender {sender}"


def _of_spam(facts: Facts, directory: Directory, spam: SpamRules) -> list[str]:
    if facts.alias_behind is None:
        return []
    found = policies_of(directory, facts.alias_behind)
    if isinstance(found, Unavailable):
        return [f"the rules of the spam check can't be looked up: {found.reason}"]
    return [f"spam check, {rule}" for rule in worded(effective(spam, found), found)]


def _destinations(facts: Facts) -> tuple[dict[str, str], ...]:
    if isinstance(facts.reserved, Postmaster) and isinstance(facts.domain, Found):
        return ({"address": facts.domain.value.postmaster, "what": "the domain's postmaster"},)
    if isinstance(facts.reserved, BounceValid):
        return ({"address": "the bounce's record", "what": _BOUNCE[facts.reserved.bounce.kind]},)
    if isinstance(facts.reverse, Found):
        return ({"address": facts.reverse.value.contact, "what": "if the reply is proven to be the owner's"},)
    if isinstance(facts.alias, Found):
        return tuple(
            {"address": box.address, "what": _FATE[box.state]} for box in facts.alias.value.mailboxes
        )
    return ()
