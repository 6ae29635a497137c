"""The settings of `postmask doctor`, declared like all others in postmask.config.sections."""

from __future__ import annotations

from dataclasses import dataclass

from postmask.config.declare import setting
from postmask.config.kinds import ADDRESSES, DOMAINS


@dataclass(frozen=True, slots=True)
class Doctor:
    """What postmask doctor can't find out by itself, and whom it asks."""

    addresses: tuple[str, ...] = setting(
        ADDRESSES,
        [],
        "The addresses from which this host's mail comes to others, or those of the relay that it is sent "
        "by. Empty: Postfix's smtp_bind_address, else the address of the way out; behind NAT "
        "proxy_interfaces, else the addresses of the host's name.",
    )
    exchangers: tuple[str, ...] = setting(
        DOMAINS,
        [],
        "Hosts that may be mail exchangers of our domains besides the nodes: a load balancer, or a backup "
        "that knows what to accept.",
    )
    probes: tuple[str, ...] = setting(
        DOMAINS,
        [],
        "Domains whose mail exchangers are connected to on port 25, to see that mail gets out. Empty: those "
        "of the three domains with the most mailboxes.",
    )
    blocklists: tuple[str, ...] = setting(
        DOMAINS,
        ["zen.spamhaus.org", "bl.spamcop.net", "psbl.surriel.com"],
        "The block lists (DNSBL) that are asked for this host's addresses. Each has its terms of use: those "
        "of the default are free for a few questions a day, Spamhaus's not for commercial use, for which it "
        "sells zones of one's own. Empty: none is asked.",
    )
