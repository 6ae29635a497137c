"""Groups of checks, run side by side.

    examine(groups, subject)     what each group found

A group runs in a thread of its own, its checks one after the other. What a check yields counts from the
moment at which it yields it.

DIAGNOSTICS
    Nothing is raised. A check that raises is a finding (PM001), and the group's next check goes on. A group
    that isn't done within its time is a finding (PM002) beside those that it made until then; its thread is
    left behind, and ends with the program.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from postmask.doctor.finding import Code, Finding, declared, warning

Subject = TypeVar("Subject")

CHECK_FAILED = warning(
    "PM001",
    "A check could not be made.",
    "What it would have found isn't known.",
    "See to what it says; where that makes no sense, report it as a fault of Postmask's own.",
)
OUT_OF_TIME = warning(
    "PM002",
    "A group of checks was not done in its time.",
    "What its last checks would have found isn't known.",
    "Something that it asks doesn't answer, the database or the DNS perhaps; run it alone, with --only.",
)
CODES = declared(globals())


@dataclass(frozen=True)
class Check(Generic[Subject]):
    """name: as in "can't be made: NAME". look: yields what it finds; it may raise whatever it likes."""

    name: str
    look: Callable[[Subject], Iterable[Finding]]


@dataclass(frozen=True)
class Group(Generic[Subject]):
    """name: for --only. what: what it looks at, a sentence. seconds: that it gets in all. codes: all that
    its checks may find."""

    name: str
    what: str
    seconds: float
    codes: tuple[Code, ...]
    checks: Sequence[Check[Subject]]


@dataclass(frozen=True, slots=True)
class Examined:
    """complete: whether all of the group's checks were made, to their ends."""

    group: str
    findings: tuple[Finding, ...]
    complete: bool


def examine(groups: Sequence[Group[Subject]], subject: Subject) -> list[Examined]:
    """What each group finds, in their order. Returns when all are done or out of time."""
    running = [Running(group, subject) for group in groups]
    return [one.result() for one in running]


class Running(Generic[Subject]):
    """A group at work."""

    def __init__(self, group: Group[Subject], subject: Subject) -> None:
        self._group = group
        self._subject = subject
        self._found: list[Finding] = []
        self._failed = False
        self._give_up = time.monotonic() + group.seconds
        self._thread = threading.Thread(target=self._run, name=group.name, daemon=True)
        self._thread.start()

    def result(self) -> Examined:
        """What it found, when it is done or out of time."""
        self._thread.join(max(0.0, self._give_up - time.monotonic()))
        group, late = self._group, self._thread.is_alive()
        found = tuple(self._found)
        if late:
            found = (*found, OUT_OF_TIME.at(group.name, f"it was not done within {group.seconds:.0f} s"))
        return Examined(group.name, found, complete=not late and not self._failed)

    def _run(self) -> None:
        for check in self._group.checks:
            try:
                for finding in check.look(self._subject):
                    self._found.append(finding)
            except Exception as error:  # noqa: BLE001 - whatever keeps a check from being made is the finding
                self._failed = True
                said = str(error) or type(error).__name__
                self._found.append(CHECK_FAILED.at(f"{self._group.name}, {check.name}", said))
