"""`postmask contact`: who writes to an alias, and is written to through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from postmask.cli.command import Count, Noun, account_option, choice
from postmask.cli.output import Column
from postmask.cli.runtime import Runtime
from postmask.directory.records import BlockAction, ContactRule

if TYPE_CHECKING:
    from postmask.store.admin.views import ContactView

_COLUMNS = (
    Column("alias", "ALIAS"),
    Column("address", "CONTACT"),
    Column("name", "NAME", 40),
    Column("rule", "RULE"),
    Column("reverse_alias", "WRITE TO"),
)


@click.group(
    cls=Noun,
    examples=(
        "postmask contact add shop@alias.example.com bob@example.org",
        "postmask contact list shop@alias.example.com",
    ),
)
def contact() -> None:
    """Who writes to an alias, and is written to through it.

    Each contact has a reverse alias: mail that the owner sends there reaches the contact, as from the
    alias.
    """


@contact.command("list", examples=("postmask contact list", "postmask contact list shop@alias.example.com"))
@click.argument("alias", required=False)
@click.option("--rule", type=choice(ContactRule), help="Those of which this was said.")
@click.option("--search", metavar="TEXT", help="Those with this text in address or name.")
@click.option("--limit", type=Count(min=1), metavar="N", help="At most so many.")
@click.option("--offset", type=Count(min=0), default=0, metavar="N", help="Leave out the first so many.")
@account_option
@click.pass_obj
def list_(runtime: Runtime, /, **wanted: Any) -> None:
    """List the contacts, of one alias or of all."""
    from postmask.store.admin import contacts

    with runtime.reading() as session:
        found = contacts.listing(session, **wanted)
    runtime.output.table(found, _COLUMNS, empty="no contact found")


@contact.command("show", examples=("postmask contact show shop@alias.example.com bob@example.org",))
@click.argument("alias")
@click.argument("address")
@click.pass_obj
def show(runtime: Runtime, alias: str, address: str) -> None:
    """Show a contact."""
    from postmask.store.admin import contacts

    with runtime.reading() as session:
        found = contacts.get(session, alias, address)
    runtime.output.record(found)


@contact.command(
    "add", examples=("postmask contact add shop@alias.example.com bob@example.org --name 'Bob of the shop'",)
)
@click.argument("alias")
@click.argument("address")
@click.option("--name", metavar="TEXT", help="The contact's name.")
@click.pass_obj
def add(runtime: Runtime, alias: str, address: str, name: str | None) -> None:
    """Add a contact and print its reverse alias, so that the owner can write first."""
    from postmask.store.admin import contacts

    with runtime.changing() as session:
        made = contacts.add(session, runtime.keys, alias, address, name=name, now=runtime.clock.now())
    _show_reverse_alias(runtime, made)


@contact.command("allow", examples=("postmask contact allow shop@alias.example.com bob@example.org",))
@click.argument("alias")
@click.argument("address")
@click.pass_obj
def allow(runtime: Runtime, alias: str, address: str) -> None:
    """Let mail from a contact through, whatever the blocks say."""
    from postmask.store.admin import contacts

    with runtime.changing() as session:
        changed = contacts.allow(session, alias, address)
    runtime.output.record(changed)


@contact.command(
    "block",
    examples=(
        "postmask contact block shop@alias.example.com bob@example.org",
        "postmask contact block shop@alias.example.com bob@example.org --discard",
    ),
)
@click.argument("alias")
@click.argument("address")
@click.option("--discard", is_flag=True, help="Accept and drop its mail, instead of refusing it.")
@click.pass_obj
def block(runtime: Runtime, alias: str, address: str, discard: bool) -> None:
    """Take no more mail from a contact."""
    from postmask.store.admin import contacts

    with runtime.changing() as session:
        changed = contacts.block(
            session, alias, address, action=BlockAction.DISCARD if discard else BlockAction.REJECT
        )
    runtime.output.record(changed)


@contact.command("unblock", examples=("postmask contact unblock shop@alias.example.com bob@example.org",))
@click.argument("alias")
@click.argument("address")
@click.pass_obj
def unblock(runtime: Runtime, alias: str, address: str) -> None:
    """Undo block, and allow."""
    from postmask.store.admin import contacts

    with runtime.changing() as session:
        changed = contacts.unblock(session, alias, address)
    runtime.output.record(changed)


@contact.command("replace", examples=("postmask contact replace shop@alias.example.com bob@example.org",))
@click.argument("alias")
@click.argument("address")
@click.pass_obj
def replace(runtime: Runtime, alias: str, address: str) -> None:
    """Give a contact a new reverse alias, and print it. Those given out before stay good."""
    from postmask.store.admin import contacts

    with runtime.changing() as session:
        changed = contacts.replace(session, runtime.keys, alias, address, now=runtime.clock.now())
    _show_reverse_alias(runtime, changed)


def _show_reverse_alias(runtime: Runtime, found: ContactView) -> None:
    """For people the bare address alone: it is there to be copied."""
    if runtime.output.json:
        return runtime.output.record(found)
    runtime.output.copy(found.reverse_alias)
    return None
