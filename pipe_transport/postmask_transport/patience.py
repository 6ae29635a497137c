"""How long this host's Postfix keeps trying a message.

DIAGNOSTICS
    None: when main.cf can't be read Patience goes on by what it knew before, at first Postfix's own
    defaults; the log says so.
"""

from __future__ import annotations

import logging
import subprocess
from pathlib import Path

from postmask.clock import Clock
from postmask.log import line
from postmask.postconf import ask
from postmask_postfix.lifetime import PARAMETERS, Lifetime

_log = logging.getLogger(__name__)
_REST = 60.0


class Patience:
    """How long Postfix will still try a message. Shared by threads; main.cf is read again when it changes."""

    def __init__(self, config_dir: Path, clock: Clock) -> None:
        self._config_dir = config_dir
        self._clock = clock
        self._stamp: tuple[int, int] | None = None
        self._lifetime = Lifetime()
        self._resting_until = float("-inf")

    def is_ending(self, received: float | None, sender: str) -> bool:
        """Whether Postfix will return a message before long. received: when it came; None: nobody knows."""
        self._refresh()
        return received is not None and self._clock.now() - received >= self._lifetime.ending(sender)

    def _refresh(self) -> None:
        if self._clock.monotonic() < self._resting_until:
            return
        try:
            status = (self._config_dir / "main.cf").stat()
            stamp = (status.st_ino, status.st_ctime_ns)
            if stamp == self._stamp:
                return
            values = dict(zip(PARAMETERS, ask(self._config_dir, *PARAMETERS), strict=True))
            self._lifetime = Lifetime.of(values)
            self._stamp = stamp
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            self._resting_until = self._clock.monotonic() + _REST
            line(_log, logging.WARNING, "patience", error=str(error), lifetime=self._lifetime.message)
