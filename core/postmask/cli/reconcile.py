"""`postmask reconcile`: every message that Postfix accepted for us, and its one outcome."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import click

from postmask.cli.command import Command
from postmask.cli.failure import CommandError
from postmask.cli.output import Column, counted, moment
from postmask.cli.postfix_log import PostfixLog, ledger, log_option, open_log
from postmask.cli.runtime import Runtime
from postmask.cli.since import seconds_of
from postmask.clock import DAY
from postmask.maillog.reckoning import Fate, Period, Reckoner, Reckoning
from postmask.maillog.records import Delivery, at_our_door, parse
from postmask.maillog.tracking import Tracker
from postmask.spool import LEDGER_KEPT

_TRIES = 3
_UNACCOUNTED = (Column("queue_id", "QUEUE ID"), Column("recipient", "RECIPIENT"), Column("why", "WHY"))
_DUPLICATES = (
    Column("queue_id", "QUEUE ID"),
    Column("recipient", "RECIPIENT"),
    Column("copies", "COPIES"),
    Column("cause", "CAUSE"),
)


@click.command(
    cls=Command,
    examples=(
        "postmask reconcile",
        "postmask reconcile --since 6h --json",
        "postmask reconcile --since 2d --log /var/log/mail.log.1 --log /var/log/mail.log",
    ),
)
@click.option(
    "--since",
    callback=seconds_of,
    metavar="TIME",
    help="What was accepted from then on: 30m, 12h or 7d ago, or a date (UTC). [default: 1d]",
)
@log_option
@click.pass_obj
@click.pass_context
def reconcile(ctx: click.Context, runtime: Runtime, since: float | None, named: tuple[Path, ...]) -> None:
    """Account for every message that Postfix accepted for addresses of ours, from its log and the ledger.

    Each share (a copy for a mailbox or contact, or a recipient for whom none was made) has one outcome:
    delivered, bounced, held, waiting, discarded, recorded, refused, returned or deleted. What has none is
    listed with its queue id, and the exit status is 65. Duplicates are listed with their cause.
    """
    now = runtime.clock.now()
    since = now - DAY if since is None else since
    if since < now - LEDGER_KEPT:
        raise CommandError(
            f"the ledger goes back {LEDGER_KEPT / DAY:.0f} days, no further; choose a later --since",
            os.EX_USAGE,
        )
    log = open_log(runtime, named)
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(1.0)  # a log daemon may be behind what it tells of
        tracker, result = _reckon(runtime, log, since)
        if result.closes:
            break
    _show(runtime, since, tracker, result)
    if not result.closes:
        ctx.exit(os.EX_DATAERR)


def _reckon(runtime: Runtime, log: PostfixLog, since: float) -> tuple[Tracker, Reckoning]:
    """The queue is looked at first: what leaves it afterwards is found in the log."""
    from postmask_postfix import sync
    from postmask_postfix.queue import queued

    until = runtime.clock.now()
    queue = queued(log.config_dir)
    looked = runtime.clock.now()
    is_ours = _in(sync.ours(log.config_dir))

    def concerns_us(attempt: Delivery) -> bool:
        return at_our_door(attempt) or is_ours(attempt.recipient)

    tracker = Tracker(concerns_us)
    for line in log.lines(since):
        if line.service:
            tracker.add(line.at, parse(line))
    period = Period(since, until, looked)
    return tracker, Reckoner(tracker, ledger(runtime), queue, period, is_ours).run()


def _in(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda address: pattern.search(address) is not None


def _show(runtime: Runtime, since: float, tracker: Tracker, result: Reckoning) -> None:
    output = runtime.output
    if output.json:
        output.record(
            {
                "since": since,
                "log_begins": tracker.begins,
                "log_ends": tracker.ends,
                "messages": result.messages,
                "outcomes": {fate.value: result.fates[fate] for fate in Fate},
                "duplicates": result.duplicates,
                "unaccounted": result.unaccounted,
                "closes": result.closes,
            }
        )
        return
    if tracker.begins is None:
        output.say("the log says nothing of this time")
    elif tracker.begins > since + 60:
        output.say(f"the log begins at {moment(tracker.begins)}; what came before isn't accounted for")
    total = sum(result.fates.values())
    messages = counted(result.messages, "message", "messages")
    output.say(f"{messages} accepted for addresses of ours since {moment(since)}")
    for fate in Fate:
        if result.fates[fate]:
            output.say(f"  {result.fates[fate]:>8} {fate.value}")
    output.say(f"  {total:>8} shares in all, {len(result.unaccounted)} unaccounted for")
    if result.duplicates:
        output.say("")
        output.table(result.duplicates, _DUPLICATES, empty="")
    if result.unaccounted:
        output.say("")
        output.table(result.unaccounted, _UNACCOUNTED, empty="")
