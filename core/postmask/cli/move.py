"""Moving the database, as the command line does it: the URLs, the signals, the configuration file.

DIAGNOSTICS
    Interrupted (Ctrl-C, SIGTERM, SIGHUP) before the old database is marked as moved: all is undone, exit
    status 130. After that they come too late, and all is done.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from postmask.cli.failure import CommandError
from postmask.cli.runtime import Runtime
from postmask.daemon.stop import SIGNALS

if TYPE_CHECKING:
    from postmask.store.moving.journal import Destination
    from postmask.store.moving.move import Mover, Outcome


def move_to(runtime: Runtime, url: str, node_url: str | None, *, dry_run: bool) -> None:
    """All of `postmask db move`."""
    from postmask.store.moving.journal import Destination
    from postmask.store.moving.move import Settled

    mover = _mover(runtime)
    if not dry_run and mover.settle() is Settled.FINISHED:
        runtime.read_again()
        runtime.output.warn("an earlier move was interrupted, and is finished now")
        if runtime.settings.database.owner_url == url:
            return _say_moved(runtime, Destination(url, runtime.settings.database.url), None)
        mover = _mover(runtime)
    destination = _destination(runtime, url, node_url)
    new = mover.check(destination)
    _demand_writable(runtime, destination)
    if dry_run:
        return _say_possible(runtime, destination)
    if not new:
        mover.follow(destination)
        return _say_moved(runtime, destination, None)
    with _interruptible() as no_more:
        outcome = mover.move(destination, runtime.clock.now(), committing=no_more)
    return _say_moved(runtime, destination, outcome)


def settle(runtime: Runtime) -> bool:
    """Finish or undo a move that was interrupted, and say so; False: it can't be done now, and why."""
    from postmask.config import ConfigError
    from postmask.store.errors import StoreError
    from postmask.store.moving.move import Settled

    mover = _mover(runtime)
    try:
        settled = mover.settle()
    except (StoreError, ConfigError, OSError) as error:
        runtime.output.warn(str(error))
        return False
    if settled in (Settled.FINISHED, Settled.UNDONE):
        runtime.output.warn(f"a move of the database was interrupted, and is {settled} now")
        runtime.read_again()
    return True


def _mover(runtime: Runtime) -> Mover:
    from postmask.store.moving.journal import Journal
    from postmask.store.moving.move import Mover

    settings = runtime.settings

    def adopt(destination: Destination) -> None:
        from postmask.config import rewrite

        rewrite(settings.file, "database", _written(destination))

    return Mover(settings.database.owner_url, Journal(settings.file), adopt)


def _written(destination: Destination) -> dict[str, str]:
    return {"url": destination.url, "owner_url": destination.owner_url}


def _destination(runtime: Runtime, url: str, node_url: str | None) -> Destination:
    """The new database's two URLs. Raises UsageError, StoreError."""
    from postmask.store.engine import parse_url
    from postmask.store.moving import target
    from postmask.store.moving.journal import Destination

    target.demand_postgres(url)
    if node_url is not None:
        target.demand_postgres(node_url)
        return Destination(url, node_url)
    old, old_owner = parse_url(runtime.settings.database.url), parse_url(runtime.settings.database.owner_url)
    if old.get_backend_name() == "sqlite":
        role, password = f"postmask_node_{secrets.token_hex(3)}", secrets.token_urlsafe(24)
    elif old.username == old_owner.username:
        return Destination(url, url)
    elif old.username and old.password:
        role, password = old.username, str(old.password)
    else:
        raise click.UsageError("database.url has no role and password to go on with; say --nodes-to URL")
    node = parse_url(url).set(drivername="postgresql", username=role, password=password)
    return Destination(url, node.render_as_string(hide_password=False))


def _demand_writable(runtime: Runtime, destination: Destination) -> None:
    """Now rather than when all is moved. Raises ConfigError, CommandError."""
    from postmask.config import read, rewritten

    file = runtime.settings.file
    text = file.read_text(encoding="utf-8-sig")
    read(rewritten(text, file, "database", _written(destination)), file, os.environ)
    folder = Path(os.path.realpath(file)).parent
    if not os.access(folder, os.W_OK):
        raise CommandError(f"nothing can be written in {folder}, where {file.name} lies", os.EX_NOPERM)


def _say_possible(runtime: Runtime, destination: Destination) -> None:
    from postmask.store.moving.target import label

    old, new = label(runtime.settings.database.owner_url), label(destination.owner_url)
    if runtime.output.json:
        return runtime.output.record({"moved": False, "from": old, "to": new})
    return runtime.output.say(f"{old} can be moved to {new}")


def _say_moved(runtime: Runtime, destination: Destination, outcome: Outcome | None) -> None:
    """outcome: None where the truth itself had been moved before."""
    from postmask.config import masked
    from postmask.store import schema
    from postmask.store.moving.target import label

    file, new = str(runtime.settings.file), label(destination.owner_url)
    found = schema.status(destination.owner_url)
    others = [node.name for node in found.nodes if node.name != runtime.settings.node.name]
    if runtime.output.json:
        return runtime.output.record(
            {
                "moved": outcome is not None,
                "to": new,
                "generation": found.generation,
                "rows": outcome.rows if outcome else None,
                "frozen_seconds": round(outcome.frozen_seconds, 3) if outcome else None,
                "file": file,
                "url": masked(destination.url),
                "owner_url": masked(destination.owner_url),
                "other_nodes": others,
            }
        )
    if outcome is not None:
        rows = sum(outcome.rows.values())
        waited = f"changes had to wait for {outcome.frozen_seconds:.1f} s"
        runtime.output.say(f"moved to {new}: {rows} rows; {waited}")
    runtime.output.say(f"{file} names it now; the programs on this node take it up by themselves")
    if others:
        runtime.output.say(
            f"{', '.join(others)}: until its configuration names it too, such a node serves from its "
            "replica. Say there, with the same URL (and --nodes-to, if its role is another):"
        )
        runtime.output.copy(f"    postmask db move --to {quote(masked(destination.owner_url))}")
    return None


@contextlib.contextmanager
def _interruptible() -> Iterator[Callable[[], None]]:
    """Until what is given is called: then Ctrl-C, SIGTERM and SIGHUP are past their time."""

    def no_more() -> None:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield no_more
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
