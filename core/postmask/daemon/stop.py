"""The end of a program: the first SIGTERM, SIGINT or SIGHUP asks it to finish what is in hand, the second
ends it. A SIGHUP that was ignored from the start (nohup) stays so.

The signals are blocked in every thread and taken by one that waits for nothing else, so that they
neither interrupt a write nor depend on what the main thread is doing. Block them before any thread
is started. Children inherit the blocked signals: start them before, or unblock there.

DIAGNOSTICS
    Exit status 1, with a line in the log, when a second signal ends the program at once.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from functools import partial

from postmask.daemon.threads import begin, lasting

SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})

_log = logging.getLogger(__name__)


class Stop:
    """The request to stop: asked for, waited for, or handed on to callbacks."""

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []

    @classmethod
    def install(cls) -> Stop:
        """A Stop that follows the signals. To be called in the main thread, before any other starts."""
        heeded = SIGNALS
        if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
            heeded -= {signal.SIGHUP}
        signal.pthread_sigmask(signal.SIG_BLOCK, heeded)
        stop = cls()
        begin(lasting("signals", partial(stop._follow_signals, heeded)))
        return stop

    @property
    def requested(self) -> bool:
        """Whether the program is to finish."""
        return self._requested.is_set()

    def request(self) -> None:
        """Ask for the end, as the first signal does. Asking again changes nothing."""
        with self._lock:
            if self._requested.is_set():
                return
            self._requested.set()
            callbacks = tuple(self._callbacks)
        for callback in callbacks:
            _call(callback)

    def wait(self, timeout: float | None = None) -> bool:
        """Sleep until the end is asked for; False if `timeout` seconds passed before."""
        return self._requested.wait(timeout)

    def on_request(self, callback: Callable[[], None]) -> None:
        """Call it when the end is asked for: in the signals' thread, or here and now if it was already."""
        with self._lock:
            if not self._requested.is_set():
                self._callbacks.append(callback)
                return
        _call(callback)

    def _follow_signals(self, heeded: frozenset[signal.Signals]) -> None:
        received = signal.sigwait(heeded)
        _log.info("stopping on %s", signal.Signals(received).name)
        begin(lasting("stop", self.request))
        received = signal.sigwait(heeded)
        _log.warning("ending at once on a second %s", signal.Signals(received).name)
        os._exit(1)


def _call(callback: Callable[[], None]) -> None:
    """One callback's failure keeps neither the others from being called nor the program from ending."""
    try:
        callback()
    except Exception:  # noqa: BLE001 - logged with its place, and the stop goes on
        _log.exception("a part of the program could not be told to stop")
