"""One of our programs that dies by SIGKILL the next time it comes to a step.

    python -P fatal_steps.py forwarder|agent
    python -P fatal_steps.py db move --to URL cli

It is the real program with its real parts, but for what stands around them here: each part says to which
step it has come, and when that is the one named in the file `fatal-step` beside the configuration, the
file is removed and the process kills itself. For `lab up --exec`; see COMMANDS and `dying()`.
"""

from __future__ import annotations

import contextlib
import os
import runpy
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from postmask_postfix import processes

if TYPE_CHECKING:
    from lab import Lab

_FILE = "fatal-step"


COMMANDS = {program: f"{sys.executable} -P {__file__} {program}" for program in ("forwarder", "agent")}
"""What --exec is given for each."""


def arm(config: Path, step: str) -> None:
    """Let the program with that configuration die at the step, once."""
    new = config.with_name(f"{_FILE}.new")
    new.write_text(step)
    new.replace(config.with_name(_FILE))


def armed(config: Path) -> bool:
    """Whether nobody has come to the step yet."""
    return config.with_name(_FILE).exists()


@contextlib.contextmanager
def dying(running: Lab, program: str, step: str) -> Iterator[None]:
    """What the block sends leads the program to the step; it is dead, then back, at the end."""
    arm(running.config, step)
    yield
    running.wait_for(lambda: not armed(running.config), f"the {program} to come to {step}")
    (pid,) = running.described["pids"][program]
    running.wait_for(lambda: not processes.alive(pid), f"the end of the {program}")
    running.up()
    running.await_forwarder()


def come_to(step: str) -> None:
    """Die if this is the step. Of several threads only one finds the file."""
    if is_fatal(step):
        os.kill(os.getpid(), signal.SIGKILL)


def is_fatal(step: str) -> bool:
    """Whether to die here; asked once, the caller must."""
    path = Path(os.environ["POSTMASK_CONFIG"]).with_name(_FILE)
    try:
        if path.read_text() != step:
            return False
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def around(owner: Any, name: str, before: str | None = None, after: str | None = None) -> None:
    """Let a function or method come to a step before it begins, or when it has returned."""
    real: Callable[..., Any] = getattr(owner, name)

    def wrapped(*arguments: Any, **named: Any) -> Any:
        if before:
            come_to(before)
        result = real(*arguments, **named)
        if after:
            come_to(after)
        return result

    setattr(owner, name, wrapped)


FORWARDER_STEPS = (
    "before-deciding",
    "after-deciding",
    "after-rewriting",
    "after-the-pending-row",
    "before-the-dot",
    "after-the-dot",
    "after-the-250",
    "after-the-first-row",
    "before-the-answer",
)
UNKNOWABLE = ("after-the-dot", "after-the-250")
"""Between the final dot and the ledger row nobody can tell whether Postfix has the copy."""

MOVE_STEPS_UNDONE = (
    "when-frozen",
    "when-noted",
    "when-copied",
    "when-verified",
    "when-filled",
    "when-arriving",
)
"""Of `postmask db move`: killed there, the old database is in use as it was."""

MOVE_STEPS_DONE = ("when-marked", "when-in-use", "when-named", "when-forgotten")
"""Killed there, the new one is the truth."""

AGENT_STEPS = ("before-applying", "before-the-commit", "before-forgetting", "after-forgetting")


def forwarder() -> None:
    """Put the steps around the forwarder's parts."""
    from postmask.reinjection.connection import SmtpConnection
    from postmask.spool import Outcome, Spool
    from postmask_transport.courier import Courier
    from postmask_transport.deliver import Engine
    from postmask_transport.forwarding import Forwarding

    around(Engine, "message", before="before-deciding")
    around(Forwarding, "plan", before="after-deciding", after="after-rewriting")
    around(Spool, "begin", after="after-the-pending-row")
    around(Courier, "send", after="before-the-answer")

    finish, write_message, read_reply = Spool.finish, SmtpConnection.write_message, SmtpConnection.read_reply

    def finishing(self: Spool, rows: Any, entries: Any = (), deadline: Any = None) -> None:
        delivered = any(row.outcome is Outcome.DELIVERED for row in rows)
        if delivered:
            come_to("after-the-250")
        finish(self, rows, entries, deadline)
        if delivered:
            come_to("after-the-first-row")

    def writing(self: SmtpConnection, data: bytes, deadline: Any) -> Any:
        if is_fatal("before-the-dot"):
            self.write(data[: len(data) // 2], deadline)
            os.kill(os.getpid(), signal.SIGKILL)
        return write_message(self, data, deadline)

    def reading(self: SmtpConnection, deadline: Any) -> Any:
        if self.dot_sent:
            come_to("after-the-dot")
        return read_reply(self, deadline)

    Spool.finish = finishing  # type: ignore[method-assign]
    SmtpConnection.write_message = writing  # type: ignore[method-assign]
    SmtpConnection.read_reply = reading  # type: ignore[method-assign]


def agent() -> None:
    """Put the steps around the way of the outbox."""
    from postmask.spool import Spool
    from postmask.store import intake

    around(intake, "apply", before="before-applying", after="before-the-commit")
    around(Spool, "sent", before="before-forgetting", after="after-forgetting")


def mover() -> None:
    """Put the steps around the parts of `postmask db move`."""
    from postmask.store.moving import copying, target
    from postmask.store.moving.journal import Journal
    from postmask.store.moving.move import Mover

    around(Journal, "write", before="when-frozen", after="when-noted")
    around(copying, "verify", before="when-copied", after="when-verified")
    around(target, "fill", after="when-filled")
    around(Mover, "_take_up", before="when-marked")
    around(target, "take_into_use", after="when-in-use")
    around(Journal, "remove", before="when-named", after="when-forgotten")

    move = Mover.move

    def moving(self: Mover, destination: Any, now: float, committing: Callable[[], None]) -> Any:
        def at_the_last_moment() -> None:
            committing()
            come_to("when-arriving")

        return move(self, destination, now, at_the_last_moment)

    Mover.move = moving  # type: ignore[method-assign]


if __name__ == "__main__":
    name = sys.argv.pop()
    {"forwarder": forwarder, "agent": agent, "cli": mover}[name]()
    runpy.run_module(
        {"forwarder": "postmask_transport", "agent": "postmask.agent", "cli": "postmask.cli"}[name],
        run_name="__main__",
        alter_sys=True,
    )
