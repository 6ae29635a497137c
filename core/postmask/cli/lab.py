"""`postmask lab`: a throw-away Postfix with Postmask attached, to try things without touching a server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from postmask.cli.command import Noun
from postmask.cli.runtime import Runtime

_DIRECTORY = click.Path(file_okay=False, path_type=Path)


def _replacements(
    ctx: click.Context,  # noqa: ARG001 - click's signature
    parameter: click.Parameter,  # noqa: ARG001 - click's signature
    values: tuple[str, ...],
) -> dict[str, str]:
    """PROGRAM=COMMAND, several times."""
    pairs = [value.partition("=") for value in values]
    if not all(separator for _, separator, _ in pairs):
        raise click.BadParameter("write PROGRAM=COMMAND")
    return {program: command for program, _, command in pairs}


@click.group(cls=Noun, examples=("postmask lab up /tmp/lab", "postmask lab down /tmp/lab"))
def lab() -> None:
    """A throw-away Postfix with everything attached, on loopback ports: never the system's.

    Mail that it sends out is kept as files, unless --sink says where it goes.
    """


@lab.command(
    "up",
    examples=(
        "postmask lab up /tmp/lab",
        "postmask lab up /tmp/lab --door lmtp --database postgresql://owner:secret@127.0.0.1/postmask",
        "postmask lab up /tmp/mx2 --node mx2 --keys /tmp/lab/keys"
        " --database postgresql://owner:secret@127.0.0.1/postmask",
        "postmask lab up /tmp/lab --spamd 127.0.0.1:783 --rspamd 127.0.0.1:11333",
        "postmask lab up /tmp/lab --smtp 2525 --sink 127.0.0.1:2526 --exec agent='sleep infinity'",
    ),
)
@click.argument("directory", type=_DIRECTORY)
@click.option(
    "--database",
    metavar="URL",
    help="The owner's URL of a Postgres database. [default: SQLite in DIRECTORY]",
)
@click.option("--node", metavar="NAME", help="The node's name among labs on one database. [default: lab]")
@click.option(
    "--keys",
    type=click.Path(dir_okay=False, resolve_path=True, path_type=Path),
    metavar="FILE",
    help="Another node's master secrets, to be copied. [default: new ones]",
)
@click.option(
    "--door", type=click.Choice(["pipe", "lmtp"]), help="How Postfix reaches the forwarder. [default: pipe]"
)
@click.option(
    "--smtp",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="The port to listen on. [default: a free one]",
)
@click.option(
    "--sink", metavar="HOST:PORT", help="Where outgoing mail goes. [default: files in DIRECTORY/sink]"
)
@click.option("--spamd", metavar="IP:PORT", help="SpamAssassin's spamd, to judge mail. [default: none]")
@click.option("--rspamd", metavar="IP:PORT", help="Rspamd, likewise; asked after spamd.")
@click.option("--nameserver", metavar="HOST:PORT", help="The name server to ask. [default: the system's]")
@click.option(
    "--exec",
    "programs",
    metavar="PROGRAM=COMMAND",
    multiple=True,
    callback=_replacements,
    help="Run another command in a program's place.",
)
@click.pass_obj
def up(runtime: Runtime, /, directory: Path, **options: Any) -> None:
    """Start a lab, or what has died in it; print one JSON object when all of it answers.

    Options are remembered; on a lab that exists a different one is refused.
    """
    from postmask_postfix import lab as labs

    described = labs.up(labs.LabOptions(directory, **options), runtime.clock)
    _print(runtime, described)


@lab.command("down", examples=("postmask lab down /tmp/lab",))
@click.argument("directory", type=_DIRECTORY)
@click.pass_obj
def down(runtime: Runtime, directory: Path) -> None:
    """Stop all of a lab. The folder stays; `lab up` goes on where it stopped."""
    from postmask_postfix import lab as labs

    labs.down(directory)
    if runtime.output.json:
        return runtime.output.record({"directory": str(directory), "up": False})
    runtime.output.say(f"stopped; the lab's files stay in {directory}")
    return None


@lab.command("status", examples=("postmask lab status /tmp/lab",))
@click.argument("directory", type=_DIRECTORY)
@click.pass_obj
@click.pass_context
def status(ctx: click.Context, runtime: Runtime, directory: Path) -> None:
    """Print the lab's JSON object; exit status 69 if not all of it runs."""
    from postmask_postfix import lab as labs

    described = labs.status(directory)
    _print(runtime, described)
    if not described["up"]:
        ctx.exit(os.EX_UNAVAILABLE)


def _print(runtime: Runtime, described: Mapping[str, Any]) -> None:
    """JSON in any case: that is what a lab is brought up for."""
    runtime.output.json = True
    runtime.output.record(described)
