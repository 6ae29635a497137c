"""A circuit breaker: what keeps failing is left alone for a while, so that nobody waits for it in vain.

It opens after failures in a row, however far apart, or after as many within a short time, whatever
succeeded between them. While it is open, one try is let through when a rest is over: if that one
fails, the next rest is twice as long. Rests differ by chance, so that nodes don't probe in step.

DIAGNOSTICS
    None: `allows` says whether to try, and whoever tried says how it went. A probe of which nothing is
    heard again costs one rest.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from postmask.clock import Clock


@dataclass(frozen=True, slots=True)
class Limits:
    """When a breaker opens, and for how long. All times in seconds.

    failures: that many in a row open it, or that many within `window`.
    first_rest, longest_rest: before the first probe, and at most; doubled by each that fails.
    spread:   a rest is longer or shorter by up to this share of it.
    """

    failures: int = 4
    window: float = 10.0
    first_rest: float = 60.0
    longest_rest: float = 600.0
    spread: float = 0.4


class Breaker:
    """Of one thing that may fail. Shared by threads."""

    def __init__(self, clock: Clock, limits: Limits, chance: Callable[[], float] = random.random) -> None:
        """chance: numbers from 0 to 1, by which rests differ."""
        self._clock = clock
        self._limits = limits
        self._chance = chance
        self._lock = threading.Lock()
        self._rest = 0.0
        self._probe_at = 0.0
        self._probing = False
        self._in_a_row = 0
        self._recent: deque[float] = deque(maxlen=limits.failures)

    def allows(self) -> bool:
        """Whether to try now. While it is open: True once, when the rest is over."""
        with self._lock:
            if not self._rest:
                return True
            now = self._clock.monotonic()
            if now < self._probe_at:
                return False
            # The others wait for what this one finds, a rest's length at most.
            self._probe_at = now + self._rest
            self._probing = True
            return True

    def succeeded(self) -> None:
        """A try went well. That closes it if it was the probe, not if it began before the opening."""
        with self._lock:
            self._in_a_row = 0
            if self._probing:
                self._close()

    def failed(self) -> None:
        """A try did not go well."""
        with self._lock:
            now = self._clock.monotonic()
            if self._probing:
                self._open(now, min(self._limits.longest_rest, self._rest * 2))
            elif not self._rest:
                self._in_a_row += 1
                self._recent.append(now)
                if self._in_a_row >= self._limits.failures or self._is_burst(now):
                    self._open(now, self._limits.first_rest)

    @property
    def state(self) -> str:
        """ "closed", "open", or "half-open" while a probe is under way."""
        with self._lock:
            if not self._rest:
                return "closed"
            return "half-open" if self._probing else "open"

    @property
    def rests_for(self) -> float:
        """Seconds until the next try is let through; 0.0 if that is now."""
        with self._lock:
            return max(0.0, self._probe_at - self._clock.monotonic()) if self._rest else 0.0

    def recovered(self) -> None:
        """It is known to work again: closes at once."""
        with self._lock:
            self._close()

    def _is_burst(self, now: float) -> bool:
        full = len(self._recent) == self._limits.failures
        return full and now - self._recent[0] < self._limits.window

    def _open(self, now: float, rest: float) -> None:
        self._rest = rest
        self._probe_at = now + rest * (1 + self._limits.spread * (2 * self._chance() - 1))
        self._probing = False

    def _close(self) -> None:
        self._rest = 0.0
        self._probing = False
        self._in_a_row = 0
        self._recent.clear()
