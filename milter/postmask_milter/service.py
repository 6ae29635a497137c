"""A milter's process, from the open sockets to a clean end: its parts in order, and the signals.

The first SIGTERM, SIGINT or SIGHUP drains: the parts finish what they have in hand, the last started
first. The second ends the process at once.

Signals come from postmask_milter.signals. libmilter's own end, for whatever reason, counts as one.

DIAGNOSTICS
    Exit status 0 after a signal, 1 after a second one, 70 (EX_SOFTWARE) when libmilter gave up
    or a thread ended that is to last.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Sequence
from typing import Protocol

from postmask.daemon import begin, lasting
from postmask_milter.adapter import Kind, MilterError, Running, serve
from postmask_milter.signals import Signals
from postmask_milter.workers import Workers

LOGGER = logging.getLogger(__name__)


class Part(Protocol):
    """Something that runs beside the others."""

    def start(self) -> None:
        """Begin."""

    def close(self, timeout: float) -> bool:
        """Finish what is in hand and end, within that many seconds. True if all was finished."""


class MilterPart:
    """libmilter with a milter's sessions, and the threads that work for them. Its end is the process's."""

    def __init__(
        self,
        kind: Kind,
        workers: Sequence[Workers],
        running: Running,
        listener: socket.socket,
        signals: Signals,
    ) -> None:
        self._kind = kind
        self._workers = workers
        self._running = running
        self._listener = listener
        self._signals = signals
        self.gave_up = False

    def start(self) -> None:
        for pool in self._workers:
            pool.start()
        begin(lasting("milter", self._run))

    def close(self, timeout: float) -> bool:
        return self._running.drained(timeout)

    def _run(self) -> None:
        try:
            serve(self._kind, self._listener)
        except MilterError as error:
            LOGGER.critical("libmilter gave up: %s", error)
            self.gave_up = True
        LOGGER.warning("libmilter ended")
        self._signals.send()


class Service:
    """What runs.

    name: for the log. milter: also one of the parts, which stand in the order in which they are started.
    patience: seconds that each part has for what is in hand. notify: systemd's (postmask.daemon).
    """

    def __init__(
        self,
        name: str,
        milter: MilterPart,
        parts: Sequence[Part],
        signals: Signals,
        notify: Callable[[str], None],
        patience: float,
    ) -> None:
        self._name = name
        self._milter = milter
        self._parts = parts
        self._signals = signals
        self._notify = notify
        self._patience = patience

    def run(self) -> int:
        """Serve until a signal; the exit status. To be called in the main thread."""
        for part in self._parts:
            part.start()
        self._notify("READY=1")
        LOGGER.info("%s is ready", self._name)
        self._signals.wait()
        begin(lasting("drain", self._drain))
        self._signals.wait()
        LOGGER.warning("ended at once by a second signal")
        return 1

    def _drain(self) -> None:
        """Finish what is under way, then leave.

        Past the interpreter's own farewell, which would wait for libmilter's threads.
        """
        LOGGER.info("stopping: finishing what is under way")
        self._notify("STOPPING=1")
        for part in reversed(self._parts):
            if not part.close(self._patience):
                LOGGER.warning("not all was finished within %.0f s: %s", self._patience, type(part).__name__)
        LOGGER.info("stopped")
        leave(os.EX_SOFTWARE if self._milter.gave_up else 0)


def leave(status: int) -> None:
    """End the process without the interpreter's farewell."""
    logging.shutdown()
    os._exit(status)
