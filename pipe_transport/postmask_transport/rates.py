"""How often somebody has done something within the last hour, on this node and since the program began."""

from __future__ import annotations

import threading
from collections import deque

from postmask.clock import Clock

_HOUR = 3_600.0
_MOST_KEYS = 100_000


class Rate:
    """At most so many an hour for each key. Shared by threads."""

    def __init__(self, most: int, clock: Clock) -> None:
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._times: dict[int, deque[float]] = {}

    def reached(self, key: int) -> bool:
        """Whether there may be no more now."""
        with self._lock:
            return len(self._recent(key)) >= self._most

    def count(self, key: int) -> None:
        """One more."""
        with self._lock:
            if len(self._times) >= _MOST_KEYS:
                self._forget()
            self._times.setdefault(key, deque(maxlen=self._most)).append(self._clock.monotonic())

    def _recent(self, key: int) -> deque[float]:
        times = self._times.get(key, deque())
        while times and times[0] <= self._clock.monotonic() - _HOUR:
            times.popleft()
        return times

    def _forget(self) -> None:
        for key in [key for key in self._times if not self._recent(key)]:
            del self._times[key]
