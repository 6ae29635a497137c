"""A check, and the part of the node that it is of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from postmask.cli.runtime import Runtime
from postmask.doctor.finding import Code

CLOCK_SLACK = 60.0
"""Seconds by which two clocks may differ."""


@dataclass(frozen=True, slots=True)
class Check:
    """part: what was looked at. what: what was found, and what to do if it isn't ok.

    code: the doctor's, for the case that it isn't. where: which one, where a part has several.
    """

    part: str
    ok: bool
    what: str
    code: Code | None = None
    where: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the node. code: for what keeps it from being looked at."""

    name: str
    look: Callable[[Runtime], Iterator[Check]]
    code: Code

    def checks(self, runtime: Runtime) -> Iterator[Check]:
        """What was found."""
        try:
            yield from self.look(runtime)
        except Exception as error:  # noqa: BLE001 - whatever keeps a part from being looked at is the finding
            yield Check(self.name, False, str(error) or type(error).__name__, self.code)
