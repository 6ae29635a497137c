"""`postmask alias import`: many aliases at once, from a CSV file."""

from __future__ import annotations

import io

import click

from postmask.cli.command import Command, account_option
from postmask.cli.output import counted
from postmask.cli.runtime import Runtime


@click.command(
    "import",
    cls=Command,
    examples=(
        "postmask alias import aliases.csv",
        "postmask alias import aliases.csv --to me@example.com --dry-run",
    ),
)
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--to", metavar="MAILBOX", multiple=True, help="The mailboxes of lines that name none.")
@click.option("--dry-run", is_flag=True, help="Check everything, add nothing.")
@account_option
@click.pass_obj
def import_(runtime: Runtime, file: str, to: tuple[str, ...], dry_run: bool, account: str | None) -> None:
    """Add many aliases from a CSV file in UTF-8 ("-": standard input): all, or none if any is wrong.

    The columns are address, to, note, name, when_disabled, in this order or as the first line names
    them; only the address is needed where --to is given. Several mailboxes in a cell have spaces
    between them, cells have commas, semicolons or tabs.
    """
    from postmask.store.admin import bulk

    with click.open_file(file, "rb") as given:
        # All of it before the database is changed: whoever types it would keep all others waiting.
        # A spreadsheet's byte order mark may stand in front.
        lines = io.TextIOWrapper(io.BytesIO(given.read()), encoding="utf-8-sig", errors="surrogateescape")
    with runtime.changing() as session:
        count = bulk.add(session, runtime.keys, lines, to=to, account=account, now=runtime.clock.now())
        if dry_run:
            session.rollback()
    if runtime.output.json:
        return runtime.output.record({"added": 0 if dry_run else count, "aliases": count, "dry_run": dry_run})
    aliases = counted(count, "alias", "aliases")
    runtime.output.say(f"{aliases} could be added" if dry_run else f"{aliases} added")
    return None
