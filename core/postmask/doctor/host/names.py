"""The host's name, forward and reverse: whether others can tell that its mail comes from it.

STANDARDS
    RFC 5321 §2.3.5, §4.1.1.1 (HELO), RFC 1912 §2.1; forward-confirmed reverse DNS as RFC 8601 §3 (iprev).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from postmask.address import AddressError, parse_domain
from postmask.doctor.finding import Finding
from postmask.doctor.host import codes
from postmask.doctor.host.outside import Way
from postmask.doctor.inquiry import Inquiry, shown

_LOCAL = ("localhost", "localdomain", "local", "internal", "lan", "home", "invalid")
"""Top-level names that are in no public DNS (RFC 6761, RFC 6762), or that people give at home."""

_MOST_NAMES = 10


def look(name: str, greeting: str, way: Way, inquiry: Inquiry) -> Iterator[Finding]:
    """What is wrong with the name of the host. name: myhostname. greeting: its name in HELO."""
    if fault := _fault(name):
        yield codes.NAME_BARE.at("myhostname", f"{shown(name)} {fault}")
    if not _fault(greeting):
        yield from _greeting(greeting, way, inquiry)
    for address in way.senders:
        yield from _reverse(address, inquiry)
    for address in way.hidden:
        yield codes.ADDRESS_UNKNOWN.at(address, f"{address} is behind NAT; what others see of it isn't known")
    if inquiry.unanswered:
        yield codes.UNANSWERED.at("DNS", inquiry.unanswered)


def _fault(name: str) -> str:
    """Why it is no name for others; "" if it may be one."""
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        pass
    else:
        return "is an address"
    try:
        parse_domain(name)
    except AddressError:
        return "is no host's name"
    last = name.lower().rstrip(".").rpartition(".")
    if not last[1]:
        return "has no domain"
    return f"ends in {last[2]}, which is in no public DNS" if last[2] in _LOCAL else ""


def _greeting(greeting: str, way: Way, inquiry: Inquiry) -> Iterator[Finding]:
    addresses = inquiry.addresses(greeting)
    if addresses is None:
        return
    if not addresses:
        yield codes.NAME_UNRESOLVED.at(greeting, f"{greeting} has no address")
        return
    if way.relay:
        return  # What others see is the relay's name, not ours.
    for address in way.senders:
        if not _is_among(address, addresses):
            yield codes.NAME_ELSEWHERE.at(
                f"{greeting}, {address}",
                f"{greeting} leads to {shown(', '.join(addresses))}, not to {address}, from which mail comes",
            )


def _reverse(address: str, inquiry: Inquiry) -> Iterator[Finding]:
    names = inquiry.names(address)
    if names is None:
        return
    if not names:
        yield codes.REVERSE_MISSING.at(address, f"{address} has no name in reverse DNS")
        return
    forward = [inquiry.addresses(name) for name in names[:_MOST_NAMES]]
    if any(addresses is not None and _is_among(address, addresses) for addresses in forward):
        return
    if None not in forward:
        said = shown(", ".join(names))
        yield codes.REVERSE_UNCONFIRMED.at(
            address, f"{address} is called {said}, which doesn't lead back to it"
        )


def _is_among(address: str, addresses: tuple[str, ...]) -> bool:
    return ipaddress.ip_address(address) in map(ipaddress.ip_address, addresses)
