"""The DNS as the authentication checks ask it: found, absent or unavailable, within a deadline.

The only user of dnspython. Asks the given servers, or the system's, which are read once, when the
resolver is made; the one that answered last is asked first. Answers are kept for as long as their TTL
allows, but no longer than LONGEST: a question that goes out costs more of the processor than all the
rest of a message's authentication.

DIAGNOSTICS
    Absent:      the name or the type doesn't exist, or the name can't exist (a label too long).
    Unavailable: no answer in time, SERVFAIL, REFUSED, no server known. `reason` says which.

STANDARDS
    RFC 1035, RFC 2308 §5 (negative answers are kept by their SOA; without one not at all), RFC 6891
    (EDNS; 1232 octets, so that nothing is fragmented).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import dns.exception
import dns.name
import dns.nameserver
import dns.rdata
import dns.rdatatype
import dns.rdtypes.ANY.CNAME
import dns.rdtypes.ANY.MX
import dns.rdtypes.ANY.PTR
import dns.rdtypes.ANY.TXT
import dns.rdtypes.IN.A
import dns.rdtypes.IN.AAAA
import dns.resolver
import dns.reversename

from postmask.clock import Deadline
from postmask.directory.lookup import ABSENT, Found, Lookup, Unavailable

LONGEST = 60.0
"""Seconds for which an answer is kept at most: whoever corrects a record need not wait longer for us."""

_KEPT = 4_096
"""Answers that are kept, the ones used last."""

_LARGEST = 4_096
"""Octets of records in an answer that is kept."""

_EDNS_PAYLOAD = 1232
_TRIES = 2
_NO_SUCH_NAME = (
    dns.resolver.YXDOMAIN,
    dns.name.EmptyLabel,
    dns.name.LabelTooLong,
    dns.name.NameTooLong,
    dns.name.BadEscape,
)

R = TypeVar("R", bound=dns.rdata.Rdata)
V = TypeVar("V")


class Dns(Protocol):
    """What SPF, DKIM, DMARC and the doctor ask. Nothing is raised.

    Names are ASCII, with or without the final dot.
    """

    def txt(self, name: str, deadline: Deadline) -> Lookup[tuple[bytes, ...]]:
        """The TXT records, each with its strings joined."""

    def addresses(self, name: str, deadline: Deadline, *, ipv6: bool = False) -> Lookup[tuple[str, ...]]:
        """The A records, or the AAAA records."""

    def exchanges(self, name: str, deadline: Deadline) -> Lookup[tuple[tuple[int, str], ...]]:
        """The MX records as (preference, host), best first; hosts without a final dot."""

    def names(self, address: str, deadline: Deadline) -> Lookup[tuple[str, ...]]:
        """The PTR records of an IP address; names without a final dot."""

    def alias(self, name: str, deadline: Deadline) -> Lookup[str]:
        """What the name is another name of (CNAME), without a final dot."""

    def exists(self, name: str, deadline: Deadline) -> Lookup[None]:
        """Whether there is such a name, with records of whatever type or none (RFC 8020)."""


class _Answers(dns.resolver.LRUCache):
    """What was answered lately, in bounds."""

    def get(self, key: Any) -> dns.resolver.Answer | None:
        """What is kept; nothing that was put there when the clock was ahead, for it would never expire."""
        found: dns.resolver.Answer | None = super().get(key)
        if found is None or found.expiration > time.time() + LONGEST:
            return None
        return found

    def put(self, key: Any, value: dns.resolver.Answer) -> None:
        """Keep an answer, if it may be kept."""
        if _may_be_kept(value):
            value.expiration = min(value.expiration, time.time() + LONGEST)
            super().put(key, value)


def _may_be_kept(answer: dns.resolver.Answer) -> bool:
    if answer.rrset is None:
        return any(rrset.rdtype == dns.rdatatype.SOA for rrset in answer.response.authority)
    return sum(len(record.to_wire() or b"") for record in answer.rrset) <= _LARGEST


class Resolver:
    """The real DNS. Safe to share between threads."""

    def __init__(self, nameservers: Sequence[tuple[str, int]], timeout: float) -> None:
        """nameservers: (address, port); none: the system's. timeout: seconds for one question."""
        self._timeout = timeout
        self._resolver, self._fault = _resolver(nameservers, timeout)

    def txt(self, name: str, deadline: Deadline) -> Lookup[tuple[bytes, ...]]:
        return self._ask(name, dns.rdtypes.ANY.TXT.TXT, lambda record: b"".join(record.strings), deadline)

    def addresses(self, name: str, deadline: Deadline, *, ipv6: bool = False) -> Lookup[tuple[str, ...]]:
        if ipv6:
            return self._ask(name, dns.rdtypes.IN.AAAA.AAAA, lambda record: str(record.address), deadline)
        return self._ask(name, dns.rdtypes.IN.A.A, lambda record: str(record.address), deadline)

    def exchanges(self, name: str, deadline: Deadline) -> Lookup[tuple[tuple[int, str], ...]]:
        found = self._ask(
            name,
            dns.rdtypes.ANY.MX.MX,
            lambda record: (int(record.preference), record.exchange.to_text(omit_final_dot=True)),
            deadline,
        )
        return Found(tuple(sorted(found.value))) if isinstance(found, Found) else found

    def names(self, address: str, deadline: Deadline) -> Lookup[tuple[str, ...]]:
        name = dns.reversename.from_address(address).to_text()
        return self._ask(
            name, dns.rdtypes.ANY.PTR.PTR, lambda record: record.target.to_text(omit_final_dot=True), deadline
        )

    def alias(self, name: str, deadline: Deadline) -> Lookup[str]:
        found = self._ask(
            name,
            dns.rdtypes.ANY.CNAME.CNAME,
            lambda record: record.target.to_text(omit_final_dot=True),
            deadline,
        )
        return Found(found.value[0]) if isinstance(found, Found) else found

    def exists(self, name: str, deadline: Deadline) -> Lookup[None]:
        found = self._resolve(name, "A", deadline)
        return Found(None) if isinstance(found, Found) else found

    def _ask(
        self, name: str, kind: type[R], read: Callable[[R], V], deadline: Deadline
    ) -> Lookup[tuple[V, ...]]:
        found = self._resolve(name, kind.__name__, deadline)
        if not isinstance(found, Found):
            return found
        values = tuple(read(record) for record in found.value if isinstance(record, kind))
        return Found(values) if values else ABSENT

    def _resolve(self, name: str, kind: str, deadline: Deadline) -> Lookup[Sequence[dns.rdata.Rdata]]:
        """Found, perhaps with nothing of that type, or Absent: no such name."""
        if self._resolver is None:
            return Unavailable(self._fault)
        lifetime = deadline.at_most(self._timeout)
        if lifetime <= 0:
            return Unavailable("out of time")
        if not name.isascii():
            return ABSENT
        try:
            question = dns.name.from_text(name)
            answer = self._resolver.resolve(question, kind, lifetime=lifetime, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN as error:
            # An alias whose target doesn't exist does itself exist (RFC 6604 §3).
            said = error.response(question)  # type: ignore[no-untyped-call]
            return Found(()) if said.answer else ABSENT
        except _NO_SUCH_NAME:
            return ABSENT
        except dns.exception.Timeout:
            return Unavailable("DNS did not answer")
        except (dns.exception.DNSException, OSError, ValueError) as error:
            return Unavailable(f"DNS failed: {type(error).__name__}")
        self._prefer(answer.nameserver, answer.port)
        return Found(tuple(answer.rrset or ()))

    def _prefer(self, address: str | None, port: int | None) -> None:
        """Put the server that answered first: a dead one before it would cost time at each question."""
        if self._resolver is None or (address, port) == _place(self._resolver.nameservers[0]):
            return
        self._resolver.nameservers = sorted(
            self._resolver.nameservers, key=lambda server: _place(server) != (address, port)
        )


def _resolver(
    nameservers: Sequence[tuple[str, int]], timeout: float
) -> tuple[dns.resolver.Resolver | None, str]:
    try:
        resolver = dns.resolver.Resolver(configure=not nameservers)
    except dns.resolver.NoResolverConfiguration:
        return None, "no name server is known: neither dns.nameservers nor /etc/resolv.conf names one"
    servers = nameservers or [(str(host), resolver.port) for host in resolver.nameservers]
    resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in servers]
    resolver.timeout = timeout / _TRIES
    resolver.use_edns(0, 0, _EDNS_PAYLOAD)
    resolver.cache = _Answers(_KEPT)
    return resolver, ""


def _place(server: str | dns.nameserver.Nameserver) -> tuple[str, int]:
    assert isinstance(server, dns.nameserver.Do53Nameserver), "_resolver makes no others"
    return server.address, server.port
