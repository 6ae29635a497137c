"""The figures of each program's scanner, in small files that `postmask spam status` reads.

A file has the program's name and process id in its name, is replaced as a whole, at most once a second
and only when something has changed, and goes away with the program. What a killed program left is told
apart by its process id.

DIAGNOSTICS
    A file that can't be written is said once in the log, and again after it could be: figures never
    stop mail. Reading skips what is no such file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from postmask.clock import Clock
from postmask.spam.scanner import Scanner

_LOG = logging.getLogger(__name__)
_INTERVAL = 1.0


class Publisher:
    """A thread that writes one scanner's figures. Signals must be blocked before `start`."""

    def __init__(self, folder: Path, program: str, scanner: Scanner, clock: Clock) -> None:
        self._folder = folder
        self._program = program
        self._scanner = scanner
        self._clock = clock
        self._file = folder / f"spam.{program}.{os.getpid()}.json"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spam figures", daemon=True)
        self._written: dict[str, Any] = {}
        self._complained = False

    def start(self) -> None:
        """Write them from now on."""
        self._thread.start()

    def close(self, timeout: float | None = None) -> bool:
        """No more, and the file goes. timeout: seconds to wait at most; True if it needed no longer."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)
        return not self._thread.is_alive()

    def write(self) -> None:
        """Once, if something has changed."""
        figures = dataclasses.asdict(self._scanner.figures())
        if figures == self._written:
            return
        record = {"program": self._program, "pid": os.getpid(), "at": self._clock.now(), **figures}
        draft = self._file.with_name(f".{self._file.name}.new")
        try:
            draft.write_text(json.dumps(record), encoding="ascii")
            draft.chmod(0o644)
            draft.replace(self._file)
        except OSError as error:
            if not self._complained:
                _LOG.warning("figures of the spam check can't be written: %s", error)
            self._complained = True
            return
        self._written, self._complained = figures, False

    def _run(self) -> None:
        for left in self._folder.glob(f"spam.{self._program}.*.json"):
            if not _running(left):
                with contextlib.suppress(OSError):
                    left.unlink()
        while not self._stop.is_set():
            self.write()
            self._stop.wait(_INTERVAL)


def published(folder: Path) -> Iterator[Mapping[str, Any]]:
    """What the running programs have written, as JSON objects."""
    for file in sorted(folder.glob("spam.*.*.json")):
        with contextlib.suppress(OSError, ValueError):
            record = json.loads(file.read_bytes())
            if isinstance(record, dict) and _running(file):
                yield record


def _running(file: Path) -> bool:
    """Whether the process that it is named for is there."""
    pid = file.name.split(".")[2]
    return pid.isdecimal() and Path("/proc", pid).exists()
