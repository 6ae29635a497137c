"""A thread begun, or else the end of the program.

threading.Thread.start() waits until the thread says that it runs. One that is born when memory has just run
out can't say a word, and start() waits for ever, also when there is memory again: nobody would be served any
more. Nothing of Python's can be relied on then; the kernel's alarm can.

DIAGNOSTICS
    RuntimeError: no thread is to be had. Killed by SIGALRM (14): one began and said nothing for 30 s: so
    long Postfix waits for what is in hand. systemd starts the program anew; mail waits meanwhile.

STANDARDS
    setitimer(2).
"""

from __future__ import annotations

import signal
import threading

_SECONDS = 30.0

_turn = threading.Lock()


def begin(thread: threading.Thread) -> None:
    """Start it; on return it runs. The program has one alarm, so threads begin one after the other."""
    with _turn:
        before = signal.setitimer(signal.ITIMER_REAL, _SECONDS)
        try:
            thread.start()
        finally:
            signal.setitimer(signal.ITIMER_REAL, *before)
