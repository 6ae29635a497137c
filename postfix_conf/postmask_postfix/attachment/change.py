"""Both files replaced, such that Postfix never runs on a half-changed configuration; and an interrupted
change undone or finished.

The order keeps every state in between harmless. Attaching writes master.cf first: services that main.cf
doesn't name yet are idle, and a parameter that it doesn't have yet is empty. Detaching goes the other way.

DIAGNOSTICS
    PostfixError: a file can't be read or written, or a command fails.
"""

from __future__ import annotations

from pathlib import Path

from postmask_postfix import commands
from postmask_postfix.attachment import journal as journals
from postmask_postfix.attachment import plan
from postmask_postfix.attachment.journal import Journal, State
from postmask_postfix.attachment.plan import Configuration, Record
from postmask_postfix.commands import PostfixError
from postmask_postfix.instance import cool


def read(config_dir: Path) -> Configuration:
    """The configuration as it lies on the disk."""
    try:
        main, master = ((config_dir / name).read_bytes() for name in ("main.cf", "master.cf"))
    except OSError as error:
        raise PostfixError(f"{error.filename}: {error.strerror}") from error
    return Configuration(main.decode("utf-8", "surrogateescape"), master.decode("utf-8", "surrogateescape"))


def attach_files(config_dir: Path, wanted: Configuration) -> None:
    """Write a configuration that has what the present one lacks."""
    replace(config_dir / "master.cf", wanted.master)
    replace(config_dir / "main.cf", wanted.main)


def detach_files(config_dir: Path, wanted: Configuration) -> None:
    """Write a configuration that lacks what the present one has."""
    replace(config_dir / "main.cf", wanted.main)
    replace(config_dir / "master.cf", wanted.master)


def replace(path: Path, text: str) -> None:
    """Replace one file, whoever it belongs to; nothing is written where that changes nothing."""
    there = path.resolve()
    content = journals.octets(text)
    if there.read_bytes() == content:
        return
    journals.put(there, content, there)
    cool(there)


def recover(config_dir: Path) -> str | None:
    """Make good a change that was interrupted; the lock is held. Returns what was done, if anything."""
    for name in ("main.cf", "master.cf", journals.NAME):
        aside = journals.aside_of((config_dir / name).resolve())
        if aside.exists():  # Where nothing can be written, even to delete what isn't there is refused.
            aside.unlink()
    journal = journals.read(config_dir)
    if journal is None or journal.state is State.ATTACHED:
        return None
    if journal.state is State.ATTACHING:
        undo(config_dir, journal)
        return "an attempt to attach that was interrupted is undone"
    finish_detaching(config_dir, journal)
    return "an attempt to detach that was interrupted is finished"


def undo(config_dir: Path, journal: Journal) -> None:
    """Go back to what was there before attaching began. What somebody else changed meanwhile stays."""
    assert journal.before is not None
    detach_files(config_dir, _back(read(config_dir), journal, journal.before))
    _reload(config_dir)
    if journal.earlier is None:
        journals.remove(config_dir)
    else:
        journals.write(config_dir, Journal(State.ATTACHED, journal.earlier))


def _back(now: Configuration, journal: Journal, before: Configuration) -> Configuration:
    target = journal.record.attached
    touched = now
    if journal.earlier is None:
        touched = plan.detached(now, Record(before, target))
    return Configuration(
        before.main if now.main in (target.main, before.main) else touched.main,
        before.master if now.master in (target.master, before.master) else touched.master,
    )


def finish_detaching(config_dir: Path, journal: Journal) -> None:
    """Take away whatever of ours is still there."""
    detach_files(config_dir, plan.detached(read(config_dir), journal.record))
    _reload(config_dir)
    journals.remove(config_dir)


def _reload(config_dir: Path) -> None:
    if commands.is_running(config_dir):
        commands.reload(config_dir)
