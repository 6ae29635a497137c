"""`postmask event`: what became of messages."""

from __future__ import annotations

import click

from postmask.cli.command import Count, Noun, account_option, choice
from postmask.cli.output import Column
from postmask.cli.runtime import Runtime
from postmask.cli.since import seconds_of
from postmask.store.vocabulary import EventKind

_COLUMNS = (
    Column("at", "AT"),
    Column("kind", "WHAT"),
    Column("alias", "ALIAS"),
    Column("contact", "CONTACT"),
    Column("mailbox", "MAILBOX"),
    Column("status", "STATUS"),
    Column("reason", "WHY", 80),
    Column("queue_id", "QUEUE ID"),
)
_BOUNCE_COLUMNS = (
    Column("at", "AT"),
    Column("kind", "OF A"),
    Column("alias", "ALIAS"),
    Column("mailbox", "MAILBOX"),
    Column("action", "ACTION"),
    Column("status", "STATUS"),
    Column("reason", "WHY", 80),
)
_since_option = click.option(
    "--since", callback=seconds_of, metavar="TIME", help="From then on: 30m, 12h or 7d ago, or a date (UTC)."
)
_limit_option = click.option(
    "--limit",
    type=Count(min=1),
    default=100,
    show_default=True,
    metavar="N",
    help="At most so many.",
)


@click.group(cls=Noun, examples=("postmask event list --since 1d",))
def event() -> None:
    """What became of messages: no subjects, no content, kept for retention.events_days."""


@event.command(
    "list",
    examples=(
        "postmask event list --since 12h",
        "postmask event list --alias shop@alias.example.com --kind refused --json",
    ),
)
@click.option("--alias", metavar="ADDRESS", help="Those of an alias.")
@click.option("--contact", metavar="ADDRESS", help="Those with a contact.")
@click.option("--kind", type=choice(EventKind), help="Those of a kind.")
@_since_option
@_limit_option
@account_option
@click.pass_obj
def list_(
    runtime: Runtime,
    alias: str | None,
    contact: str | None,
    kind: str | None,
    since: float | None,
    limit: int,
    account: str | None,
) -> None:
    """List what became of messages, the newest first."""
    from postmask.store.admin import events

    with runtime.reading() as session:
        found = events.listing(
            session, alias=alias, account=account, contact=contact, kind=kind, since=since, limit=limit
        )
    runtime.output.table(found, _COLUMNS, empty="no event found")


@event.command("bounces", examples=("postmask event bounces --alias shop@alias.example.com",))
@click.option("--alias", metavar="ADDRESS", help="Those of an alias.")
@_since_option
@_limit_option
@click.pass_obj
def bounces(runtime: Runtime, alias: str | None, since: float | None, limit: int) -> None:
    """List the bounces that came home, the newest first."""
    from postmask.store.admin import events

    with runtime.reading() as session:
        found = events.bounces(session, alias=alias, since=since, limit=limit)
    runtime.output.table(found, _BOUNCE_COLUMNS, empty="no bounce came home")
