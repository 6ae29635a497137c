"""The emergency switch: a file that says until when no engine is asked.

DIAGNOSTICS
    OSError from `switch_on` and `switch_off`. A file that can't be read, or that holds something else,
    isn't in force.
"""

from __future__ import annotations

import math
from pathlib import Path

from postmask.clock import Clock
from postmask.nodefile import NodeFile


class Bypass:
    """The switch of one node. Shared by threads. folder: where the file lies, if there is one."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._file = NodeFile(folder, "spam.bypass")
        self._clock = clock

    def in_force(self) -> bool:
        """Whether engines are to be left alone now."""
        return self._clock.now() < self.until()

    def until(self) -> float:
        """Seconds since the epoch; infinity: until it is switched off; minus infinity: not on."""
        match self._file.content():
            case {"until": None}:
                return math.inf
            case {"until": float() as until}:
                return until
            case _:
                return -math.inf

    def switch_on(self, until: float) -> None:
        """Until then; infinity for no end."""
        self._file.write({"until": until if math.isfinite(until) else None})

    def switch_off(self) -> None:
        """At once."""
        self._file.remove()
