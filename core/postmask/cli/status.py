"""`postmask status`: whether everything on this node is as it should be."""

from __future__ import annotations

import os

import click

from postmask.cli.command import Command
from postmask.cli.output import Column
from postmask.cli.runtime import Runtime

_COLUMNS = (Column("ok", "OK"), Column("part", "PART"), Column("what", "WHAT"))


@click.command(cls=Command, examples=("postmask status", "postmask status --json"))
@click.pass_obj
@click.pass_context
def status(ctx: click.Context, runtime: Runtime) -> None:
    """Look at the configuration, keys, database, spool, programs and Postfix of this node.

    Exit status 69 if anything is amiss. What is "no" comes with what to do about it.
    """
    from postmask.cli.checks import all_checks

    found = list(all_checks(runtime))
    good = all(check.ok for check in found)
    if runtime.output.json:
        runtime.output.record({"ok": good, "checks": found})
    else:
        runtime.output.table(found, _COLUMNS, empty="")
    if not good:
        ctx.exit(os.EX_UNAVAILABLE)
