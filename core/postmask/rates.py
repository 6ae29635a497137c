"""How often somebody has done something within the last hour, on this node and since the program began.

Of each key there is one number: a bucket of `most` that leaks evenly within an hour. Who was silent for
an hour may do so much at once; who never rests is held to so much an hour.

DIAGNOSTICS
    None. With more keys than are kept those that were heard of longest ago begin anew: in doubt mail goes
    on. The machine's clock may be set as it likes.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Hashable

from postmask.clock import Clock

_HOUR = 3_600.0
KEYS = 100_000
"""So many keys at least, twice as many at most, are kept; some 25 MB when full."""


class Rate:
    """At most so many an hour for each key; infinity: any number. Shared by threads."""

    def __init__(self, most: float, clock: Clock, keys: int = KEYS) -> None:
        self._interval = _HOUR / most
        self._limited = math.isfinite(most)
        self._clock = clock
        self._keys = keys
        self._lock = threading.Lock()
        # Hash of a key → when its bucket will be empty: of those counted lately, and of those before. A hash
        # is smaller than an address.
        self._young: dict[int, float] = {}
        self._old: dict[int, float] = {}

    def reached(self, key: Hashable) -> bool:
        """Whether there may be no more now."""
        if not self._limited:
            return False
        with self._lock:
            # One more would overflow; half of one is for the rounding.
            return self._fill(hash(key)) > _HOUR - self._interval / 2

    def count(self, key: Hashable) -> None:
        """One more."""
        if not self._limited:
            return
        with self._lock:
            name = hash(key)
            empty_at = self._clock.monotonic() + self._fill(name) + self._interval
            if len(self._young) >= self._keys and name not in self._young:
                self._old, self._young = self._young, {}
            self._young[name] = empty_at

    def _fill(self, name: int) -> float:
        """Seconds until the bucket is empty."""
        empty_at = self._young.get(name) or self._old.get(name, 0.0)
        return max(0.0, empty_at - self._clock.monotonic())
