"""`postmask resolve`: what would be answered at RCPT, by which rule, and where mail would go."""

from __future__ import annotations

import os
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING

import click

from postmask.cli.command import Command
from postmask.cli.runtime import Runtime

if TYPE_CHECKING:
    from postmask.cli.explanation import Explanation


@click.command(
    cls=Command,
    examples=(
        "postmask resolve shop@alias.example.com",
        "postmask resolve shop+news@alias.example.com --sender spam@example.org --explain",
    ),
)
@click.argument("address")
@click.option(
    "--sender", metavar="ADDRESS", default="", help="The envelope sender. [default: the null sender]"
)
@click.option("--explain", is_flag=True, help="Show each step that led to the answer.")
@click.pass_obj
@click.pass_context
def resolve(ctx: click.Context, runtime: Runtime, address: str, sender: str, explain: bool) -> None:
    """Show what a sender would be answered, by which rule, and where the mail would go.

    Asks as this node's programs do. Exit status 75 if it can't be told now.
    """
    from postmask.address import parse_loose
    from postmask.alias.sifting import rules_of
    from postmask.cli.explanation import explained
    from postmask.directory.opening import open_directory
    from postmask.drain import DrainSwitch
    from postmask.spool import Spool

    recipient = parse_loose(address)
    path = runtime.settings.spool.path
    with closing(Spool(path, runtime.clock)) if path.exists() else nullcontext() as spool:
        directory = open_directory(runtime.settings, spool, runtime.clock)
        spam = rules_of(runtime.settings.spam)
        drained = DrainSwitch(runtime.settings.spool.folder).in_force()
        found = explained(directory, runtime.keys, runtime.clock, recipient, sender, spam, drained=drained)
    if runtime.output.json:
        record = {
            "address": str(recipient),
            "sender": sender,
            **found.answer,
            "destinations": found.destinations,
        }
        runtime.output.record({**record, "steps": found.steps} if explain else record)
    else:
        _show(runtime, found, explain)
    if not found.certain:
        ctx.exit(os.EX_TEMPFAIL)


def _show(runtime: Runtime, found: Explanation, explain: bool) -> None:
    output = runtime.output
    if explain:
        for number, step in enumerate(found.steps, 1):
            output.say(f"{number}. {step}")
    if found.verdict is None:
        return output.say("answer: not ours, Postfix decides as if Postmask weren't there")
    verdict = found.verdict
    output.say(f"answer: {verdict.code} {verdict.status} {verdict.text}")
    output.say(f"by:     {verdict.reason}")
    for destination in found.destinations:
        output.say(f"goes to {destination['address']} ({destination['what']})")
    if not found.destinations:
        output.say("goes to nobody")
    return None
