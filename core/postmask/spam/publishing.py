"""The figures of each program's scanner, in small files that `postmask spam status` reads.

A file has the program's name and process id in its name, is replaced as a whole, at most once a second
and only when something has changed, and goes away with the program. A running program holds a lock on
its file; what a killed one left is told apart by being free. (A process id alone would lie as soon as
the system gives it to another process.)

DIAGNOSTICS
    A file that can't be written is said once in the log, and again after it could be: figures never
    stop mail. Reading skips what is no such file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from postmask.clock import Clock
from postmask.daemon import begin, lasting
from postmask.disk import at_once
from postmask.spam.scanner import Scanner

_LOG = logging.getLogger(__name__)
_INTERVAL = 1.0
_MOST = 65_536
"""Octets; figures are some hundred an engine."""


class Publisher:
    """A thread that writes one scanner's figures. Signals must be blocked before `start`."""

    def __init__(self, folder: Path, program: str, scanner: Scanner, clock: Clock) -> None:
        self._folder = folder
        self._program = program
        self._scanner = scanner
        self._clock = clock
        self._file = folder / f"spam.{program}.{os.getpid()}.json"
        self._stop = threading.Event()
        self._thread = lasting("spam figures", self._run)
        self._written: dict[str, Any] = {}
        self._held: IO[str] | None = None  # the file as last written, locked
        self._complained = False

    def start(self) -> None:
        """Write them from now on."""
        begin(self._thread)

    def close(self, timeout: float | None = None) -> bool:
        """No more, and the file goes. timeout: seconds to wait at most; True if it needed no longer."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)
        if self._held:
            self._held.close()
        return not self._thread.is_alive()

    def write(self) -> None:
        """Once, if something has changed."""
        figures = dataclasses.asdict(self._scanner.figures())
        if figures == self._written:
            return
        record = {"program": self._program, "pid": os.getpid(), "at": self._clock.now(), **figures}
        draft = self._file.with_name(f".{self._file.name}.new")
        try:
            self._replace(draft, json.dumps(record))
        except OSError as error:
            if not self._complained:
                _LOG.warning("figures of the spam check can't be written: %s", error)
            self._complained = True
            return
        self._written, self._complained = figures, False

    def _replace(self, draft: Path, text: str) -> None:
        with contextlib.ExitStack() as unless_done:
            file = unless_done.enter_context(draft.open("w", encoding="ascii"))
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(text)
            file.flush()
            draft.chmod(0o644)
            draft.replace(self._file)
            unless_done.pop_all()
        if self._held:
            self._held.close()
        self._held = file

    def _run(self) -> None:
        for left in self._folder.glob(f"spam.{self._program}.*.json"):
            with contextlib.suppress(OSError), _opened(left) as file:
                if not _running(file):
                    left.unlink()
        while not self._stop.is_set():
            self.write()
            self._stop.wait(_INTERVAL)


def published(folder: Path) -> Iterator[Mapping[str, Any]]:
    """What the running programs have written: each its name, as program, its engines, and more."""
    for path in sorted(folder.glob("spam.*.*.json")):
        with contextlib.suppress(OSError, ValueError, RecursionError), _opened(path) as file:
            record = json.loads(file.read(_MOST) or b"")
            if _is_figures(record) and _running(file):
                yield record


def _opened(path: Path) -> IO[bytes]:
    return open(path, "rb", opener=at_once)


def _is_figures(record: object) -> bool:
    match record:
        case {"program": str(), "engines": [*engines]}:
            return all(isinstance(engine, dict) for engine in engines)
    return False


def _running(file: IO[bytes]) -> bool:
    """Whether the program that wrote it is there still and holds its lock."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
