"""DMARC's judgement of a message: does anything that passed speak for the domain in From?

Relaxed alignment compares organisational domains, which a domain of its own always lies in. So only
what lies under the author's organisation is looked up, and a stranger's domains cost no question.

DIAGNOSTICS
    DmarcResult, never an error. A pass needs no more than one aligned identifier that passed. temperror:
    the policy, the organisation, the existence of the domain, or an aligned identifier could not be
    looked up, and with the answer the result might be another.

STANDARDS
    RFC 9989 §5.3 (the steps of a receiver), §4.4 (alignment), §11.5 (messages with several authors).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from functools import cached_property

from postmask.address import is_within
from postmask.auth.dmarc import tree
from postmask.auth.dns import Dns
from postmask.authentication import DkimResult, Dmarc, DmarcResult, Policy, Spf, SpfResult
from postmask.clock import Deadline
from postmask.directory.lookup import Absent, Found, Lookup, Unavailable
from postmask.message.headers import Headers
from postmask.message.mailboxes import parse_list

_MILDER = {Policy.REJECT: Policy.QUARANTINE, Policy.QUARANTINE: Policy.NONE, Policy.NONE: Policy.NONE}


class _Aligned(enum.IntEnum):
    """Whether an identifier is aligned and passed. MAYBE: it would be, if DNS answered."""

    NO = 0
    MAYBE = 1
    YES = 2


def author_domain(headers: Headers) -> str | None:
    """The domain of the one From field, as lower-case A-labels; None where there isn't exactly one."""
    fields = headers.get_all("from")
    if len(fields) != 1:
        return None
    domains = {entry.address.domain for entry in parse_list(fields[0].value).entries}
    domain = domains.pop() if len(domains) == 1 else ""
    return domain if domain and not domain.startswith("[") else None


class Judge:
    """DMARC for mail of one domain. Nothing is asked twice if the Dns remembers its answers."""

    def __init__(self, domain: str, dns: Dns, deadline: Deadline) -> None:
        """domain: the author's, as author_domain gives it."""
        self._domain = domain
        self._dns = dns
        self._deadline = deadline

    def prepare(self) -> None:
        """Ask now for what the author's domain publishes, before others use up the time for questions."""
        published = self._published
        if isinstance(published, Found):
            self._policy(published.value)

    def may_align(self, domain: str) -> bool:
        """Whether an identifier of that domain might speak for the author: worth asking about first.

        What lies under the author's domain needs no question, and most mail has nothing else.
        """
        if is_within(domain, self._domain):
            return True
        own = self._organisation
        return isinstance(own, Found) and is_within(domain, own.value)

    def judge(self, spf: SpfResult, dkim: Sequence[DkimResult]) -> DmarcResult:
        """The result. spf: of the envelope sender (RFC 7208 §2.4), not of HELO."""
        match self._published:
            case Unavailable(reason):
                return self._result(Dmarc.TEMPERROR, reason=f"the policy can't be looked up: {reason}")
            case Absent():
                return self._result(Dmarc.NONE)
            case Found(published):
                return self._by(published, spf, dkim)

    @cached_property
    def _published(self) -> Lookup[tree.Published]:
        return tree.policy_for(self._domain, self._dns, self._deadline)

    def _by(self, published: tree.Published, spf: SpfResult, dkim: Sequence[DkimResult]) -> DmarcResult:
        record, at = published.record, published.domain
        if record.faulty:
            return self._result(Dmarc.PERMERROR, at, reason=f"the policy of {at} can't be read")
        by_spf = self._spf(spf, strict=record.strict_spf)
        by_dkim = self._dkim(dkim, strict=record.strict_dkim)
        best = max(by_spf, by_dkim)
        if best is _Aligned.YES:
            return self._result(
                Dmarc.PASS, at, by_spf=by_spf is _Aligned.YES, by_dkim=by_dkim is _Aligned.YES
            )
        if best is _Aligned.MAYBE:
            return self._result(Dmarc.TEMPERROR, at, reason="an aligned identifier can't be looked up")
        policy = self._policy(published)
        if isinstance(policy, Unavailable):
            return self._result(
                Dmarc.TEMPERROR, at, reason=f"whether {self._domain} exists can't be looked up"
            )
        return self._result(Dmarc.FAIL, at, _MILDER[policy] if record.testing else policy)

    def _policy(self, published: tree.Published) -> Policy | Unavailable:
        """What the record asks for with mail of this very domain."""
        record = published.record
        if published.domain == self._domain:
            return record.policy
        if record.missing == record.subdomains:
            return record.subdomains
        match self._dns.exists(self._domain, self._deadline):
            case Found():
                return record.subdomains
            case Absent():
                return record.missing
            case Unavailable() as unavailable:
                return unavailable

    def _spf(self, spf: SpfResult, *, strict: bool) -> _Aligned:
        possible = {Spf.PASS: _Aligned.YES, Spf.TEMPERROR: _Aligned.MAYBE}.get(spf.result, _Aligned.NO)
        return self._alignment([(spf.domain, possible)], strict=strict)

    def _dkim(self, dkim: Sequence[DkimResult], *, strict: bool) -> _Aligned:
        return self._alignment(
            (
                (one.domain, _Aligned.YES if one.passed else _Aligned.MAYBE)
                for one in dkim
                if one.passed or one.temporary
            ),
            strict=strict,
        )

    def _alignment(self, identifiers: Iterable[tuple[str, _Aligned]], *, strict: bool) -> _Aligned:
        """The best of the identifiers, each with what it can come to if it is aligned."""
        best = _Aligned.NO
        for domain, possible in sorted(set(identifiers), key=lambda one: -one[1]):
            if possible > best:
                best = max(best, min(possible, self._is_aligned(domain, strict=strict)))
        return best

    def _is_aligned(self, domain: str, *, strict: bool) -> _Aligned:
        if domain == self._domain:
            return _Aligned.YES
        if strict or not domain:
            return _Aligned.NO
        own = self._organisation
        if isinstance(own, Found) and not is_within(domain, own.value):
            return _Aligned.NO
        other = tree.organisation(domain, self._dns, self._deadline)
        if not isinstance(own, Found) or not isinstance(other, Found):
            return _Aligned.MAYBE
        return _Aligned.YES if own.value == other.value else _Aligned.NO

    @cached_property
    def _organisation(self) -> Lookup[str]:
        return tree.organisation(self._domain, self._dns, self._deadline)

    def _result(
        self,
        result: Dmarc,
        record_domain: str = "",
        policy: Policy = Policy.NONE,
        *,
        by_spf: bool = False,
        by_dkim: bool = False,
        reason: str = "",
    ) -> DmarcResult:
        return DmarcResult(result, policy, self._domain, record_domain, by_spf, by_dkim, reason)
