"""`postmask system`: Postmask on a host without Ansible."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import click

from postmask.cli.command import Noun
from postmask.cli.failure import CommandError, demand_root
from postmask.cli.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmask.config import Settings
    from postmask_postfix.system.actions import Action
    from postmask_postfix.system.host import Host
    from postmask_postfix.system.wanted import Wanted

_dry_run = click.option(
    "--dry-run", is_flag=True, help="Only print what would be done, a line for each step."
)
_root = click.option(
    "--root",
    type=click.Path(file_okay=False, resolve_path=True, path_type=Path),
    default="/",
    metavar="DIR",
    help="Work on the tree of a host below this folder, which isn't running: an image. [default: this host]",
)


@click.group(cls=Noun, examples=("postmask system install --dry-run", "postmask system install"))
def system() -> None:
    """Users, folders, master secret and systemd units on this host, made and taken away again.

    Postfix isn't touched: see postmask postfix attach.
    """


@system.command(
    "install",
    examples=(
        "postmask system install --dry-run",
        "postmask system install",
        "postmask system install --root /mnt/image --programs /opt/postmask/bin",
    ),
)
@_dry_run
@_root
@click.option(
    "--programs",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="The folder of Postmask's programs on the host. [default: where this one lies]",
)
@click.pass_obj
def install(runtime: Runtime, dry_run: bool, root: Path, programs: Path | None) -> None:
    """Make users, folders, configuration, master secret and units, and start the programs. Needs root.

    Two users: postmask for the programs, and the one of postfix.pipe_user for the client that pipe(8) runs,
    which can read no secret. Where the database is SQLite it is made too. A configuration, a master secret
    and a database that exist stay as they are. A second call changes nothing; after an upgrade it brings the
    units up to date. While Postfix takes mail for our domains none of these is made anew: one that is missing
    was lost.
    """
    from postmask_postfix.system import host, plan

    folder = programs or Path(sys.executable).parent
    settings, configuration, wanted = _wanted(runtime, root, folder)
    host.check_programs(root, folder)
    there = host.look(root, wanted)
    _refuse_anew(host.within(root, settings.postfix.config_dir), plan.kept(wanted), there)
    new_keys = wanted.keys not in there.found
    notes = [f"back up {wanted.keys}, apart from the database"] if new_keys and not dry_run else []
    if there.systemd is host.Systemd.NONE:
        notes += ["there is no systemd here; have these started and kept running, as the user postmask:"]
        notes += [f"    {folder}/{words} --config {settings.file}" for words in _PROGRAMS]
    elif there.systemd is host.Systemd.IDLE:
        notes.append("systemd doesn't run here now; the programs are started at the next boot")
    _do(runtime, root, plan.install(wanted, there, configuration), notes, dry_run=dry_run)


@system.command(
    "remove",
    examples=("postmask system remove --dry-run", "postmask system remove", "postmask system remove --purge"),
)
@_dry_run
@_root
@click.option(
    "--purge",
    is_flag=True,
    help="Remove the configuration, the master secret, the SQLite database and the spool as well, for ever.",
)
@click.pass_obj
def remove(runtime: Runtime, dry_run: bool, root: Path, purge: bool) -> None:
    """Stop the programs, take units, sockets, pipe client and users away. Needs root.

    The configuration, the master secret and the data stay, for root alone, unless --purge is given; a later
    install takes them up again. Refused while Postmask is attached to Postfix.
    """
    from postmask_postfix import sync
    from postmask_postfix.commands import PostfixError
    from postmask_postfix.system import host, plan

    settings, _, wanted = _wanted(runtime, root, Path("/"))
    try:
        attached = sync.attached(host.within(root, settings.postfix.config_dir))
    except PostfixError:
        attached = False  # no Postfix any more
    if attached and not dry_run:
        raise CommandError(
            f"Postmask is attached to the Postfix in {settings.postfix.config_dir}; run this first:",
            os.EX_UNAVAILABLE,
            ["postmask postfix detach"],
        )
    there = host.look(root, wanted)
    notes = [f"{path} stays" for path in plan.left(wanted, there, purge=purge)]
    if attached:
        notes.append("first run postmask postfix detach; until then this is refused")
    _do(runtime, root, plan.remove(wanted, there, purge=purge), notes, dry_run=dry_run)


def _refuse_anew(config_dir: Path, kept: Sequence[Path], there: Host) -> None:
    """By an empty database, or with other secrets, mail would be refused that was taken until now."""
    from postmask_postfix import sync

    lost = [str(path) for path in kept if path not in there.found]
    if lost and sync.serves(config_dir):
        raise CommandError(
            f"{', '.join(lost)}: not there, while the Postfix in {config_dir} takes mail for our domains: "
            "put back what was lost, from a backup; to begin anew, run this first:",
            os.EX_UNAVAILABLE,
            ["postmask postfix detach"],
        )


_PROGRAMS = ("postmask-milter alias", "postmask-milter scan", "postmask-forwarder", "postmask-agent")


def _wanted(runtime: Runtime, root: Path, programs: Path) -> tuple[Settings, str, Wanted]:
    """The settings, the text of a first configuration, and what follows from them."""
    from postmask.config import DEFAULT_FILE, FILE_VARIABLE, load, read
    from postmask.store.engine import sqlite_path
    from postmask_postfix.system import host
    from postmask_postfix.system.wanted import first_configuration, wanted

    demand_root("users and units belong to root")
    file = (runtime.config_file or Path(os.environ.get(FILE_VARIABLE) or DEFAULT_FILE)).absolute()
    lies = host.within(root, file)
    exists = lies.exists()
    settings = dataclasses.replace(load(lies, {}), file=file) if exists else read("", file, {})
    postfix = host.postfix(root, settings.postfix.config_dir, settings.postfix.mail_owner)
    text = first_configuration(postfix)
    if not exists:
        settings = read(text, file, {})
    database = sqlite_path(settings.database.owner_url)
    return settings, text, wanted(settings, database, PurePosixPath(programs), postfix)


def _do(
    runtime: Runtime, root: Path, actions: Sequence[Action], notes: Sequence[str], *, dry_run: bool
) -> None:
    from postmask_postfix.system.perform import perform

    if not dry_run:
        perform(root, actions, runtime.clock, lambda action: runtime.output.copy(action.text))
    steps = [action.text for action in actions]
    if runtime.output.json:
        return runtime.output.record({"dry_run": dry_run, "steps": steps, "notes": notes})
    if dry_run:
        for step in steps:
            runtime.output.copy(step)
    if not steps:
        runtime.output.say("there is nothing to do")
    for note in notes:
        runtime.output.copy(note)
    return None
