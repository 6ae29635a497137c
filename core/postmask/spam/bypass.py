"""The emergency switch: a file that says until when no engine is asked.

All programs of the node look for it, with one stat(2) a message, so that it takes effect in all of them
without a restart, and whatever state they are in.

DIAGNOSTICS
    OSError from `switch_on` and `switch_off`. A file that can't be read, or that holds something else,
    isn't in force.
"""

from __future__ import annotations

import json
import math
import secrets
from pathlib import Path

from postmask.clock import Clock

_NAME = "spam.bypass"


class Bypass:
    """The switch of one node. Shared by threads. folder: where the file lies, if there is one."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._file = folder / _NAME
        self._clock = clock
        self._read: tuple[tuple[int, int, int], float] = ((0, 0, 0), -math.inf)

    def in_force(self) -> bool:
        """Whether engines are to be left alone now."""
        return self._clock.now() < self.until()

    def until(self) -> float:
        """Seconds since the epoch; infinity: until it is switched off; minus infinity: not on."""
        try:
            found = self._file.stat()
            mark = (found.st_mtime_ns, found.st_ino, found.st_size)
            if self._read[0] != mark:
                self._read = mark, _until(self._file.read_bytes())
        except OSError:
            return -math.inf
        return self._read[1]

    def switch_on(self, until: float) -> None:
        """Until then; infinity for no end."""
        draft = self._file.with_name(f".{_NAME}.{secrets.token_hex(4)}")
        text = json.dumps({"until": until if math.isfinite(until) else None})
        try:
            draft.write_text(text, encoding="ascii")
            draft.chmod(0o644)
            draft.replace(self._file)
        finally:
            draft.unlink(missing_ok=True)

    def switch_off(self) -> None:
        """At once."""
        self._file.unlink(missing_ok=True)


def _until(content: bytes) -> float:
    try:
        until = json.loads(content)["until"]
        return math.inf if until is None else float(until)
    except (ValueError, TypeError, KeyError):
        return -math.inf
