"""Sender Policy Framework: may this client send for the envelope sender's domain?

pyspf reads and evaluates the records; every question it has goes through our resolver and under the
message's deadline. Records are a stranger's text, so their length is bounded before pyspf sees them,
and the explanation that a domain offers for a failure is neither fetched nor shown.

    check(ip, helo, sender, …)       what a receiver makes of a client
    evaluate(ip, domain, …)          the same for mail of a domain as such, with the reason

DIAGNOSTICS
    SpfResult.result is one of RFC 7208's: pass, fail, softfail, neutral, none, temperror, permerror.
    temperror: DNS didn't answer, or the time was up; asking again may help. Nothing is raised.

STANDARDS
    RFC 7208; §2.4 (a null sender is judged by HELO), §4.6.4 (limits on look-ups).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

import spf

from postmask.address import parse_domain
from postmask.auth.dns import Dns
from postmask.authentication import Spf, SpfResult
from postmask.clock import Deadline
from postmask.directory.lookup import Found, Unavailable

_RECORD_LIMIT = 4_096
_TERM_LIMIT = 512


@dataclass(frozen=True, slots=True)
class Evaluation:
    """result: what a receiver makes of it. fault: why it is an error, as pyspf says it, which holds parts of
    the record. too_many: it is one for its look-ups (RFC 7208 §4.6.4)."""

    result: Spf
    fault: str = ""
    too_many: bool = False


def check(ip: str, helo: str, sender: str, resolver: Dns, deadline: Deadline) -> SpfResult:
    """Evaluate SPF for a client.

    ip: the client's address, as text; what isn't one gives "none". sender: the envelope sender,
    "" for the null sender. helo: what the client called itself.
    """
    domain = domain_of(helo, sender)
    try:
        client = ipaddress.ip_address(ip)
        domain = parse_domain(domain)
    except ValueError:
        return SpfResult(Spf.NONE, domain)
    local = sender.rpartition("@")[0] or "postmaster"
    query = _Query(str(client), local, domain, helo, resolver, deadline)
    return SpfResult(query.evaluated().result, domain)


def evaluate(ip: str, domain: str, resolver: Dns, deadline: Deadline) -> Evaluation:
    """Whether a client may send for a domain. ip: an address; domain: a name as parse_domain gives it."""
    return _Query(ip, "postmaster", domain, domain, resolver, deadline).evaluated()


def domain_of(helo: str, sender: str) -> str:
    """The domain that is judged, in lower case: the sender's, or HELO's with a null sender (§2.4)."""
    return (sender.rpartition("@")[2] if sender else helo).lower()


class _Query(spf.query):
    """One evaluation, with pyspf's own questions answered by our resolver."""

    def __init__(
        self, ip: str, local: str, domain: str, helo: str, resolver: Dns, deadline: Deadline
    ) -> None:
        super().__init__(i=ip, s=f"{local}@{domain}", h=helo, strict=True)
        # pyspf parts a sender at its first "@", and a quoted local part may hold one.
        self.l, self.o, self.d = local, domain, domain
        self._resolver = resolver
        self._deadline = deadline
        self._answers: dict[tuple[str, str], list[Any]] = {}
        self._void_terms: set[int] = set()

    def evaluated(self) -> Evaluation:
        """What pyspf makes of it."""
        try:
            result, _, said = self.check()
            verdict = Spf(result)
        except Exception as error:  # noqa: BLE001 - a record made to confuse pyspf is a faulty record, for good
            verdict, said = Spf.PERMERROR, type(error).__name__
        if verdict not in (Spf.PERMERROR, Spf.TEMPERROR):
            return Evaluation(verdict)
        many = self.lookups > spf.MAX_LOOKUP or self.void_lookups > spf.MAX_VOID_LOOKUPS
        return Evaluation(verdict, said, too_many=verdict is Spf.PERMERROR and many)

    def dns(
        self,
        name: str,
        qtype: str,
        cnames: dict[str, str] | None = None,  # noqa: ARG002 - for resolvers that follow none
        ignore_void: bool = False,
    ) -> list[Any]:
        """The records of a name as pyspf wants them: TXT as lists of strings, MX as pairs, others as text.

        Raises pyspf's TempError and PermError. More than two terms without an answer are an error
        (RFC 7208 §4.6.4); an mx is one term, however many of its hosts lack an address of the client's
        kind. CNAMEs were followed by the resolver.
        """
        key = (name.lower().removesuffix("."), qtype)
        if key not in self._answers:
            self._answers[key] = self._ask(*key)
        values = self._answers[key]
        if not values and not ignore_void:
            self._void_terms.add(self.lookups)  # the number of the term
            self.void_lookups = len(self._void_terms)
            if self.void_lookups > spf.MAX_VOID_LOOKUPS:
                raise spf.PermError("too many terms without an answer")
        return values

    def validated_ptrs(self) -> list[str]:
        """The client's names. It rules them itself, so an error there is no match (RFC 7208 §5.5)."""
        try:
            names: list[str] = super().validated_ptrs()
        except spf.TempError:
            return []
        return names

    def get_explanation(self, spec: str) -> None:
        """Not wanted: a stranger's text, for which another question would have to be asked."""

    def _ask(self, name: str, qtype: str) -> list[Any]:
        found: Any
        match qtype:
            case "TXT":
                found = self._resolver.txt(name, self._deadline)
            case "MX":
                found = self._resolver.exchanges(name, self._deadline)
            case "A" | "AAAA":
                found = self._resolver.addresses(name, self._deadline, ipv6=qtype == "AAAA")
            case _:
                found = self._resolver.names(str(self.ipaddr), self._deadline)
        if isinstance(found, Unavailable):
            raise spf.TempError(found.reason)
        values = list(found.value) if isinstance(found, Found) else []
        return [[_bounded(value)] for value in values] if qtype == "TXT" else values


def _bounded(value: bytes) -> bytes:
    """The value, unless it is an SPF record longer than any that works. Raises PermError."""
    if value[:6].lower() != b"v=spf1":
        return value
    if len(value) > _RECORD_LIMIT or max(map(len, value.split(b" "))) > _TERM_LIMIT:
        raise spf.PermError("the SPF record is too long")
    return value
