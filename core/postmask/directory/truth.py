"""Asking the truth what the replica doesn't know, so that a truth in trouble holds up nobody.

A few questions at a time, each with the deadline of the directory that answers them. After failures
in a row nobody is kept waiting: for a while all are told at once that it can't be said, then one
question finds out whether it can again. That something isn't there is remembered for a moment, since
whoever tries addresses tries them more than once.

DIAGNOSTICS
    Unavailable, with the reason: too many questions at once, the last ones failed, or the truth's own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import TypeVar

from postmask.breaker import Breaker, Limits
from postmask.clock import Clock
from postmask.directory.lookup import Absent, Lookup, Unavailable

T = TypeVar("T")

IN_FLIGHT = 8
ABSENT_SECONDS = 0.5
"""A new alias must be known everywhere within a second."""

REST = Limits(failures=2, window=0.0, first_rest=1.0, longest_rest=5.0, spread=0.0)
"""Short: a question costs the truth little, and unknown addresses are deferred until it answers."""

_REMEMBERED = 10_000


class Asker:
    """Puts questions to the truth. Shared by threads."""

    def __init__(self, clock: Clock, in_flight: int = IN_FLIGHT) -> None:
        self._clock = clock
        self._places = threading.BoundedSemaphore(in_flight)
        self._breaker = Breaker(clock, REST)
        self._absent: dict[Hashable, tuple[float, Absent]] = {}
        self._last_reason = ""

    def ask(self, key: Hashable, question: Callable[[], Lookup[T]]) -> Lookup[T]:
        """The answer to a question. key: what is asked, for remembering that it isn't there."""
        remembered = self._absent.get(key)
        if remembered is not None and self._clock.monotonic() < remembered[0]:
            return remembered[1]
        if not self._places.acquire(blocking=False):
            return Unavailable("too many look-ups wait for the database")
        try:
            if not self._breaker.allows():
                return Unavailable(self._last_reason)
            answer = question()
        finally:
            self._places.release()
        if isinstance(answer, Unavailable):
            self._last_reason = answer.reason
            self._breaker.failed()
        else:
            self._breaker.succeeded()
        if isinstance(answer, Absent):
            self._remember(key, answer)
        return answer

    def _remember(self, key: Hashable, answer: Absent) -> None:
        if len(self._absent) >= _REMEMBERED:
            self._absent.clear()
        self._absent[key] = self._clock.monotonic() + ABSENT_SECONDS, answer
