"""A node's state for tests of what it tells the truth and is told there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine

from postmask.agent.nodestate import NodeState
from postmask.clock import Clock
from postmask.drain import DrainSwitch
from postmask_postfix.queue import Backlog


def nothing_left() -> Backlog:
    return Backlog(0, 0, 0)


def state_of(
    engine: Engine, name: str, folder: Path, clock: Clock, look: Callable[[], Backlog] = nothing_left
) -> NodeState:
    """The state of a node whose switch lies in that folder, and whose Postfix's queue is that."""
    return NodeState(
        name,
        engine,
        DrainSwitch(folder),
        clock,
        hears=True,
        replica_at=clock.now,
        keys=lambda: "1:00",
        look=look,
    )
