"""`postmask db`: the database, its schema and its copies."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from postmask.cli.command import Noun
from postmask.cli.failure import CommandError
from postmask.cli.output import fields, moment
from postmask.cli.ownership import make_like_folder
from postmask.cli.runtime import Runtime

if TYPE_CHECKING:
    from postmask.store.schema import Status


@click.group(cls=Noun, examples=("postmask db init", "postmask db status"))
def db() -> None:
    """The database, its schema and its copies."""


@db.command("init", examples=("postmask db init",))
@click.pass_obj
def init(runtime: Runtime) -> None:
    """Make the schema and the first account; on Postgres also the role of the nodes.

    Role and password are those of database.url, where it differs from database.owner_url. What is
    there already stays as it is.
    """
    from postmask.store import schema
    from postmask.store.engine import sqlite_path

    settings = runtime.settings.database
    file = sqlite_path(settings.owner_url)
    if file is not None:
        make_like_folder(file)
    made = schema.init(settings.owner_url, runtime.clock)
    role = _grant(runtime)
    status = schema.status(settings.owner_url)
    if runtime.output.json:
        return runtime.output.record(status, made=made, node_role=role)
    runtime.output.say(
        "the database is made" if made else "the database was there already, nothing is changed"
    )
    if role:
        runtime.output.say(f"the role {role} has the rights of a node, and no others")
    return None


@db.command("upgrade", examples=("postmask db upgrade",))
@click.pass_obj
def upgrade(runtime: Runtime) -> None:
    """Bring an older schema up to date. Back the database up before.

    On Postgres it also gives the nodes' role its rights and password again, and switches our triggers on
    as they were, where a restore by other means (pg_upgradecluster) left them otherwise.
    """
    from postmask.store import schema

    before, after = schema.upgrade(runtime.settings.database.owner_url)
    role = _grant(runtime)
    if runtime.output.json:
        return runtime.output.record({"before": before, "after": after, "node_role": role})
    runtime.output.say("the schema is current" if before == after else f"upgraded from {before} to {after}")
    return None


@db.command("status", examples=("postmask db status",))
@click.pass_obj
@click.pass_context
def status(ctx: click.Context, runtime: Runtime) -> None:
    """Show the schema's state, whether this database is the one in use, and the nodes.

    A move that was interrupted is finished, or undone. Exit status 69 unless the schema is current, and the
    database in use and one that takes writes.
    """
    from postmask.cli.move import settle
    from postmask.store import schema
    from postmask.store.vocabulary import Phase

    settled = settle(runtime)
    found = schema.status(runtime.settings.database.owner_url)
    if runtime.output.json:
        runtime.output.record(found)
    else:
        runtime.output.record(_plain(found))
    in_use = found.state is schema.SchemaState.CURRENT and found.phase is Phase.CURRENT
    if not settled or not in_use or found.read_only:
        ctx.exit(os.EX_UNAVAILABLE)


@db.command(
    "move",
    examples=(
        "postmask db move --to postgresql://postmask:SECRET@db.example.com/postmask",
        "postmask db move --to postgresql://postmask:SECRET@db.example.com/postmask --dry-run",
    ),
)
@click.option(
    "--to",
    "url",
    metavar="URL",
    required=True,
    help='The new database as its owner opens it; "-": read it here.',
)
@click.option(
    "--nodes-to",
    "node_url",
    metavar="URL",
    help='The same as the nodes open it; "-": likewise, on a line of its own. '
    "[default: with the role and password of database.url; from SQLite a new role]",
)
@click.option("--dry-run", is_flag=True, help="Only say whether it could be moved there.")
@click.pass_obj
def move(runtime: Runtime, url: str, node_url: str | None, dry_run: bool) -> None:
    """Move to an empty Postgres database, from SQLite or another Postgres, while mail flows.

    Changes wait meanwhile; the nodes keep what they learn. All is copied and verified, the old database is
    marked as moved, and the configuration file names the new one, which the programs on this node take up
    by themselves. On a node left behind the same command corrects the file alone. Whatever interrupts it, the
    old or the new database is whole and in use.
    """
    from postmask.cli.move import move_to

    move_to(runtime, _given(url), None if node_url is None else _given(node_url), dry_run=dry_run)


@db.command("backup", examples=("postmask db backup /var/backups/postmask.copy",))
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.pass_obj
def backup(runtime: Runtime, file: Path) -> None:
    """Copy the database, while it is in use, to a new file; on Postgres by pg_dump.

    The master secrets aren't in it: back them up apart.
    """
    from postmask.store import backup as sqlite
    from postmask.store import dump
    from postmask.store.engine import sqlite_path

    url = runtime.settings.database.owner_url
    if sqlite_path(url) is None:
        dump.backup(url, file)
    else:
        sqlite.backup(url, file)
    if runtime.output.json:
        return runtime.output.record({"file": str(file)})
    runtime.output.say(f"copied to {file}; the master secrets, {runtime.settings.keys.file}, aren't in it")
    return None


@db.command("restore", examples=("postmask db restore /var/backups/postmask.copy --yes",))
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.pass_obj
def restore(runtime: Runtime, file: Path, yes: bool) -> None:
    """Put a copy in place of the database. With SQLite stop the programs before.

    On Postgres by pg_restore, in one transaction: the nodes notice, and copy everything anew. The database
    and its owner must be there, in an empty one everything is made.
    Aliases made since the copy are gone then; addresses are never given out a second time.
    """
    from postmask.store import backup as sqlite
    from postmask.store import dump
    from postmask.store.engine import sqlite_path

    if not yes:
        _ask(f"Replace the database by {file}")
    url = runtime.settings.database.owner_url
    if sqlite_path(url) is None:
        generation = dump.restore(url, file, _node(runtime))
        then = "the nodes copy it anew by themselves"
    else:
        generation = sqlite.restore(url, file)
        then = "start the programs again"
    if runtime.output.json:
        return runtime.output.record({"file": str(file), "generation": generation})
    runtime.output.say(f"the database is that of {file} now; {then}")
    if sqlite_path(url) is not None:
        runtime.output.say("its domains may be others; as root: postmask postfix sync")
    return None


def _given(url: str) -> str:
    return sys.stdin.readline().strip() if url == "-" else url


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("this replaces the database; say --yes if that is meant")
    click.confirm(question, abort=True, err=True)


def _grant(runtime: Runtime) -> str | None:
    """Make or renew the nodes' role; its name, None where there is no such role to make."""
    from postmask.store.roles import grant_node_role

    node = _node(runtime)
    if node is None:
        return None
    grant_node_role(runtime.engine, *node)
    return node[0]


def _node(runtime: Runtime) -> tuple[str, str] | None:
    """The nodes' role and its password; None: SQLite, or they use the owner's."""
    from postmask.store.engine import parse_url

    settings = runtime.settings.database
    url = parse_url(settings.url)
    owner = parse_url(settings.owner_url)
    if url.get_backend_name() == "sqlite" or url.username == owner.username:
        return None
    if not url.username or url.password is None:
        raise CommandError("database.url needs the nodes' role and its password", os.EX_CONFIG)
    return url.username, str(url.password)


def _plain(status: Status) -> dict[str, object]:
    nodes = [f"{node.name}, last seen {moment(node.last_seen)}" for node in status.nodes]
    clock = None if status.clock is None else moment(status.clock)
    frozen = "yes: it is being moved" if status.frozen else "no"
    return {**fields(status), "frozen": frozen, "nodes": nodes, "clock": clock}
