"""Telling this node's Postfix which domains are ours, after they have changed.

A command that is killed behind its change in the database hasn't told it. Given once more it finds the change
made, and is refused; so then Postfix is told as well.

DIAGNOSTICS
    CommandError (69): the change is in the database, but Postfix could not be told.
"""

from __future__ import annotations

import contextlib
import enum
import os
import shlex
from typing import TYPE_CHECKING

from postmask.cli import postfix_facts
from postmask.cli.failure import CommandError
from postmask.cli.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Told(enum.StrEnum):
    """What became of it."""

    ANSWERS = "answers"
    ROOT_NEEDED = "root needed"
    NOT_ATTACHED = "not attached"


def tell(runtime: Runtime) -> Told:
    """Bring Postfix up to date, if Postmask is attached to it and we are root. Returns when it answers."""
    from postmask_postfix import sync
    from postmask_postfix.commands import PostfixError

    config_dir = runtime.settings.postfix.config_dir
    try:
        if not postfix_facts.attached(config_dir):
            return Told.NOT_ATTACHED
        if os.geteuid() != 0:
            return Told.ROOT_NEEDED
        sync.sync_domains(config_dir, domain_names(runtime))
    except PostfixError as error:
        raise CommandError(
            f"the database has the change, Postfix hasn't: {error}",
            os.EX_UNAVAILABLE,
            ["when that is mended, run:", command(runtime)],
        ) from error
    return Told.ANSWERS


@contextlib.contextmanager
def made_good(runtime: Runtime) -> Iterator[None]:
    """Around the change: where it was made before, Postfix is told as far as it can be, and what is said is
    Duplicate or NotFound."""
    from postmask.store.errors import Duplicate, NotFound

    try:
        yield
    except (Duplicate, NotFound):
        with contextlib.suppress(CommandError):
            tell(runtime)
        raise


def say(runtime: Runtime, told: Told) -> None:
    """What a person should know of it."""
    match told:
        case Told.ANSWERS:
            runtime.output.say("Postfix on this node works by it.")
        case Told.ROOT_NEEDED:
            runtime.output.say("Postfix on this node doesn't know of it yet; as root, run:")
            runtime.output.copy(command(runtime))
        case Told.NOT_ATTACHED:
            directory = runtime.settings.postfix.config_dir
            runtime.output.say(
                f"Postmask isn't attached to a Postfix in {directory}: no mail comes in here yet."
            )


def domain_names(runtime: Runtime) -> Sequence[str]:
    """All our domains, as the database has them now."""
    from postmask.store.admin import domains

    with runtime.reading() as session:
        return domains.names(session)


def command(runtime: Runtime) -> str:
    """What root has to run."""
    return shlex.join(["postmask", "--config", str(runtime.settings.file), "postfix", "sync"])
