"""The time, as an input: programs pass a clock down, tests pass one that they set.

A Deadline is absolute; every wait asks it what is left, so that waits in a row never add up
to more than the budget that the message had at first.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

DAY = 86_400
"""Seconds."""


def day_of(seconds: float) -> int:
    """Days since the epoch, as bounce addresses count them."""
    return int(seconds) // DAY


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> float:
        """Seconds since the epoch, UTC: for what is stored or compared with dates. May jump."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start: for waits. Never jumps."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass(slots=True)
class ManualClock:
    """A clock that stands until it is advanced: for tests and fuzzers."""

    at: float = 1_800_000_000.0
    ticks: float = 0.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.ticks

    def advance(self, seconds: float) -> None:
        """Let the given number of seconds pass on both scales."""
        self.at += seconds
        self.ticks += seconds


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point in monotonic time after which nothing is waited for."""

    clock: Clock
    at: float

    @classmethod
    def after(cls, clock: Clock, seconds: float) -> Deadline:
        """The deadline that many seconds from now."""
        return cls(clock, clock.monotonic() + seconds)

    def left(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - self.clock.monotonic())

    def within(self, seconds: float) -> Deadline:
        """The same deadline, or one that many seconds from now, whichever comes first."""
        return Deadline(self.clock, min(self.at, self.clock.monotonic() + seconds))

    def at_most(self, seconds: float) -> float:
        """What a single wait may take: the given seconds or what is left, whichever is less."""
        return min(seconds, self.left())

    @property
    def passed(self) -> bool:
        return self.left() <= 0.0
