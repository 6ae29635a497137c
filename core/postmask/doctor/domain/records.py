"""All records of one domain of ours, looked at.

DIAGNOSTICS
    Nothing is raised: what nobody answered is one finding (PM402), whatever was to be found there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from postmask.clock import Deadline
from postmask.dnsrecords import Purpose, Record
from postmask.doctor.domain import codes, exchangers, policy, senders, signatures, transport
from postmask.doctor.domain.fetching import FetchError
from postmask.doctor.domain.nodes import Nodes
from postmask.doctor.finding import Finding
from postmask.doctor.inquiry import Inquiry, named, shown

Fetch = Callable[[str, Sequence[str], Deadline], bytes]
"""How an MTA-STS policy is had: host, its addresses, deadline; FetchError."""


def look(
    domain: str, wanted: Sequence[Record], nodes: Nodes, inquiry: Inquiry, fetch: Fetch
) -> Iterator[Finding]:
    """What is wrong with a domain's records. wanted: those that it should have."""
    yield from exchangers.look(domain, nodes, inquiry)
    for record in _for(Purpose.SPF, wanted):
        yield from senders.look(record, nodes, inquiry)
    yield from signatures.look(domain, _for(Purpose.DKIM, wanted), inquiry)
    for record in _for(Purpose.DMARC, wanted):
        yield from policy.look(domain, record, inquiry)
    yield from _transport(domain, inquiry, fetch)
    yield from transport.look_at_reports(domain, inquiry)
    if inquiry.unanswered:
        yield codes.UNANSWERED.at(domain, inquiry.unanswered)


def _for(purpose: Purpose, records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record.purpose is purpose]


def _transport(domain: str, inquiry: Inquiry, fetch: Fetch) -> Iterator[Finding]:
    good, found = transport.announced(domain, inquiry)
    yield from found
    if not good:
        return
    host = f"mta-sts.{domain}"
    addresses = inquiry.addresses(host)
    if addresses is None:
        return
    if not addresses:
        yield codes.STS_UNREACHABLE.at(domain, f"{host} has no address")
        return
    try:
        told = transport.parse_policy(fetch(host, addresses, inquiry.deadline))
    except FetchError as error:
        yield codes.STS_UNREACHABLE.at(domain, f"{host}: {error}")
    except transport.PolicyError as error:
        yield codes.STS_POLICY.at(domain, str(error))
    else:
        hosts = named(inquiry.exchanges(domain) or ())
        for exchanger in transport.unlisted(told, hosts):
            yield codes.STS_EXCHANGER.at(f"{domain}, {shown(exchanger)}", f"the policy's mode is {told.mode}")
