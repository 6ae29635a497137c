"""`postmask status`: whether everything on this node is as it should be."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from postmask.cli.command import Command
from postmask.cli.output import Column
from postmask.cli.runtime import Runtime

if TYPE_CHECKING:
    from postmask.cli.checks.check import Check

_COLUMNS = (Column("ok", "OK"), Column("part", "PART"), Column("what", "WHAT"))


@click.command(cls=Command, examples=("postmask status", "postmask status --json"))
@click.pass_obj
@click.pass_context
def status(ctx: click.Context, runtime: Runtime) -> None:
    """Look at the configuration, keys, database, spool, programs and Postfix of this node.

    As root also whether Postfix runs, knows exactly our domains, and is attached as it should be. Exit status
    69 if anything is amiss. What is "no" comes with what to do about it. postmask doctor looks at this and a
    great deal more.
    """
    from postmask.cli.checks.parts import all_checks

    found = list(all_checks(runtime))
    good = all(check.ok for check in found)
    if runtime.output.json:
        runtime.output.record({"ok": good, "checks": [_plain(check) for check in found]})
    else:
        runtime.output.table(found, _COLUMNS, empty="")
    if not good:
        ctx.exit(os.EX_UNAVAILABLE)


def _plain(check: Check) -> dict[str, object]:
    code = None if check.ok else check.code
    return {
        "part": check.part,
        "ok": check.ok,
        "what": check.what,
        "code": code and code.id,
        "severity": code and code.severity,
    }
