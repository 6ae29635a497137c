"""A lab's programs by a clock that can be moved while they run (libfaketime), the machine's own untouched."""

from __future__ import annotations

import sys
from pathlib import Path

from faults_environment import programs

_SLEEP = "import threading, time\ntime.sleep = threading.Event().wait\n"
"""libfaketime takes sleep's monotonic end for a time of its own clock: EINVAL."""


class MovedClock:
    """file: where it stands by how much the programs' clock is off; their user must be able to read it. Its
    folder is on the programs' path."""

    def __init__(self, file: Path) -> None:
        self._file = file
        file.with_name("sitecustomize.py").write_text(_SLEEP)
        self.move(0)

    def move(self, seconds: int) -> None:
        """Be so many seconds ahead of the machine's clock from now on; behind, if negative."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}s\n")
        new.chmod(0o644)
        new.replace(self._file)

    def programs(self) -> dict[str, str]:
        """Commands for the lab's programs (see `lab up --exec`)."""
        (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
        environment = (
            f"env LD_PRELOAD={library} FAKETIME_TIMESTAMP_FILE={self._file} FAKETIME_NO_CACHE=1 "
            f"FAKETIME_DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1 PYTHONPATH={self._file.parent}"
        )
        plain = programs(Path(sys.executable))
        return {name: f"{environment} {command}" for name, command in plain.items()}
