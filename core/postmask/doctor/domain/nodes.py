"""Our mail exchangers, by name and by address: what the MX records of our domains should lead to.

DIAGNOSTICS
    None: a name whose addresses nobody told counts by its name alone.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from postmask.doctor.inquiry import Inquiry


@dataclass(frozen=True, slots=True)
class Nodes:
    """names: in lower case, without the final dot. addresses: in their shortest form.

    senders: the addresses from which this host's mail comes to others.
    """

    names: frozenset[str]
    addresses: frozenset[str]
    senders: tuple[str, ...]


def known(names: Iterable[str], senders: Iterable[str], inquiry: Inquiry) -> Nodes:
    """names: this host's, the other nodes', and whatever else may be a mail exchanger."""
    hosts = frozenset(name.lower().rstrip(".") for name in names)
    own = tuple(senders)
    found = {address for host in sorted(hosts) for address in inquiry.addresses(host) or ()}
    return Nodes(hosts, frozenset(map(shortest, {*found, *own})), own)


def shortest(address: str) -> str:
    """An IP address as it is compared."""
    return str(ipaddress.ip_address(address))
