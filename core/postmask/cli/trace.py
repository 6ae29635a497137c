"""`postmask trace`: the story of a message on this node."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import click

from postmask.cli.command import Command
from postmask.cli.failure import CommandError
from postmask.cli.output import Column, moment
from postmask.cli.postfix_log import ledger, log_option, open_log
from postmask.cli.runtime import Runtime
from postmask.cli.since import seconds_of
from postmask.maillog.telling import Story, Wanted
from postmask.spool import LEDGER_KEPT

_COLUMNS = (
    Column("at", "AT"),
    Column("by", "BY"),
    Column("queue_id", "QUEUE ID"),
    Column("what", "WHAT", 1_000),
)


@click.command(
    cls=Command,
    examples=(
        "postmask trace 4C68C2F27C1",
        "postmask trace shop@alias.example.com --since 2h",
        "postmask trace '<20260131.1234@shop.example>' --json",
    ),
)
@click.argument("message", metavar="QUEUE-ID|ADDRESS|MESSAGE-ID")
@click.option(
    "--since",
    callback=seconds_of,
    metavar="TIME",
    help="From then on: 30m, 12h or 7d ago, or a date (UTC). [default: 6d, as far as the ledger goes]",
)
@log_option
@click.pass_obj
def trace(runtime: Runtime, message: str, since: float | None, named: tuple[Path, ...]) -> None:
    """Tell what became of a message, before and behind the forwarder.

    The answers at RCPT, the queue ids that it had, what was decided, its copies, and what the servers
    answered that they were sent to. A queue id may be that of the message or of a copy; a Message-ID the
    sender's or ours; an address an alias, or in the envelope the sender's or a mailbox's. What our programs
    said is told too, where their log is found.
    """
    since = runtime.clock.now() - LEDGER_KEPT if since is None else since
    log = open_log(runtime, named)
    steps = Story(Wanted(message), partial(ledger, runtime), partial(log.lines, since, ours=True)).tell()
    if not steps:
        raise CommandError(
            f"nothing is known of {message} since {moment(since)} on this node; "
            "give its queue id, the alias, or the Message-ID as in the header; what is known on all nodes of "
            "who wrote: postmask event list --contact ADDRESS",
            os.EX_NOUSER,
        )
    runtime.output.table(steps, _COLUMNS, empty="")
