"""The records of all our domains, several looked at at once, within one time limit.

DIAGNOSTICS
    A DNS that falls silent under way is one finding (PM401), and ends it. Domains for which no time was left
    are one finding (PM434) with their number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event

from postmask.auth.dns import Dns
from postmask.auth.questions import REST, Questions
from postmask.breaker import Breaker
from postmask.clock import Clock, Deadline
from postmask.dnsrecords import Record
from postmask.doctor.domain import codes, records
from postmask.doctor.domain.nodes import Nodes
from postmask.doctor.domain.records import Fetch
from postmask.doctor.finding import Finding
from postmask.doctor.inquiry import Inquiry, silence

_AT_ONCE = 8
_BUDGET = 20.0
"""Seconds that one domain may keep its place waiting for the DNS."""


@dataclass(frozen=True, slots=True)
class Domain:
    """One to look at. wanted: the records that it should have."""

    name: str
    wanted: tuple[Record, ...]


class Survey:
    """Looks at domains. nodes: where their mail should go to, and comes from. fetch: for MTA-STS policies."""

    def __init__(self, dns: Dns, clock: Clock, nodes: Nodes, fetch: Fetch) -> None:
        self._dns = dns
        self._clock = clock
        self._nodes = nodes
        self._fetch = fetch
        self._over = Event()

    def look(self, domains: Iterable[Domain], deadline: Deadline) -> Iterator[Finding]:
        """What is wrong, domain by domain."""
        passed_over = 0
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for domain, found in pool.map(lambda domain: (domain, self._one(domain, deadline)), domains):
                if found is None:
                    passed_over += 1
                elif fault := self._silence(domain, found, deadline):
                    self._over.set()
                    yield codes.DEAD.at("DNS", fault)
                    return
                else:
                    yield from found
        if passed_over:
            yield codes.NOT_LOOKED_AT.at("domains", f"there was no time for {passed_over} of them")

    def _one(self, domain: Domain, deadline: Deadline) -> list[Finding] | None:
        """None: there was no time left for it."""
        if self._over.is_set() or deadline.passed:
            return None
        questions = Questions(self._dns, Breaker(self._clock, REST), self._clock, budget=_BUDGET)
        inquiry = Inquiry(questions, deadline)
        return list(records.look(domain.name, domain.wanted, self._nodes, inquiry, self._fetch))

    def _silence(self, domain: Domain, found: list[Finding], deadline: Deadline) -> str:
        """Where a domain's records weren't answered: whether none are any more."""
        if deadline.passed or not any(finding.code is codes.UNANSWERED for finding in found):
            return ""
        return silence(self._dns, domain.name, deadline)
