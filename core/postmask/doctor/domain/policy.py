"""DMARC: which policy counts for a domain, and whether reports can go where it wants them.

STANDARDS
    RFC 9989 §4.7 (tags), §4.10 (policy discovery); RFC 9990 §4 (reports to other domains must be agreed to).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from postmask.address import AddressError, parse
from postmask.auth.dmarc.record import Record as Policy
from postmask.auth.dmarc.record import parse_record
from postmask.auth.dmarc.tree import organisation, policy_for
from postmask.authentication import Policy as Wish
from postmask.directory.lookup import Found, Unavailable
from postmask.dnsrecords import Record
from postmask.doctor.domain import codes
from postmask.doctor.finding import Finding
from postmask.doctor.inquiry import Inquiry, shown

_LIKE_ONE = re.compile(rb"\s*v\s*=\s*dmarc", re.IGNORECASE)
_SIZE = re.compile(r"![0-9]+[kmgt]?\Z", re.IGNORECASE)
_MOST_REPORTS = 10


def look(domain: str, record: Record, inquiry: Inquiry) -> Iterator[Finding]:
    """What is wrong with the DMARC policy. record: the wanted one."""
    texts = inquiry.texts(record.name)
    if texts is None:
        return
    policies = [(text, policy) for text in texts if (policy := parse_record(text))]
    if len(policies) > 1:
        yield codes.DMARC_SEVERAL.at(domain, f"it has {len(policies)}: {_joined(policies)}")
    elif policies:
        yield from _own(domain, *policies[0], inquiry)
    elif damaged := [text for text in texts if _LIKE_ONE.match(text)]:
        yield codes.DMARC_BROKEN.at(domain, f"{shown(damaged[0])} is no DMARC record")
    else:
        yield from _above(domain, inquiry)


def _joined(policies: Sequence[tuple[bytes, Policy]]) -> str:
    return shown(b" | ".join(text for text, _ in policies))


def _own(domain: str, text: bytes, policy: Policy, inquiry: Inquiry) -> Iterator[Finding]:
    if not policy.readable:
        yield codes.DMARC_BROKEN.at(domain, f"p, sp or np can't be read in {shown(text)}")
    elif policy.policy is Wish.NONE or policy.testing:
        yield codes.DMARC_NONE.at(domain, f"it is {shown(text)}")
    for report in policy.reports[:_MOST_REPORTS]:
        yield from _report(domain, report, inquiry)


def _above(domain: str, inquiry: Inquiry) -> Iterator[Finding]:
    """The domain has none of its own: the organisation's counts."""
    found = policy_for(domain, inquiry.dns, inquiry.deadline)
    if isinstance(found, Unavailable):
        inquiry.note(f"_dmarc above {domain} TXT", found.reason)
    elif not isinstance(found, Found):
        yield codes.DMARC_MISSING.at(domain)
    elif found.value.record.subdomains is Wish.NONE or found.value.record.testing:
        yield codes.DMARC_NONE.at(domain, f"it is that of {shown(found.value.domain)}, for subdomains: none")


def _report(domain: str, report: str, inquiry: Inquiry) -> Iterator[Finding]:
    where = f"{domain}, {shown(report)}"
    scheme, _, address = report.partition(":")
    try:
        host = parse(_SIZE.sub("", address)).domain
    except AddressError:
        host = ""
    if scheme.lower() != "mailto" or not host:
        yield codes.DMARC_REPORTS.at(where, "it isn't a mailto: address")
        return
    if host == domain or _akin(domain, host, inquiry):
        return
    name = f"{domain}._report._dmarc.{host}"
    agreed = inquiry.texts(name)
    if agreed is not None and not any(map(parse_record, agreed)):
        yield codes.DMARC_REPORTS.at(where, f'{host} doesn\'t take them: {name} has no TXT record "v=DMARC1"')


def _akin(domain: str, host: str, inquiry: Inquiry) -> bool:
    """Whether both are of one organisation, or nobody knows."""
    found = [organisation(name, inquiry.dns, inquiry.deadline) for name in (domain, host)]
    for answer in found:
        if isinstance(answer, Unavailable):
            inquiry.note(f"_dmarc above {domain} and {host} TXT", answer.reason)
            return True
    return found[0] == found[1]
