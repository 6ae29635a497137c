"""What engines did, counted for `postmask spam status`. Shared by threads.

DIAGNOSTICS
    None.
"""

from __future__ import annotations

import statistics
import threading
from collections import Counter, deque
from dataclasses import dataclass, field

from postmask.clock import Clock
from postmask.spam.judgement import ASKED_IN_VAIN, Attempt

_LATENCIES = 101


@dataclass(frozen=True, slots=True)
class EngineFigures:
    """Of one engine, since the program began.

    breaker:  "closed", "open" or "half-open"; rests_for: seconds until the next try, while it is open.
    checks:   messages for which it was its turn; judged: of these. failures: the others, by reason.
    median_ms, last_ms: of its judgements, the median of the last ones; None before the first.
    last_failure, last_failure_at: the last one when it was asked, and when, seconds since the epoch.
    """

    name: str
    address: str
    breaker: str
    rests_for: float
    in_flight: int
    checks: int
    judged: int
    failures: dict[str, int]
    median_ms: float | None
    last_ms: float | None
    last_failure: str
    last_failure_at: float | None


@dataclass(frozen=True, slots=True)
class ScannerFigures:
    """Of a whole scanner. unscanned: by the last engine's reason, or the one for which none was asked."""

    messages: int
    scanned: int
    unscanned: dict[str, int]
    in_flight: int
    max_in_flight: int
    engines: tuple[EngineFigures, ...] = field(default=())


class Tally:
    """Counts what comes of one engine's checks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._checks = 0
        self._in_flight = 0
        self._failures: Counter[str] = Counter()
        self._latencies: deque[float] = deque(maxlen=_LATENCIES)
        self._judged = 0
        self._last_failure = ""
        self._last_failure_at: float | None = None

    def began(self) -> None:
        """It is the engine's turn."""
        with self._lock:
            self._checks += 1
            self._in_flight += 1

    def judged(self, milliseconds: float) -> None:
        """It has judged."""
        with self._lock:
            self._in_flight -= 1
            self._judged += 1
            self._latencies.append(round(milliseconds, 1))

    def failed(self, attempt: Attempt) -> None:
        """It hasn't."""
        with self._lock:
            self._in_flight -= 1
            self._failures[attempt.reason.value] += 1
            if attempt.reason not in ASKED_IN_VAIN:
                return
            self._last_failure = ": ".join(filter(None, (attempt.reason.value, attempt.detail)))
            self._last_failure_at = self._clock.now()

    def figures(self, name: str, address: str, breaker: str, rests_for: float) -> EngineFigures:
        """As of now."""
        with self._lock:
            return EngineFigures(
                name=name,
                address=address,
                breaker=breaker,
                rests_for=round(rests_for, 1),
                in_flight=self._in_flight,
                checks=self._checks,
                judged=self._judged,
                failures=dict(self._failures),
                median_ms=round(statistics.median(self._latencies), 1) if self._latencies else None,
                last_ms=self._latencies[-1] if self._latencies else None,
                last_failure=self._last_failure,
                last_failure_at=self._last_failure_at,
            )
