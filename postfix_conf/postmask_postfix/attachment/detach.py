"""Takes Postmask away from a Postfix again, and tells how it stands.

    detach(config_dir)   byte for byte what was there before attaching, or exactly our own parts
    status(config_dir)   attached, drifted or detached

DIAGNOSTICS
    PostfixError: a file can't be read or written, or Postfix can't be reloaded.
"""

from __future__ import annotations

import enum
import os
from dataclasses import dataclass, replace
from pathlib import Path

from postmask_postfix import commands
from postmask_postfix.attachment import change, plan
from postmask_postfix.attachment import journal as journals
from postmask_postfix.attachment.attach import unified
from postmask_postfix.attachment.drift import OURS, Difference, differences
from postmask_postfix.attachment.journal import Journal, State
from postmask_postfix.attachment.plan import Configuration, Record


class Standing(enum.StrEnum):
    """How Postmask stands with a Postfix."""

    ATTACHED = "attached"
    DRIFTED = "drifted"
    DETACHED = "detached"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Status:
    """differences: what was changed since attaching. recorded: whether there is a record to go back by."""

    standing: Standing
    differences: tuple[Difference, ...] = ()
    recorded: bool = True
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Detached:
    """identical: whether both files are known to be what they were before attaching. left: what wasn't ours
    to undo."""

    changed: bool
    identical: bool
    left: tuple[Difference, ...] = ()
    diff: str = ""
    note: str | None = None


def detach(config_dir: Path, *, dry_run: bool = False) -> Detached:
    """Take everything of ours away. Raises PostfixError."""
    with commands.lock(config_dir):
        note = None if dry_run else change.recover(config_dir)
        journal = journals.read(config_dir)
        record = journal.record if journal else None
        now = change.read(config_dir)
        target = plan.detached(now, record)
        done = Detached(
            changed=target != now or journal is not None,
            identical=target == (record.original if record else now),
            left=_left(now, record),
            diff=unified(config_dir, now, target),
            note=note,
        )
        if not dry_run and done.changed:
            # Without a record there is nothing to restore, and taking away again what is gone does no harm.
            detaching = Journal(State.DETACHING, record or Record(target, now))
            journals.write(config_dir, detaching)
            change.finish_detaching(config_dir, detaching)
        return done


def _left(now: Configuration, record: Record | None) -> tuple[Difference, ...]:
    """What the site changed since attaching, which stays."""
    if record is None:
        return ()
    return tuple(found for found in differences(record.attached, now) if found.whose != OURS)


def status(config_dir: Path) -> Status:
    """How it stands; root makes an interrupted change good first. Raises PostfixError."""
    note = None
    if os.geteuid() == 0:
        with commands.lock(config_dir):
            note = change.recover(config_dir)
    elif (config_dir / journals.NAME).exists():
        raise PermissionError(f"{config_dir / journals.NAME} is root's: run this as root")
    return replace(standing(config_dir), note=note)


def standing(config_dir: Path) -> Status:
    """How it stands, and nothing is made good. Raises PostfixError."""
    now = change.read(config_dir)
    journal = journals.read(config_dir)
    if journal is None:
        clean = plan.detached(now, None) == now
        return Status(Standing.DETACHED if clean else Standing.ATTACHED, recorded=clean)
    if journal.state is not State.ATTACHED:
        return Status(Standing.INTERRUPTED)
    found = differences(journal.record.attached, now)
    return Status(Standing.DRIFTED if found else Standing.ATTACHED, found)
