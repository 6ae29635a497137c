"""Full copies, made aside in a thread of their own: the current replica is followed meanwhile.

DIAGNOSTICS
    A copy that fails, for whatever reason, is said in the log and in `trouble`, leaves no file behind, and
    is tried again after a wait.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from pathlib import Path

from sqlalchemy import Engine

from postmask.clock import Clock
from postmask.daemon import Stop, begin
from postmask.fault import fault
from postmask.log import line
from postmask.store.errors import StoreError
from postmask.store.replica import file
from postmask.store.replica.feed import Feed
from postmask.store.replica.folder import Folder

_log = logging.getLogger(__name__)

_REST_SECONDS = 10.0


class GivenUpError(Exception):
    """The program is to stop; the copy with it."""


def reason_of(error: Exception) -> str:
    """Its own words if it was foreseen, else what was raised and where."""
    return str(error) if isinstance(error, StoreError | OSError | sqlite3.Error) else fault(error)


class Copying:
    """At most one copy at a time. Asked and emptied by the follower's thread."""

    def __init__(
        self, engine: Engine, folder: Folder, clock: Clock, stop: Stop, rest: float = _REST_SECONDS
    ) -> None:
        self._engine = engine
        self._folder = folder
        self._clock = clock
        self._stop = stop
        self._rest = rest
        self._thread: threading.Thread | None = None
        self._made: Path | None = None
        self._resting_until = float("-inf")
        self.trouble = ""

    @property
    def running(self) -> bool:
        """Whether one is under way."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, reason: str) -> None:
        """Begin, unless one is under way, waits to be taken, or has failed a moment ago."""
        if self.running or self._made is not None or self._clock.monotonic() < self._resting_until:
            return
        line(_log, logging.WARNING, "replica.copying", reason=reason)
        self._thread = threading.Thread(target=self._copy, name="replica-copy", daemon=True)
        begin(self._thread)

    def take(self) -> Path | None:
        """A finished copy, once."""
        if self.running:
            return None
        made, self._made = self._made, None
        return made

    def _copy(self) -> None:
        begun = self._clock.monotonic()
        try:
            made = self._made_aside()
        except GivenUpError:
            return
        except Exception as error:  # noqa: BLE001  without the wait the truth would be read again and again
            reason = reason_of(error)
            self.trouble = f"the directory can't be copied: {reason}"
            self._resting_until = self._clock.monotonic() + self._rest
            line(_log, logging.ERROR, "replica.copy-failed", reason=reason)
            return
        seconds = self._clock.monotonic() - begun
        line(_log, logging.INFO, "replica.copied", file=made.name, seconds=round(seconds, 3))
        self.trouble = ""
        self._made = made

    def _made_aside(self) -> Path:
        path = self._folder.next()
        with Feed(self._engine) as feed:
            identity = feed.standing().identity
            file.make(path, feed.snapshot(), identity, self._clock.now(), self._go_on)
        return path

    def _go_on(self) -> None:
        if self._stop.requested:
            raise GivenUpError
