"""Whether this node is drained: then RCPT for our domains is answered "450 4.3.2" here.

The node's own file is what counts, so that a node can be drained and resumed with the database gone, at
once, and through any restart. The truth is told of it; and through the truth a node can be told by another:
by orders with rising numbers, each carried out once. So what is said on the node afterwards isn't undone by
an order that was carried out before, and an order that couldn't be heard isn't lost.

DIAGNOSTICS
    OSError from `turn` and `carry_out`. A file that can't be read, or that holds something else, drains
    nothing: `damaged` says so.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

from postmask.nodefile import NodeFile


@dataclass(frozen=True, slots=True)
class Drain:
    """at, by: since when, and on whose word, it is as it is. order: the last one that was carried out."""

    drained: bool = False
    at: float = 0.0
    by: str = ""
    order: float = 0.0


class DrainSwitch:
    """The switch of one node. Shared by threads. folder: where its file lies, if there is one."""

    def __init__(self, folder: Path) -> None:
        self._file = NodeFile(folder, "drain.json")

    def in_force(self) -> bool:
        """Whether mail for us is to go to another node now."""
        return self.state().drained

    def state(self) -> Drain:
        """As the file says."""
        return _read(self._file.content()) or Drain()

    def damaged(self) -> bool:
        """Whether there is a file that says nothing."""
        return self._file.there() and _read(self._file.content()) is None

    def turn(self, at: float, by: str, *, drained: bool) -> Drain:
        """Drain or resume; what is so already stays as it is."""
        with self._file.locked():
            before = self.state()
            if before.drained == drained and not self.damaged():
                return before
            return self._write(Drain(drained, at, by, before.order))

    def carry_out(self, order: float, by: str, *, drained: bool, now: float) -> bool:
        """Do what an order says; False: it was done before."""
        with self._file.locked():
            before = self.state()
            if order <= before.order:
                return False
            same = before.drained == drained
            self._write(Drain(drained, before.at if same else now, before.by if same else by, order))
            return True

    def _write(self, state: Drain) -> Drain:
        self._file.write(asdict(state))
        return state


def _read(content: object) -> Drain | None:
    match content:
        case {
            "drained": bool() as drained,
            "at": float() as at,
            "by": str() as by,
            "order": float() as order,
        } if math.isfinite(at) and math.isfinite(order):
            return Drain(drained, at, by, order)
        case _:
            return None
