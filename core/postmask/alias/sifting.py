"""What the spam check's result does to one recipient's copy of a message.

A ratio is the score divided by the engine's threshold: 1.0 and more is spam. Of several rules that apply
the hardest acts. What no engine has judged is never called spam or not spam: there is a rule of its own
for it, which the emergency switch sets aside.

The rules are the node's settings, of which a domain, an account and an alias may have values of their
own: value by value the narrowest counts.

DIAGNOSTICS
    450 4.7.1 no engine has judged, and such mail is to wait; 550 5.7.1 spam, where the sender may still be
    refused. Held and discarded is told apart by the verdict's kind.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from postmask.directory.lookup import Absent, Found, Unavailable
from postmask.directory.records import (
    POLICY_NAMES,
    SCOPES,
    Alias,
    Directory,
    DmarcQuarantine,
    SpamPolicy,
    WhenUnscanned,
)
from postmask.message.evidence import SpamNote
from postmask.spam.judgement import Reason
from postmask.verdict import Verdict, defer, deliver, discard, hold, reject

NODE = "settings"
"""Where a rule comes from that nothing narrower has."""

_ACTING = ("hold", "discard", "refuse")


@dataclass(frozen=True, slots=True)
class SpamRules:
    """Ratios from which on something is done; infinity for never. Named as the settings.

    refuse:           what is to be refused is held where the sender may not be refused any more.
    hold_replies:     from where on a reply is held.
    when_unscanned, dmarc_quarantine: as in postmask.directory.records.
    subject_prefix:   for the subject of a marked copy; "" for none.
    """

    mark: float = 1.0
    hold: float = math.inf
    discard: float = math.inf
    refuse: float = math.inf
    hold_replies: float = 1.0
    when_unscanned: str = WhenUnscanned.TAG
    dmarc_quarantine: str = DmarcQuarantine.MARK
    subject_prefix: str = ""

    @property
    def insists(self) -> bool:
        """Whether something depends on that an engine judges at all."""
        return self.when_unscanned != WhenUnscanned.TAG

    def forward(self, note: SpamNote | None, *, quarantined: bool = False, may_refuse: bool) -> Verdict:
        """Of a message to an alias. note: None where no engine is set up."""
        held = quarantined and self.dmarc_quarantine == DmarcQuarantine.HOLD
        by_dmarc = hold("DMARC fails, and the author's domain asks for quarantine") if held else None
        if note is None or note.ratio is None:
            return by_dmarc or self._unscanned(note)
        reason = _reason(note)
        if note.ratio >= self.discard:
            return discard(reason)
        if note.ratio >= self.refuse:
            return reject("5.7.1", "refused as spam", reason) if may_refuse else hold(reason)
        return hold(reason) if note.ratio >= self.hold else by_dmarc or deliver(reason)

    def marks(self, note: SpamNote | None, *, quarantined: bool = False) -> bool:
        """Whether a copy that is delivered or held is called spam."""
        return quarantined or (note is not None and note.ratio is not None and note.ratio >= self.mark)

    def reply(self, note: SpamNote | None) -> Verdict:
        """Of a reply that is proven to be its owner's."""
        if note is None or note.ratio is None:
            return self._unscanned(note)
        return hold(_reason(note)) if note.ratio >= self.hold_replies else deliver(_reason(note))

    def _unscanned(self, note: SpamNote | None) -> Verdict:
        if note is None or not self.insists or note.unscanned == Reason.BYPASSED:
            return deliver()
        reason = f"unscanned: {note.unscanned}"
        if self.when_unscanned == WhenUnscanned.HOLD:
            return hold(reason)
        return defer("4.7.1", "can't be checked now, try again later", reason)


def rules_of(settings: object) -> SpamRules:
    """The node's own. settings: with attributes of the rules' names."""
    return SpamRules(**{name: getattr(settings, name) for name in POLICY_NAMES})


def policies_of(directory: Directory, alias: Alias) -> Sequence[SpamPolicy] | Unavailable:
    """What is set for the alias, its account and its domain, the narrowest first."""
    match directory.spam_policies(alias):
        case Found(policies):
            return policies
        case Unavailable() as unavailable:
            return unavailable
        case Absent():
            return ()


def effective(node: SpamRules, policies: Sequence[SpamPolicy]) -> SpamRules:
    """The rules for an alias. policies: what is set for it, its account and its domain, narrowest first."""
    own = {
        name: value
        for policy in reversed(policies)
        for name in POLICY_NAMES
        if (value := getattr(policy, name)) is not None
    }
    return replace(node, **own) if own else node


def origin(policies: Sequence[SpamPolicy], name: str) -> str:
    """Where the effective rule of this name comes from: "alias", "account", "domain", or NODE."""
    return next((policy.scope for policy in policies if getattr(policy, name) is not None), NODE)


def objection(rules: SpamRules, policies: Sequence[SpamPolicy], scope: str, changed: Collection[str]) -> str:
    """Why the effective rules make no sense after a change in the policy of that scope; "": they do.

    policies, changed: as for contradiction.
    """
    if said := contradiction(rules, policies, scope, changed):
        return f"{said}: mail would be taken for spam here without being called so; change one of the two"
    own = next((policy for policy in policies if policy.scope == scope), None)
    if own and own.discard is not None and own.hold is not None and own.discard <= own.hold < math.inf:
        return (
            f"hold {own.hold:g} isn't below discard {own.discard:g}: nothing would ever be held; change one"
        )
    return ""


def contradiction(
    rules: SpamRules, policies: Sequence[SpamPolicy], scope: str, changed: Collection[str]
) -> str:
    """What the effective rules do below the ratio that is called spam, as far as the change is to blame.

    policies: what the rules come from, the narrowest first. changed: what was set or taken back in the
    policy of that scope; of what a narrower one has of its own it changes nothing.
    """
    narrower = [policy for policy in policies if SCOPES.index(policy.scope) < SCOPES.index(scope)]
    blamed = {name for name in changed if origin(narrower, name) == NODE}
    for name in _ACTING:
        if getattr(rules, name) < rules.mark < math.inf and not blamed.isdisjoint((name, "mark")):
            return f"{_told(rules, policies, name)} is below {_told(rules, policies, 'mark')}"
    return ""


def _told(rules: SpamRules, policies: Sequence[SpamPolicy], name: str) -> str:
    where = origin(policies, name)
    return f"{name} {getattr(rules, name):g} (of the {where})"


def _reason(note: SpamNote) -> str:
    return f"spam ratio {note.ratio:.2f} by {note.engine}"
