"""The DNS questions of one message: each asked once, all within one budget, and nobody waits in vain.

While DNS answers nobody, messages must not each be kept waiting for it. So after messages in a row that
waited without any answer a breaker opens, which all messages share. From then on a message asks one
question with a moment's patience and, without an answer, gives up; now and then one message is
patient, for a DNS that is alive but slow. Any answer in that moment closes the breaker: whoever points
his own domains at dead servers thereby opens it for no longer than until the next message.

DIAGNOSTICS
    Unavailable, with the reason: the resolver's own, the budget is used up, or no answers lately.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from postmask.auth.dns import Dns
from postmask.breaker import Breaker, Limits
from postmask.clock import Clock, Deadline
from postmask.directory.lookup import Lookup, Unavailable

T = TypeVar("T")

BUDGET = 3.0
"""Seconds that a message waits for DNS in all."""

MOMENT = 0.1
"""Seconds that it waits while the breaker is open."""

REST = Limits(window=0.0)
"""Only a row counts: on a busy server some senders' domains are always dead."""

_SLOW = 0.2
"""Seconds. A failure that comes sooner keeps nobody waiting, and shows that a server is there."""


class Questions:
    """The Dns of one message. Not for use by several threads; the breaker is."""

    def __init__(self, dns: Dns, breaker: Breaker, clock: Clock, budget: float = BUDGET) -> None:
        self._dns = dns
        self._breaker = breaker
        self._clock = clock
        self._left = budget
        self._patient: bool | None = None
        self._failed = False
        self._given_up = False
        self._answers: dict[tuple[str, str], Any] = {}

    def txt(self, name: str, deadline: Deadline) -> Lookup[tuple[bytes, ...]]:
        return self._once("TXT", name, lambda within: self._dns.txt(name, within), deadline)

    def addresses(self, name: str, deadline: Deadline, *, ipv6: bool = False) -> Lookup[tuple[str, ...]]:
        kind = "AAAA" if ipv6 else "A"
        return self._once(kind, name, lambda within: self._dns.addresses(name, within, ipv6=ipv6), deadline)

    def exchanges(self, name: str, deadline: Deadline) -> Lookup[tuple[tuple[int, str], ...]]:
        return self._once("MX", name, lambda within: self._dns.exchanges(name, within), deadline)

    def names(self, address: str, deadline: Deadline) -> Lookup[tuple[str, ...]]:
        return self._once("PTR", address, lambda within: self._dns.names(address, within), deadline)

    def alias(self, name: str, deadline: Deadline) -> Lookup[str]:
        return self._once("CNAME", name, lambda within: self._dns.alias(name, within), deadline)

    def exists(self, name: str, deadline: Deadline) -> Lookup[None]:
        return self._once("", name, lambda within: self._dns.exists(name, within), deadline)

    def _once(
        self, kind: str, name: str, ask: Callable[[Deadline], Lookup[T]], deadline: Deadline
    ) -> Lookup[T]:
        key = (kind, name.lower().removesuffix("."))
        known: Lookup[T] | None = self._answers.get(key)
        if known is None:
            known = self._answers[key] = self._asked(ask, deadline)
        return known

    def _asked(self, ask: Callable[[Deadline], Lookup[T]], deadline: Deadline) -> Lookup[T]:
        if self._patient is None:
            self._patient = self._breaker.allows()
        if self._given_up:
            return Unavailable("DNS has not answered lately")
        if self._left <= 0:
            return Unavailable("DNS took too long in all")
        start = self._clock.monotonic()
        answer = ask(deadline.within(self._left if self._patient else min(MOMENT, self._left)))
        took = self._clock.monotonic() - start
        self._left -= took
        if isinstance(answer, Unavailable):
            self._note_failure(took)
        else:
            self._note_answer()
        return answer

    def _note_failure(self, took: float) -> None:
        """A message counts once, however many of its questions fail."""
        if not self._patient:
            self._given_up = True
        elif took >= _SLOW and not self._failed:
            self._failed = True
            self._breaker.failed()

    def _note_answer(self) -> None:
        if self._patient:
            self._breaker.succeeded()
        else:
            self._patient = True
            self._breaker.recovered()
