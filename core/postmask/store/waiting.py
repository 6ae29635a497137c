"""Waiting for Postgres with a limit of our own.

libpq waits for ever when the server's process is stopped but its kernel still acknowledges: no
time-out of TCP's or of the server's helps then. So psycopg2 is told to let us do the waiting, and
each wait ends at the calling thread's limit (`time_limit`), else at a generous default. A limit within
another can only be the nearer one.

DIAGNOSTICS
    A wait that overruns raises psycopg2.OperationalError; psycopg2 closes the connection.
    Not covered: resolving the server's name, which libpq does by itself. Name it by address where
    that matters.
"""

from __future__ import annotations

import contextlib
import select
import threading
import time
from collections.abc import Iterator

import psycopg2
from psycopg2 import extensions

CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 300.0

_limits = threading.local()


def install() -> None:
    """Make psycopg2 wait by our rules in the whole process. May be called again."""
    extensions.set_wait_callback(_wait)


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """All waits of this thread inside the block, connecting included, end after so many seconds in all."""
    before = getattr(_limits, "at", None)
    at = time.monotonic() + seconds
    _limits.at = at if before is None else min(at, before)
    try:
        yield
    finally:
        _limits.at = before


def left() -> float:
    """Seconds to the limit of the block that this thread is in."""
    return max(0.0, float(_limits.at) - time.monotonic())


def _wait(connection: extensions.connection) -> None:
    limit = getattr(_limits, "at", None)
    if limit is None:
        connecting = connection.status == extensions.STATUS_SETUP
        limit = time.monotonic() + (CONNECT_SECONDS if connecting else SILENCE_SECONDS)
    while (state := connection.poll()) != extensions.POLL_OK:
        poller = select.poll()
        poller.register(
            connection.fileno(), select.POLLIN if state == extensions.POLL_READ else select.POLLOUT
        )
        left = max(0.0, limit - time.monotonic())
        if not poller.poll(left * 1000):
            raise psycopg2.OperationalError("the database server does not answer in time")
