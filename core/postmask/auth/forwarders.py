"""Forwarders and mailing lists that break DMARC in good faith, as the site names them.

A client is named by its address or network, a domain by its name; a domain counts where SPF passes for
it (the envelope sender's) or one of its DKIM signatures does, for itself and what lies below it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from postmask.authentication import Authentication, Spf


class TrustedForwarders:
    """Those of the setting mail.trusted_forwarders."""

    def __init__(self, names: Iterable[str]) -> None:
        self._networks = []
        self._domains = set()
        for name in names:
            try:
                self._networks.append(ipaddress.ip_network(name))
            except ValueError:
                self._domains.add(name)

    def brought(self, client: str, found: Authentication) -> bool:
        """Whether a message came by one of them. client: the SMTP client's address."""
        return self._named(client) or any(map(self._is_one, _proven(found)))

    def may_have_brought(self, client: str, found: Authentication) -> bool:
        """Whether it did, or might turn out to if DNS answered."""
        return self.brought(client, found) or any(map(self._is_one, _unknown(found)))

    def _named(self, client: str) -> bool:
        try:
            address = ipaddress.ip_address(client)
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    def _is_one(self, domain: str) -> bool:
        labels = domain.split(".")
        return any(".".join(labels[start:]) in self._domains for start in range(len(labels)))


def _proven(found: Authentication) -> Iterable[str]:
    if found.spf.result is Spf.PASS:
        yield found.spf.domain
    yield from (one.domain for one in found.dkim if one.passed)


def _unknown(found: Authentication) -> Iterable[str]:
    if found.spf.result is Spf.TEMPERROR:
        yield found.spf.domain
    yield from (one.domain for one in found.dkim if one.temporary)
