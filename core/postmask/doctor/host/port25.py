"""Whether mail gets out: somebody's mail exchanger, or the relay, takes a connection.

Nothing is said to it: who takes the connection is there.

DIAGNOSTICS
    A host that can't be looked up is passed over. If that leaves none, it is told (PM304).
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from postmask.doctor.finding import Finding
from postmask.doctor.host import codes
from postmask.doctor.inquiry import Inquiry, named

_RELAY = re.compile(r"(?:\[(?P<exact>[^\[\]]+)\]|(?P<domain>[^\[\]:]+))(?::(?P<port>[a-z0-9-]+))?")
_SMTP = 25
_SECONDS = 5.0
_MOST_HOSTS = 2
_MOST_ADDRESSES = 2
"""Of each version: a host without a way for one has it perhaps for the other."""

Connect = Callable[[str, int, float], None]
"""Address, port, seconds. Raises OSError."""


def connect(address: str, port: int, seconds: float) -> None:
    """Connect, and hang up. Raises OSError."""
    socket.create_connection((address, port), seconds).close()


def exchangers(domains: Iterable[str], inquiry: Inquiry) -> Iterator[tuple[str, int]]:
    """The mail exchangers of these domains, best first; a domain's own host where it has none."""
    for domain in domains:
        yield from ((host, _SMTP) for host in _exchangers(domain, inquiry))


def relays(relay: str, inquiry: Inquiry) -> Iterator[tuple[str, int]]:
    """Where a relayhost is: "domain", "host:port", "[host]", "[host]:service", an address likewise."""
    match = _RELAY.fullmatch(relay)
    if not match:
        return
    port = _port(match["port"] or str(_SMTP))
    hosts = [match["exact"]] if match["exact"] else _exchangers(match["domain"], inquiry)
    yield from ((host, port) for host in hosts)


def look(
    hosts: Iterable[tuple[str, int]],
    own: Iterable[str],
    inquiry: Inquiry,
    connects: Connect = connect,
    *,
    versions: Collection[int] = (4, 6),
) -> Iterator[Finding]:
    """Whether any of these hosts and ports can be reached.

    own: this host's addresses, which show nothing. versions: of IP, in which mail is sent.
    """
    faults: list[str] = []
    for address, port in _places(hosts, frozenset(own), versions, inquiry):
        seconds = inquiry.deadline.at_most(_SECONDS)
        if seconds <= 0:
            break
        try:
            connects(address, port, seconds)
        except OSError as error:
            faults.append(f"{address} port {port}: {_reason(error)}")
        else:
            return
    if not faults and inquiry.unanswered:
        yield codes.UNANSWERED.at("outbound SMTP", inquiry.unanswered)
    if faults:
        yield codes.NO_WAY_OUT.at("outbound SMTP", "; ".join(faults))


def _exchangers(domain: str, inquiry: Inquiry) -> list[str]:
    found = inquiry.exchanges(domain)
    if found is None:
        return []
    return named(found)[:_MOST_HOSTS] if found else [domain]


def _places(
    hosts: Iterable[tuple[str, int]], own: frozenset[str], versions: Collection[int], inquiry: Inquiry
) -> Iterator[tuple[str, int]]:
    for host, port in hosts:
        addresses = _addresses(host, inquiry)
        for version in versions:
            of_it = [one for one in addresses if ipaddress.ip_address(one).version == version]
            yield from ((one, port) for one in of_it[:_MOST_ADDRESSES] if one not in own)


def _addresses(host: str, inquiry: Inquiry) -> Sequence[str]:
    try:
        return (str(ipaddress.ip_address(host)),)
    except ValueError:
        return inquiry.addresses(host) or ()


def _port(service: str) -> int:
    """A port by number or name; SMTP's for a name that nobody knows."""
    if service.isdecimal():
        return int(service)
    try:
        return socket.getservbyname(service, "tcp")
    except OSError:
        return _SMTP


def _reason(error: OSError) -> str:
    return "timed out" if isinstance(error, TimeoutError) else error.strerror or type(error).__name__
