"""From which addresses this host's mail comes to others, as far as it can tell. Pure.

STANDARDS
    postconf(5): smtp_bind_address, inet_interfaces (one address alone is sent from), inet_protocols,
    proxy_interfaces, relayhost; default_transport, whose next hop goes before relayhost.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from postmask.doctor.finding import Finding
from postmask.doctor.host import codes
from postmask.doctor.inside import is_inside

PARAMETERS = (
    "myhostname",
    "smtp_helo_name",
    "smtp_bind_address",
    "smtp_bind_address6",
    "inet_interfaces",
    "inet_protocols",
    "proxy_interfaces",
    "relayhost",
    "sender_dependent_relayhost_maps",
    "default_transport",
)
"""What Postfix is asked for."""

_NOWHERE = ("discard", "error", "retry")
"""Transports whose next hop is a text."""
_BOUND = {4: "smtp_bind_address", 6: "smtp_bind_address6"}


@dataclass(frozen=True, slots=True)
class Way:
    """How mail leaves.

    senders: the addresses that others see. hidden: those behind NAT, of which nobody knows what others see.
    relay:   the host that all mail is sent by, "" for none.
    """

    senders: tuple[str, ...]
    hidden: tuple[str, ...]
    relay: str


def bound(values: Mapping[str, str]) -> tuple[str, ...]:
    """The addresses that Postfix is told to send from. values: of PARAMETERS."""
    return tuple(filter(None, (values[name].strip("[] ") for name in _BOUND.values())))


def misbound(values: Mapping[str, str], has: Callable[[str], bool]) -> Iterator[Finding]:
    """What is wrong with these. has: whether an address is this host's."""
    for address in bound(values):
        if not has(address):
            yield codes.NOT_OURS.at(address, f"this host hasn't the address {address}")


def way(
    values: Mapping[str, str],
    configured: Sequence[str],
    source: Callable[[int], str | None],
    named: Callable[[], Iterable[str]],
) -> Way:
    """How mail leaves.

    values: of PARAMETERS. configured: doctor.addresses. source: the host's own address on the way out, by IP
    version, None if there is no such way. named: the addresses of the host's name, asked for if need be.
    """
    relay = _relay(values)
    if configured or relay:
        return Way(tuple(configured), (), relay)
    senders: list[str] = []
    hidden: list[str] = []
    for version in versions(values["inet_protocols"]):
        own = _own(version, values) or source(version)
        if own is None:
            continue
        seen = _seen(version, own, values["proxy_interfaces"], named)
        senders += seen
        hidden += () if seen else (own,)
    return Way(tuple(senders), tuple(hidden), relay)


def _relay(values: Mapping[str, str]) -> str:
    transport, _, nexthop = values["default_transport"].partition(":")
    told = nexthop if transport not in _NOWHERE else ""
    return ((told or values["relayhost"]).replace(",", " ").split() or [""])[0]


def versions(protocols: str) -> list[int]:
    """Of IP, in which Postfix speaks. protocols: inet_protocols."""
    words = protocols.replace(",", " ").split()
    return [version for version in (4, 6) if "all" in words or f"ipv{version}" in words]


def _own(version: int, values: Mapping[str, str]) -> str | None:
    """What Postfix is told to send from; one interface alone means that too, unless it is loopback."""
    told = _of(version, [values[_BOUND[version]]])
    if told:
        return told[0]
    listed = _of(version, values["inet_interfaces"].replace(",", " ").split())
    one = listed[0] if len(listed) == 1 else None
    return None if one is None or ipaddress.ip_address(one).is_loopback else one


def _seen(version: int, own: str, proxies: str, named: Callable[[], Iterable[str]]) -> list[str]:
    """What others see of it: itself, or behind NAT what Postfix or the DNS says."""
    if not is_inside(own):
        return [own]
    translated = _of(version, proxies.replace(",", " ").split()) or _of(version, named())
    return [address for address in translated if not is_inside(address)]


def _of(version: int, words: Iterable[str]) -> list[str]:
    """Those words that are addresses of that version; Postfix writes IPv6 with or without brackets."""
    found = []
    for word in words:
        try:
            address = ipaddress.ip_address(word.strip("[] "))
        except ValueError:
            continue
        if address.version == version:
            found.append(str(address))
    return found
