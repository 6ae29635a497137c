"""`postmask keys`: the file of master secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from postmask.cli.command import Noun
from postmask.cli.output import Column
from postmask.cli.runtime import Runtime

if TYPE_CHECKING:
    from postmask.keys import Keyring

_COLUMNS = (Column("id", "ID"), Column("created", "CREATED"), Column("use", "USE"))


@click.group(cls=Noun, examples=("postmask keys init", "postmask keys show"))
def keys() -> None:
    """The master secrets, from which all other keys are made.

    Whoever has the file can forge reverse aliases and read the DKIM keys; without it the database is
    of no use. Back it up, apart from the database.
    """


@keys.command("init", examples=("postmask keys init",))
@click.pass_obj
def init(runtime: Runtime) -> None:
    """Make the file with its first secret. A file that exists is never touched."""
    from postmask.keys import init as make

    path = runtime.settings.keys.file
    made = make(path, runtime.clock)
    if runtime.output.json:
        return runtime.output.record({"file": str(path), "secrets": _records(made)})
    runtime.output.say(f"made {path}; back it up, apart from the database")
    return None


@keys.command("show", examples=("postmask keys show",))
@click.pass_obj
def show(runtime: Runtime) -> None:
    """List the secrets by number and date. Their content is never shown."""
    runtime.output.table(_records(runtime.keys), _COLUMNS, empty="there are no secrets")


@keys.command("rotate", examples=("postmask keys rotate",))
@click.pass_obj
def rotate(runtime: Runtime) -> None:
    """Add a secret, which signs from now on. The older ones go on verifying.

    The programs read the file when they start: restart them on each node, after the new file has
    reached it.
    """
    from postmask.keys import rotate as add

    path = runtime.settings.keys.file
    ring = add(path, runtime.clock)
    if runtime.output.json:
        return runtime.output.record({"file": str(path), "secrets": _records(ring)})
    runtime.output.say(f"secret {ring.newest.id} signs from now on; back up {path} and restart the programs")
    return None


def _records(ring: Keyring) -> list[dict[str, object]]:
    return [
        {
            "id": secret.id,
            "created": secret.created,
            "use": "signs and verifies" if secret is ring.newest else "verifies",
        }
        for secret in ring.secrets
    ]
