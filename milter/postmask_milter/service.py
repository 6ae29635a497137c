"""The process: gate and alias milter side by side, from the open sockets to a clean end.

The first SIGTERM, SIGINT or SIGHUP drains: nothing new at the gate, answers under way are finished
and what is to be recorded is recorded, within seconds. The second ends the process at once.

Signals come from postmask_milter.signals. libmilter's own end, for whatever reason, counts as one.

DIAGNOSTICS
    Exit status 0 after a signal, 1 after a second one, 70 (EX_SOFTWARE) when libmilter gave up.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from postmask.clock import Clock
from postmask.config.sections import Milter as Settings
from postmask_milter import adapter
from postmask_milter.accepted import Accepted
from postmask_milter.alias import Answer
from postmask_milter.gate import Gate
from postmask_milter.rcpt import Decider, Rcpt, Recorder
from postmask_milter.refusals import RefusalQueue
from postmask_milter.signals import Signals
from postmask_milter.workers import Workers

LOGGER = logging.getLogger(__name__)

DRAIN = 5.0
"""Seconds for answers under way, and as many for what is to be recorded."""

_LAST_WORDS = 0.05
"""A callback that has returned to libmilter still has its answer to write, which nobody tells us of."""


WORKERS = 8
"""Threads that answer for the milter: as many as there are pooled database connections."""


@dataclass(slots=True)
class Service:
    """What runs. ask_milter: the answers to the milter. notify: systemd's notification (postmask.daemon)."""

    gate: Gate
    workers: Workers
    refusals: RefusalQueue
    ask_milter: Answer
    milter_socket: socket.socket
    signals: Signals
    notify: Callable[[str], None]
    _running: adapter.Running = field(default_factory=adapter.Running, init=False)
    _status: int = field(default=0, init=False)

    def run(self) -> int:
        """Serve until a signal; the exit status. To be called in the main thread."""
        self.refusals.start()
        self.workers.start()
        threading.Thread(target=self.gate.serve, name="gate", daemon=True).start()
        threading.Thread(target=self._milter, name="milter", daemon=True).start()
        self.notify("READY=1")
        LOGGER.info("the gate and the alias milter are ready")
        self.signals.wait()
        threading.Thread(target=self._drain, name="drain", daemon=True).start()
        self.signals.wait()
        LOGGER.warning("ended at once by a second signal")
        return 1

    def _milter(self) -> None:
        """libmilter's life; its end is the end of the process."""
        try:
            adapter.register(self.ask_milter, self._running)
            adapter.serve(self.milter_socket)
        except adapter.MilterError as error:
            LOGGER.critical("libmilter gave up: %s", error)
            self._status = os.EX_SOFTWARE
        LOGGER.warning("libmilter ended")
        self.signals.send()

    def _drain(self) -> None:
        """Finish what is under way, then leave.

        Past the interpreter's own farewell, which would wait for libmilter's threads.
        """
        LOGGER.info("stopping: finishing what is under way")
        self.notify("STOPPING=1")
        until = time.monotonic() + DRAIN
        self.gate.stop()
        drained = self.gate.drained(until - time.monotonic())
        drained = self._running.drained(max(0.0, until - time.monotonic())) and drained
        time.sleep(_LAST_WORDS)
        if not drained:
            LOGGER.warning("answers were still under way after %.0f s", DRAIN)
        if not self.refusals.close(DRAIN):
            LOGGER.warning("not all refusals were recorded")
        LOGGER.info("stopped")
        leave(self._status)


def assemble(
    decider: Decider,
    recorder: Recorder,
    clock: Clock,
    settings: Settings,
    *,
    gate_socket: socket.socket,
    milter_socket: socket.socket,
    signals: Signals,
    notify: Callable[[str], None],
) -> Service:
    """The service of these parts; the sockets listen already."""
    refusals = RefusalQueue(recorder)
    accepted = Accepted(clock)
    at_gate = Rcpt(decider, refusals, clock, by="gate", ours=True)
    at_milter = Rcpt(decider, refusals, clock, by="milter", ours=False)
    gate = Gate(
        gate_socket,
        accepted.keeping(at_gate.answer),
        clock,
        deadline=settings.command_deadline,
        max_connections=settings.max_connections,
    )
    workers = Workers(at_milter.answer, WORKERS, settings.command_deadline)
    ask_milter = accepted.repeating(workers.ask)
    return Service(gate, workers, refusals, ask_milter, milter_socket, signals, notify)


def leave(status: int) -> None:
    """End the process without the interpreter's farewell."""
    logging.shutdown()
    os._exit(status)
