"""MX: whether a domain's mail comes to us.

STANDARDS
    RFC 5321 §5.1 (MX, and the address that stands in for it), RFC 7505 (null MX), RFC 2181 §10.3 (no
    CNAME), RFC 1035 §3.3.9.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence

from postmask.doctor.domain import codes
from postmask.doctor.domain.nodes import Nodes, shortest
from postmask.doctor.finding import Finding
from postmask.doctor.inquiry import Inquiry, named, shown
from postmask.doctor.inside import is_inside

_MOST = 20
"""Mail exchangers that are looked at; Postfix itself tries five."""


def look(domain: str, nodes: Nodes, inquiry: Inquiry) -> Iterator[Finding]:
    """What is wrong with the domain's mail exchangers."""
    published = inquiry.exchanges(domain)
    if published is None:
        return
    hosts = named(published)
    if len(hosts) < len(published):
        beside = f", beside {shown(', '.join(hosts))}, which then may not be there" if hosts else ""
        yield codes.MX_NULL.at(domain, f'the mail exchanger "." says that it takes no mail{beside}')
    elif not hosts:
        yield _none(domain, nodes, inquiry)
    yield from _each(domain, list(dict.fromkeys(hosts))[:_MOST], nodes, inquiry)


def _none(domain: str, nodes: Nodes, inquiry: Inquiry) -> Finding:
    """Without MX records a domain's own address is its mail exchanger."""
    addresses = inquiry.addresses(domain) or ()
    if not addresses:
        return codes.MX_MISSING.at(domain, "it has neither a mail exchanger nor an address")
    here = nodes.addresses.intersection(map(shortest, addresses))
    goes = "this node, for now" if here else f"{shown(', '.join(addresses))}, which is not a node of ours"
    return codes.MX_MISSING.at(domain, f"it has no mail exchanger; its mail goes to {goes}")


def _each(domain: str, hosts: Sequence[str], nodes: Nodes, inquiry: Inquiry) -> Iterator[Finding]:
    ours, foreign, unknown = 0, [], 0
    for host in hosts:
        where = f"{domain}, {shown(host)}"
        if _is_address(host):
            yield codes.MX_LITERAL.at(where)
            continue
        addresses = inquiry.addresses(host)
        if addresses is not None:
            yield from _addresses(where, addresses)
        if other := inquiry.alias(host):
            yield codes.MX_ALIAS.at(where, f"it is another name of {shown(other)}")
        if host in nodes.names or nodes.addresses.intersection(map(shortest, addresses or ())):
            ours += 1
        elif addresses is None:
            unknown += 1
        else:
            foreign.append(where)
    if ours:
        yield from map(codes.MX_FOREIGN.at, foreign)
    elif foreign and not unknown:
        there, own = shown(", ".join(hosts)), shown(", ".join(sorted(nodes.names)))
        yield codes.MX_ELSEWHERE.at(domain, f"its mail exchangers are {there}; ours are {own}")


def _addresses(where: str, addresses: Sequence[str]) -> Iterator[Finding]:
    if not addresses:
        yield codes.MX_UNRESOLVED.at(where)
    inside = [address for address in addresses if is_inside(address)]
    if inside:
        yield codes.MX_PRIVATE.at(where, f"{shown(', '.join(inside))} can't be reached from outside")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
