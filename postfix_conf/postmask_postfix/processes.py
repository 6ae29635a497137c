"""Processes that were started by somebody else: are they alive, what are they called.

A pid alone is no proof, pids are used again: a Process carries the start time, in clock ticks since
boot, that /proc knows of it. A zombie counts as dead.

STANDARDS
    proc(5).
"""

from __future__ import annotations

import os
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path

_ASLEEP = 3
"""Looks in a row: between two pieces of its work a process may sleep for a moment."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process for good: pid and start time."""

    pid: int
    started: int

    @property
    def alive(self) -> bool:
        return alive(self.pid) and started(self.pid) == self.started

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when it is dead already."""
        if self.alive:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return


def _fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the command's name; empty when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()


def master(queue: Path) -> int | None:
    """The pid of the running master(8) of this queue directory, None when it isn't running."""
    try:
        pid = int((queue / "pid/master.pid").read_text().strip())
    except (OSError, ValueError):
        return None
    return pid if alive(pid) and name(pid) == "master" else None


def environment(pid: int) -> dict[str, str] | None:
    """What a process was started with; None where there is none, or who asks may not know."""
    try:
        octets = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return None
    return dict(word.split("=", 1) for word in os.fsdecode(octets).split("\0") if "=" in word)


def await_seen(pid: int, number: signal.Signals, seconds: float = 5.0) -> None:
    """Until a process that lives by events has seen to a signal: it is pending no longer, and the process
    sleeps again. Returns after that many seconds at the latest, or when there is no such process.
    """
    until = time.monotonic() + seconds
    asleep = 0
    while asleep < _ASLEEP and alive(pid) and time.monotonic() < until:
        asleep = asleep + 1 if _fields(pid)[:1] == ["S"] and not _pending(pid, number) else 0
        time.sleep(0.01)


def _pending(pid: int, number: signal.Signals) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    masks = re.findall(r"(?m)^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)$", status)
    return any(int(mask, 16) >> (number - 1) & 1 for mask in masks)


def alive(pid: int) -> bool:
    """Whether there is such a process and it isn't a zombie."""
    fields = _fields(pid)
    return bool(fields) and fields[0] not in "ZX"


def started(pid: int) -> int | None:
    """When it started, in clock ticks since boot; None when there is no such process."""
    fields = _fields(pid)
    return int(fields[19]) if fields else None


def name(pid: int) -> str:
    """The command's name, at most 15 octets; empty when there is no such process."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children(pid: int) -> list[int]:
    """The live children of a process."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            fields = _fields(int(entry.name))
            if fields and int(fields[1]) == pid and fields[0] not in "ZX":
                found.append(int(entry.name))
    return sorted(found)


def end(running: list[Process], patience: float) -> None:
    """Ask each to end (SIGTERM, and SIGCONT in case it is stopped); after `patience` seconds kill it."""
    for process in running:
        process.send(signal.SIGTERM)
        process.send(signal.SIGCONT)
    give_up = time.monotonic() + patience
    while any(process.alive for process in running) and time.monotonic() < give_up:
        time.sleep(0.02)
    for process in running:
        process.send(signal.SIGKILL)
    give_up = time.monotonic() + 5.0
    while any(process.alive for process in running) and time.monotonic() < give_up:
        time.sleep(0.02)


def tail(path: Path) -> str:
    """The last 15 lines of a text file, or a word about its absence."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 16_384))
            text = file.read().decode(errors="replace")
    except OSError as error:
        return f"({path}: {error.strerror})"
    return "\n".join(text.splitlines()[-15:]) or f"({path} is empty)"
