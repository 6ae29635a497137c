"""Processor time, by program: what the kernel has counted for processes and their ended children.

STANDARDS
    proc(5): utime, stime, and cutime, cstime, which hold what ended children had used.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def _stat(pid: int | str) -> list[str]:
    """The fields of stat after the command's name; empty when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()


def _seconds(fields: list[str]) -> float:
    return sum(map(int, fields[11:15])) / _TICKS if fields else 0.0


def of_process(pid: int) -> float:
    """Seconds used by a process and by its ended children."""
    return _seconds(_stat(pid))


def of_family(pid: int) -> float:
    """Seconds used by a process and by all its children, running or ended, with theirs.

    For Postfix's master: its daemons, and below pipe(8) the commands that it ran.
    """
    children = (fields for entry in os.listdir("/proc") if entry.isdecimal() and (fields := _stat(entry)))
    return of_process(pid) + sum(_seconds(fields) for fields in children if int(fields[1]) == pid)


def by_program(master: int, programs: Mapping[str, int]) -> dict[str, float]:
    """Seconds used so far. master: Postfix's; programs: name → pid."""
    return {"postfix": of_family(master), **{name: of_process(pid) for name, pid in programs.items()}}
