"""Addresses that mean nothing outside of their network."""

from __future__ import annotations

import ipaddress

_NETWORKS = tuple(
    map(
        ipaddress.ip_network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.168.0.0/16", "::/128", "::1/128", "fc00::/7", "fe80::/10"),
        ),
    )
)
"""RFC 6890: what isn't routed between networks. Not those for documentation."""


def is_inside(address: str) -> bool:
    """Whether an IP address means nothing outside of its network."""
    return any(ipaddress.ip_address(address) in network for network in _NETWORKS)
