"""`postmask keys`: the file of master secrets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from postmask.cli.command import Noun
from postmask.cli.output import Column
from postmask.cli.runtime import Runtime

if TYPE_CHECKING:
    from postmask.keys import Keyring, Secret

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


@keys.command("rotate", examples=("postmask keys rotate", "postmask keys rotate --sign"))
@click.option("--sign", is_flag=True, help="Let the secret that was added sign from now on.")
@click.pass_obj
def rotate(runtime: Runtime, sign: bool) -> None:
    """Add a secret, in two steps, so that nobody is shown anything signed by one that he hasn't.

    First it waits: it verifies, and doesn't sign. When all nodes have the file, and their programs were
    restarted, --sign lets it sign; then the same once more. The older ones go on verifying. --sign is
    refused while a node works without it.
    """
    from postmask.keys import rotate as add
    from postmask.keys import sign as let_sign

    path = runtime.settings.keys.file
    if sign:
        _demand_known(runtime)
        ring = let_sign(path)
        told = f"secret {ring.signing.id} signs from now on"
    else:
        ring = add(path, runtime.clock)
        (waiting,) = (secret.id for secret in ring.secrets if secret.waits)
        told = f"secret {waiting} is there, and doesn't sign yet"
    if runtime.output.json:
        return runtime.output.record({"file": str(path), "secrets": _records(ring)})
    runtime.output.say(f"{told}; back up {path}, bring it to all nodes and restart the programs there")
    if not sign:
        runtime.output.say("then: postmask keys rotate --sign")
    return None


def _demand_known(runtime: Runtime) -> None:
    """Raise CommandError while programs work without the secret that waits, on this node or another."""
    from postmask.cli.failure import CommandError
    from postmask.keys.fingerprint import published_fingerprint
    from postmask.store.admin import nodes

    waiting = [str(secret.id) for secret in runtime.keys.secrets if secret.waits]
    marks = {mark for mark in runtime.keys.fingerprint.split() if mark.partition(":")[0] in waiting}
    with runtime.reading() as session:
        told = {one.name: one.keys or "" for one in nodes.listing(session)}
    here = runtime.settings.node.name
    told[here] = published_fingerprint(runtime.settings.spool.folder) or runtime.keys.fingerprint
    lacking = [name for name, fingerprint in told.items() if not marks <= set(fingerprint.split())]
    if lacking:
        raise CommandError(
            f"secret {', '.join(waiting)} isn't at work yet on {', '.join(sorted(lacking))}, where what it "
            "signs would be refused; bring the file there, restart the programs, and try again in a minute; "
            "if the node is gone: postmask node remove NAME",
            os.EX_TEMPFAIL,
        )


def _records(ring: Keyring) -> list[dict[str, object]]:
    return [
        {"id": secret.id, "created": secret.created, "use": _use(ring, secret)} for secret in ring.secrets
    ]


def _use(ring: Keyring, secret: Secret) -> str:
    if secret.waits:
        return "verifies, waits to sign"
    return "signs and verifies" if secret is ring.signing else "verifies"
