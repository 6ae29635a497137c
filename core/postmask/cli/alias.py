"""`postmask alias`: the addresses that are given out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from postmask.cli import spampolicy
from postmask.cli.alias_import import import_
from postmask.cli.command import Count, Noun, account_option, choice
from postmask.cli.output import Column, fields
from postmask.cli.runtime import Runtime
from postmask.cli.spampolicy import spam_edit_options, spam_options
from postmask.directory.records import WhenDisabled
from postmask.store.vocabulary import AliasRowState

if TYPE_CHECKING:
    from postmask.store.admin.policies import Values
    from postmask.store.admin.views import AliasView

_COLUMNS = (
    Column("address", "ALIAS"),
    Column("state", "STATE"),
    Column("mailboxes", "TO"),
    Column("forwarded", "FORWARDED"),
    Column("replied", "REPLIED"),
    Column("last_at", "LAST USED"),
    Column("note", "NOTE", 60),
)

_to_option = click.option(
    "--to",
    metavar="MAILBOX",
    multiple=True,
    required=True,
    help="A mailbox it delivers to; give several for several.",
)
_note_option = click.option("--note", metavar="TEXT", help="What it is for; only you see it.")
_name_option = click.option("--name", metavar="TEXT", help="The display name that replies from it carry.")
_when_disabled_option = click.option(
    "--when-disabled",
    type=choice(WhenDisabled),
    help="What it answers when disabled: 550 5.2.1, 550 5.1.1, 450, or accept and drop. "
    "[default of a new one: reject]",
)


@click.group(
    cls=Noun,
    examples=(
        "postmask alias add shop@alias.example.com --to me@example.com --note 'the shoe shop'",
        "postmask alias list --search shoe",
    ),
)
def alias() -> None:
    """The addresses that are given out."""


@alias.command(
    "add",
    examples=(
        "postmask alias add shop@alias.example.com --to me@example.com --note 'the shoe shop'",
        "postmask alias add club@alias.example.com --to me@example.com --to you@example.net --name Club",
        "postmask alias add rsvp@alias.example.com --to me@example.com --spam-hold 2.0",
    ),
)
@click.argument("address")
@_to_option
@_note_option
@_name_option
@_when_disabled_option
@spam_options
@account_option
@click.pass_obj
def add(
    runtime: Runtime,
    address: str,
    to: tuple[str, ...],
    note: str | None,
    name: str | None,
    when_disabled: str | None,
    account: str | None,
    spam: Values,
) -> None:
    """Add an alias."""
    from postmask.store.admin import aliases
    from postmask.store.admin.rules import Target

    with runtime.changing() as session:
        made = aliases.add(
            session,
            runtime.keys,
            address,
            to,
            account=account,
            note=note,
            name=name,
            when_disabled=when_disabled or WhenDisabled.REJECT,
            now=runtime.clock.now(),
        )
        rules = spampolicy.changed(runtime, session, Target(alias=address), spam)
    runtime.output.record(made, spam=rules)


@alias.command(
    "random",
    examples=(
        "postmask alias random --to me@example.com",
        "postmask alias random --domain alias.example.com --to me@example.com --note 'a newsletter'",
    ),
)
@click.option("--domain", metavar="DOMAIN", help="The domain; needed only where there are several.")
@_to_option
@_note_option
@_name_option
@_when_disabled_option
@spam_options
@account_option
@click.pass_obj
def random(
    runtime: Runtime,
    domain: str | None,
    to: tuple[str, ...],
    note: str | None,
    name: str | None,
    when_disabled: str | None,
    account: str | None,
    spam: Values,
) -> None:
    """Add an alias with a random name, and print it."""
    from postmask.store.admin import aliases
    from postmask.store.admin.rules import Target

    with runtime.changing() as session:
        made = aliases.random(
            session,
            runtime.keys,
            to,
            domain=domain,
            account=account,
            note=note,
            name=name,
            when_disabled=when_disabled or WhenDisabled.REJECT,
            now=runtime.clock.now(),
        )
        rules = spampolicy.changed(runtime, session, Target(alias=made.address), spam)
    if runtime.output.json:
        return runtime.output.record(made, spam=rules)
    runtime.output.copy(made.address)
    return None


@alias.command(
    "list",
    examples=(
        "postmask alias list",
        "postmask alias list --search shoe --state disabled",
        "postmask alias list --mailbox me@example.com --json",
    ),
)
@click.option("--search", metavar="TEXT", help="Those with this text in address, note or name.")
@click.option("--domain", metavar="DOMAIN", help="Those of a domain.")
@click.option("--mailbox", metavar="ADDRESS", help="Those that deliver to a mailbox.")
@click.option(
    "--state",
    type=choice(AliasRowState, "all"),
    help="Those in a state. [default: all but removed ones]",
)
@click.option("--limit", type=Count(min=1), metavar="N", help="At most so many.")
@click.option("--offset", type=Count(min=0), default=0, metavar="N", help="Leave out the first so many.")
@account_option
@click.pass_obj
def list_(runtime: Runtime, /, **wanted: Any) -> None:
    """List the aliases with what was forwarded and replied, when last, and the note."""
    from postmask.store.admin import aliases

    with runtime.reading() as session:
        found = aliases.listing(session, **wanted)
    if runtime.output.json:
        return runtime.output.table(found, _COLUMNS, empty="")
    runtime.output.table(
        [{**fields(each), "state": _answering(each), **each.counters} for each in found],
        _COLUMNS,
        empty="no alias found",
    )
    return None


def _answering(alias: AliasView) -> str:
    by_account = alias.state == AliasRowState.ACTIVE and alias.account_state != "active"
    return "account disabled" if by_account else alias.state


@alias.command("show", examples=("postmask alias show shop@alias.example.com",))
@click.argument("address")
@click.pass_obj
def show(runtime: Runtime, address: str) -> None:
    """Show an alias, a removed one too, with the rules of the spam check that count for it.

    While its account is disabled an alias answers as if it were, whatever its own state.
    """
    from postmask.store.admin import aliases
    from postmask.store.admin.rules import Target

    with runtime.reading() as session:
        found = aliases.get(session, address)
        spam = spampolicy.shown(runtime, session, Target(alias=address))
    runtime.output.record(found, spam=spam)


@alias.command(
    "edit",
    examples=(
        "postmask alias edit shop@alias.example.com --note 'the shoe shop, closed'",
        "postmask alias edit shop@alias.example.com --to other@example.com",
        "postmask alias edit shop@alias.example.com --spam-hold 2.0 --spam-subject-prefix '[SPAM]'",
        "postmask alias edit shop@alias.example.com --spam-inherit all",
    ),
)
@click.argument("address")
@click.option("--to", metavar="MAILBOX", multiple=True, help="The mailboxes it delivers to from now on.")
@click.option("--note", metavar="TEXT", help="What it is for; '' for none.")
@click.option("--name", metavar="TEXT", help="The display name that replies from it carry; '' for none.")
@_when_disabled_option
@spam_edit_options
@click.pass_obj
def edit(
    runtime: Runtime,
    address: str,
    to: tuple[str, ...],
    note: str | None,
    name: str | None,
    when_disabled: str | None,
    spam: Values,
) -> None:
    """Change an alias. What isn't mentioned stays.

    What is set of the spam check for an alias goes before what is set for its account, that before what
    is set for its domain, and that before the settings.
    """
    from postmask.store.admin import aliases
    from postmask.store.admin.rules import Target

    if not to and not spam and (note, name, when_disabled) == (None, None, None):
        raise click.UsageError("say what to change: --to, --note, --name, --when-disabled or --spam-…")
    with runtime.changing() as session:
        changed = aliases.edit(
            session, address, to=to or None, note=note, name=name, when_disabled=when_disabled
        )
        rules = spampolicy.changed(runtime, session, Target(alias=address), spam)
    runtime.output.record(changed, spam=rules)


@alias.command("enable", examples=("postmask alias enable shop@alias.example.com",))
@click.argument("address")
@click.pass_obj
def enable(runtime: Runtime, address: str) -> None:
    """Undo disable. While its account is disabled an alias answers as disabled all the same."""
    from postmask.store.admin import aliases

    with runtime.changing() as session:
        changed = aliases.enable(session, address)
    runtime.output.record(changed)


@alias.command(
    "disable",
    examples=(
        "postmask alias disable shop@alias.example.com",
        "postmask alias disable shop@alias.example.com --when-disabled discard",
    ),
)
@click.argument("address")
@_when_disabled_option
@click.pass_obj
def disable(runtime: Runtime, address: str, when_disabled: str | None) -> None:
    """Take no mail for an alias from now on, nor replies through it."""
    from postmask.store.admin import aliases

    with runtime.changing() as session:
        changed = aliases.disable(session, address, when_disabled=when_disabled)
    runtime.output.record(changed)


@alias.command(
    "remove",
    examples=(
        "postmask alias remove shop@alias.example.com",
        "postmask alias remove shop@alias.example.com --with-contacts",
    ),
)
@click.argument("address")
@click.option(
    "--with-contacts",
    is_flag=True,
    help="Forget it for good, its contacts with it: their reverse aliases are void. A removed one, too.",
)
@click.pass_obj
def remove(runtime: Runtime, address: str, with_contacts: bool) -> None:
    """Make an alias unknown to the world. `alias restore` brings it back, with its contacts.

    Its address stays taken, so that nobody else gets its mail; with --with-contacts by a keyed hash of it.
    The nodes forget its contacts six days later, so that a restore may undo it, and events go when they are
    due (docs/privacy.md).
    """
    from postmask.store.admin import aliases

    now = runtime.clock.now()
    if with_contacts:
        with runtime.changing() as session:
            gone = aliases.forget(session, runtime.keys, address, now=now)
        return runtime.output.record({"address": gone, "state": "forgotten"})
    with runtime.changing() as session:
        changed = aliases.remove(session, address, now=now)
    runtime.output.record(changed)
    return None


@alias.command(
    "restore",
    examples=(
        "postmask alias restore shop@alias.example.com",
        "postmask alias restore shop@alias.example.com --to me@example.com",
    ),
)
@click.argument("address")
@click.option(
    "--to", metavar="MAILBOX", multiple=True, help="The mailboxes; needed where none of the old ones is left."
)
@click.pass_obj
def restore(runtime: Runtime, address: str, to: tuple[str, ...]) -> None:
    """Bring a removed alias back, with its contacts."""
    from postmask.store.admin import aliases

    with runtime.changing() as session:
        changed = aliases.restore(session, address, to=to or None)
    runtime.output.record(changed)


alias.add_command(import_)
