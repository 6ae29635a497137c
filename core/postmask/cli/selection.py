"""Which held messages a verb is to act on.

DIAGNOSTICS
    CommandError (65) for what is on hold and isn't ours, (67) for what isn't on hold, (75) when an alias
    can't be looked up; before anything is done.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from postmask.cli.failure import CommandError

if TYPE_CHECKING:
    from postmask.cli.holding import Desk
    from postmask.holding import Held, Holding

Verb = Callable[..., Any]

dry_run_option = click.option("--dry-run", is_flag=True, help="Only show what would be done.")


@dataclass(frozen=True, slots=True)
class Selection:
    """What a verb is to act on: these, or all that is held for an address."""

    queue_ids: tuple[str, ...]
    mailbox: str | None
    alias: str | None
    dry_run: bool


def selected(verb: Verb) -> Verb:
    """The arguments and options that make a Selection."""
    decorators: tuple[Callable[[Verb], Verb], ...] = (
        dry_run_option,
        click.option("--alias", metavar="ADDRESS", help="All that came to an alias, or through it."),
        click.option("--mailbox", metavar="ADDRESS", help="All that is held for a mailbox, or a contact."),
        click.argument("queue_ids", metavar="[QUEUE-ID]...", nargs=-1),
    )
    for decorate in decorators:
        verb = decorate(verb)
    return verb


def selecting(verb: str) -> list[str]:
    return [
        f"postmask held {verb} 4C68C2F27C1",
        f"postmask held {verb} --mailbox me@example.com",
        f"postmask held {verb} --alias shop@alias.example.com --dry-run",
    ]


def chosen_of(desk: Desk, found: Holding, selection: Selection) -> Iterator[Held]:
    """Each once. Raises CommandError before anything is done."""
    from postmask.holding import is_for

    given = [bool(selection.queue_ids), selection.mailbox is not None, selection.alias is not None]
    if given.count(True) != 1:
        raise click.UsageError("give queue ids, or --mailbox, or --alias")
    if selection.queue_ids:
        named = set(selection.queue_ids).difference(found.leftovers)
        yield from {one.queue_id: one for one in (find(found, name) for name in sorted(named))}.values()
    elif selection.mailbox is not None:
        yield from (one for one in found.held if is_for(one, selection.mailbox))
    elif selection.alias is not None:
        yield from _through(desk, found, selection.alias)


def _through(desk: Desk, found: Holding, alias: str) -> Iterator[Held]:
    """What came to an alias, known or not, or to a reverse alias of it."""
    from postmask.address import parse
    from postmask.directory.lookup import Found, Unavailable

    address = parse(alias)
    known = desk.directory.alias(address.key)
    if isinstance(known, Unavailable):
        raise CommandError(f"{alias} can't be looked up now: {known.reason}", os.EX_TEMPFAIL)
    alias_id = known.value.id if isinstance(known, Found) else 0
    for one in found.held:
        if one.row.recipient == address.key or (alias_id and one.row.alias_id == alias_id):
            yield one


def find(found: Holding, queue_id: str) -> Held:
    """Raises CommandError for what isn't held by us."""
    one = found.find(queue_id)
    if one is not None:
        return one
    if queue_id in (*found.foreign, *found.unknown):
        raise CommandError(
            f"{queue_id} is on hold, but Postmask's ledger doesn't know it as held: it is left alone; "
            "see postcat(1) and postsuper(1)",
            os.EX_DATAERR,
        )
    raise CommandError(f"{queue_id} isn't on hold here; see: postmask held list", os.EX_NOUSER)
