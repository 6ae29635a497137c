"""SIGTERM, SIGINT and SIGHUP, one after the other, past libmilter's ears.

libmilter waits for the same signals in a thread of its own (sigwait), and on one it ends within five
seconds, without waiting for its callbacks. Of all threads that could take a signal sent to the
process Linux asks the main one first, provided that it doesn't block it. So the main thread doesn't,
at any time: the signals have handlers, which do nothing but wake whoever waits here. (Blocking them
everywhere and waiting in the main thread leaves gaps, between two waits, in which libmilter wins.)
"""

from __future__ import annotations

import signal
import socket

from postmask.daemon.stop import SIGNALS


class Signals:
    """To be made in the main thread, before any other is started."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, _nothing)

    def wait(self) -> None:
        """Until the next signal, or one that came before and wasn't waited for."""
        self._reader.recv(1)

    def send(self) -> None:
        """As if one had come."""
        self._writer.send(b"\0")


def _nothing(*_: object) -> None:
    """The octet that the interpreter writes to the wake-up descriptor says it all."""
