"""Threads: begun for certain, and missed when they end.

threading.Thread.start() waits until the thread says that it runs. One that is born when memory has just run
out can't say a word, and start() waits for ever, also when there is memory again: nobody would be served any
more. Nothing of Python's can be relied on then; the kernel's alarm can.

A thread that raises ends alone, and the program lives on without it: nobody accepts, or writes the spool,
or keeps the deadline any more, while its sockets are there. So what is to last as long as the program takes
the program with it.

DIAGNOSTICS
    OSError (EAGAIN): no thread is to be had. Killed by SIGALRM (14): one began and said nothing for 30 s: so
    long Postfix waits for what is in hand. Exit status 70 (EX_SOFTWARE), with a line in the log: one that
    was to last has ended. systemd starts the program anew; mail waits meanwhile.

STANDARDS
    setitimer(2).
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import threading
from collections.abc import Callable

_SECONDS = 30.0

_log = logging.getLogger(__name__)
_turn = threading.Lock()


def begin(thread: threading.Thread) -> None:
    """Start it; on return it runs. Raises OSError.

    The program has one alarm, so threads begin one after the other.
    """
    with _turn:
        before = signal.setitimer(signal.ITIMER_REAL, _SECONDS)
        try:
            thread.start()
        except RuntimeError:
            raise OSError(errno.EAGAIN, "no thread is to be had") from None
        finally:
            signal.setitimer(signal.ITIMER_REAL, *before)


def lasting(name: str, work: Callable[[], None]) -> threading.Thread:
    """A thread for work that returns when it is told to. What it raises ends the program."""

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  whatever it is
            try:
                _log.critical("the program ends: it can't do without its thread %s", name, exc_info=error)
            finally:
                os._exit(os.EX_SOFTWARE)

    return threading.Thread(target=run, name=name, daemon=True)
