"""Processes frozen: stopped by SIGSTOP, whose sockets are there while nobody says a word.

The signal alone freezes nothing yet. One thread has to take it before any other stops, and on a busy machine
these go on answering until it gets its turn.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

_AT_REST = frozenset("TtZX")
_SECONDS = 30.0


@contextlib.contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """Within it none of the processes does anything."""
    freeze(*pids)
    try:
        yield
    finally:
        thaw(*pids)


def freeze(*pids: int) -> None:
    """Returns when no thread of any of them runs. One that has ended is no error."""
    _send(pids, signal.SIGSTOP)
    until = time.monotonic() + _SECONDS
    while running := [pid for pid in pids if not set(_states(pid)) <= _AT_REST]:
        if time.monotonic() > until:
            raise AssertionError(f"still not frozen after {_SECONDS:.0f} s: {running}")
        time.sleep(0.002)


def thaw(*pids: int) -> None:
    """They go on."""
    _send(pids, signal.SIGCONT)


def _send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _states(pid: int) -> Iterator[str]:
    """Of each thread, a letter (proc(5), stat)."""
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            yield stat.read_text().rpartition(") ")[2][0]
