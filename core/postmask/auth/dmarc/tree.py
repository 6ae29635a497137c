"""The DNS tree walk: which policy counts for a domain, and to which organisation it belongs.

DIAGNOSTICS
    Unavailable goes through: with one answer missing nobody knows what the walk would have found.

STANDARDS
    RFC 9989 §4.10 (tree walk, at most 8 questions), §4.10.1 (policy discovery), §4.10.2
    (organisational domain).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from postmask.auth.dmarc.record import Psd, Record, parse_record
from postmask.auth.dns import Dns
from postmask.clock import Deadline
from postmask.directory.lookup import ABSENT, Absent, Found, Lookup, Unavailable

_MOST_LABELS = 8
"""A longer name is asked for as it is, then cut to one label less than this."""


@dataclass(frozen=True, slots=True)
class Published:
    """A policy record and the domain that publishes it."""

    domain: str
    record: Record


def walk(domain: str) -> Iterator[str]:
    """The domains whose records may matter to this one (lower-case A-labels), itself first; at most 8."""
    labels = domain.split(".")
    yield domain
    for start in range(max(1, len(labels) - _MOST_LABELS + 1), len(labels)):
        yield ".".join(labels[start:])


def record_at(domain: str, dns: Dns, deadline: Deadline) -> Lookup[Record]:
    """The domain's own record. Several are none (RFC 9989 §4.10, step 2)."""
    answer = dns.txt(f"_dmarc.{domain}", deadline)
    if not isinstance(answer, Found):
        return answer
    records = [record for value in answer.value if (record := parse_record(value))]
    return Found(records[0]) if len(records) == 1 else ABSENT


def organisation(domain: str, dns: Dns, deadline: Deadline) -> Lookup[str]:
    """The organisational domain."""
    found = _records(domain, dns, deadline)
    return found if isinstance(found, Unavailable) else Found(_organisation(domain, found))


def policy_for(domain: str, dns: Dns, deadline: Deadline) -> Lookup[Published]:
    """The record that counts for mail of that domain: its own, its organisation's, the public suffix's."""
    own = record_at(domain, dns, deadline)
    if isinstance(own, Unavailable):
        return own
    if isinstance(own, Found):
        return Found(Published(domain, own.value))
    found = _records(domain, dns, deadline)
    if isinstance(found, Unavailable):
        return found
    upper = {published.domain: published for published in found}
    wanted = upper.get(_organisation(domain, found))
    suffix = found[-1] if found and found[-1].record.psd is Psd.YES else None
    chosen = wanted or suffix
    return Found(chosen) if chosen else ABSENT


def _records(domain: str, dns: Dns, deadline: Deadline) -> list[Published] | Unavailable:
    """What the walk finds, from the longest name to the shortest."""
    found: list[Published] = []
    for name in walk(domain):
        answer = record_at(name, dns, deadline)
        if isinstance(answer, Unavailable):
            return answer
        if isinstance(answer, Absent):
            continue
        found.append(Published(name, answer.value))
        if answer.value.psd is not Psd.UNTOLD:
            break
    return found


def _organisation(domain: str, found: list[Published]) -> str:
    """The choice among the records of a walk, which ends at the first with psd=y or psd=n."""
    if not found:
        return domain
    last = found[-1]
    if last.record.psd is Psd.YES:
        labels = domain.split(".")
        return ".".join(labels[-len(last.domain.split(".")) - 1 :])
    return last.domain
