"""What is left of ours in the queue of a node that is drained, and the wait until nothing is.

DIAGNOSTICS
    CommandError (75): something is left when the time is up, or the node takes mail again meanwhile.
"""

from __future__ import annotations

import enum
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from postmask.cli.failure import CommandError
from postmask.cli.output import counted
from postmask.cli.runtime import Runtime
from postmask.clock import Deadline
from postmask.drain import DrainSwitch

_LOOK_EVERY = 1.0


class State(enum.StrEnum):
    """How a node stands. ORDERED: it is to be another way than it is, and hasn't done so yet."""

    DRAINED = "drained"
    OPEN = "open"
    ORDERED = "ordered"


@dataclass(frozen=True, slots=True)
class Standing:
    """waiting, deferred, held: of ours in its queue (postmask_postfix.queue.Backlog); None: not known."""

    node: str
    state: State
    drained_at: float | None = None
    drained_by: str | None = None
    waiting: int | None = None
    deferred: int | None = None
    held: int | None = None

    @property
    def empty(self) -> bool:
        """Whether all that was on its way is gone. What is held isn't on its way."""
        return self.state is State.DRAINED and self.waiting == 0


def standing_here(runtime: Runtime) -> Standing:
    """Of this node. Raises PostfixError."""
    from postmask_postfix.queue import backlog

    found = backlog(runtime.settings.postfix.config_dir)
    known = without_queue(runtime)
    return replace(known, waiting=found.waiting, deferred=found.deferred, held=found.held)


def without_queue(runtime: Runtime) -> Standing:
    """Of this node, as its own switch says."""
    name = runtime.settings.node.name
    switch = DrainSwitch(runtime.settings.spool.folder).state()
    if not switch.drained:
        return Standing(name, State.OPEN)
    return Standing(name, State.DRAINED, switch.at, switch.by)


def standing_of(runtime: Runtime, name: str) -> Standing:
    """Of another node, as it has told the database. Raises StoreError."""
    from postmask.store.admin import nodes

    with runtime.reading() as session:
        view = nodes.one(session, name)
    if view.ordered:
        return Standing(name, State.ORDERED)
    if view.drained_at is None:
        return Standing(name, State.OPEN)
    return Standing(
        name, State.DRAINED, view.drained_at, view.drained_by, waiting=view.waiting, held=view.held
    )


def await_empty(runtime: Runtime, look: Callable[[], Standing], timeout: float | None) -> Standing:
    """Until nothing is on its way; says whenever it is another number. timeout: seconds; None: for ever."""
    deadline = None if timeout is None else Deadline.after(runtime.clock, timeout)
    said = ""
    while not (found := look()).empty:
        if found.state is State.OPEN:
            raise CommandError(f"{found.node} takes mail again: it was resumed meanwhile", os.EX_TEMPFAIL)
        words = in_words(found)
        if deadline is not None and deadline.passed:
            raise CommandError(f"the time is up: {words}", os.EX_TEMPFAIL, _ADVICE)
        if words != said:
            runtime.output.say(words)
            said = words
        time.sleep(_LOOK_EVERY if deadline is None else deadline.at_most(_LOOK_EVERY))
    return found


_ADVICE = (
    "what waits there, and why: mailq, on that node",
    "to wait on: the same command again",
    "to take mail again: postmask node resume",
)


def in_words(found: Standing) -> str:
    """For people."""
    if found.state is State.ORDERED:
        return f"{found.node} hasn't heard of it yet"
    if found.waiting is None:
        return f"how much of ours is in the queue of {found.node} isn't known"
    held = f"; {found.held} on hold" if found.held else ""
    if found.waiting == 0:
        return f"the queue of {found.node} holds no more of ours{held}"
    waiting = counted(found.waiting, "of ours is", "of ours are")
    deferred = f" ({found.deferred} of them put off)" if found.deferred else ""
    return f"{waiting} in the queue of {found.node}{deferred}{held}"
