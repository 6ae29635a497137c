"""The rates at RCPT: how many recipients an hour by sender, by alias and by client, on this node.

DIAGNOSTICS
    None; see postmask.rates.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from postmask.auth.networks import Network, is_own
from postmask.clock import Clock
from postmask.config.sections import Rates
from postmask.rates import Rate

_NET = 64
"""Bits of an IPv6 address that are the client's network: within one it may have any address."""


class RcptRates:
    """Shared by threads. own_networks: clients of the site's own, which have no rate."""

    def __init__(self, most: Rates, own_networks: Sequence[Network], clock: Clock) -> None:
        self._own_networks = own_networks
        self._rates = {
            "sender": Rate(most.sender, clock),
            "alias": Rate(most.alias, clock),
            "client": Rate(most.client, clock),
        }

    def reached(self, sender: str, alias: str, client: str, *, counts: bool) -> str:
        """Which rate is reached, "" if none; then it is one more, if that counts.

        sender, alias: "" for the null sender and what is no alias, which have no rate.
        """
        named = {"sender": sender.casefold(), "alias": alias, "client": self._network(client)}
        asked = [(what, self._rates[what], key) for what, key in named.items() if key]
        for what, rate, key in asked:
            if rate.reached(key):
                return what
        if counts:
            for _, rate, key in asked:
                rate.count(key)
        return ""

    def _network(self, client: str) -> str:
        """The client as it is counted; "" for our own."""
        if is_own(client, self._own_networks):
            return ""
        address = ipaddress.ip_address(client)
        if isinstance(address, ipaddress.IPv4Address):
            return client
        return str(ipaddress.ip_network((address, _NET), strict=False))
