"""`postmask account`: owners of mailboxes and aliases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from postmask.cli import purging, spampolicy
from postmask.cli.command import Noun
from postmask.cli.output import Column, removed
from postmask.cli.runtime import Runtime
from postmask.cli.spampolicy import spam_edit_options, spam_options

if TYPE_CHECKING:
    from postmask.store.admin.policies import Values

_COLUMNS = (Column("name", "NAME", 100), Column("state", "STATE"), Column("created", "CREATED"))


@click.group(cls=Noun, examples=("postmask account add anna", "postmask account list"))
def account() -> None:
    """Owners of mailboxes and aliases.

    With one account, which `postmask db init` has made, nothing ever asks for its name.
    """


@account.command(
    "add", examples=("postmask account add anna", "postmask account add anna --spam-subject-prefix '[SPAM]'")
)
@click.argument("name")
@spam_options
@click.pass_obj
def add(runtime: Runtime, name: str, spam: Values) -> None:
    """Add an account."""
    from postmask.store.admin import accounts
    from postmask.store.admin.rules import Target

    with runtime.changing() as session:
        made = accounts.add(session, name, now=runtime.clock.now())
        rules = spampolicy.changed(runtime, session, Target(account=made.name), spam)
    runtime.output.record(made, spam=rules)


@account.command("list", examples=("postmask account list",))
@click.pass_obj
def list_(runtime: Runtime) -> None:
    """List the accounts."""
    from postmask.store.admin import accounts

    with runtime.reading() as session:
        found = accounts.listing(session)
    runtime.output.table(
        found, _COLUMNS, empty="there is no account yet; make one: postmask account add NAME"
    )


@account.command("show", examples=("postmask account show anna",))
@click.argument("name")
@click.pass_obj
def show(runtime: Runtime, name: str) -> None:
    """Show an account, with the rules of the spam check that count for it."""
    from postmask.store.admin import accounts
    from postmask.store.admin.rules import Target

    with runtime.reading() as session:
        found = accounts.get(session, name)
        spam = spampolicy.shown(runtime, session, Target(account=name))
    runtime.output.record(found, spam=spam)


@account.command(
    "edit",
    examples=("postmask account edit anna --name anna-work", "postmask account edit anna --spam-hold 3.0"),
)
@click.argument("name")
@click.option("--name", "new_name", metavar="NEW", help="The new name.")
@spam_edit_options
@click.pass_obj
def edit(runtime: Runtime, name: str, new_name: str | None, spam: Values) -> None:
    """Rename an account, or set rules of the spam check for all of its aliases."""
    from postmask.store.admin import accounts
    from postmask.store.admin.rules import Target

    if new_name is None and not spam:
        raise click.UsageError("say what to change: --name or --spam-…")
    with runtime.changing() as session:
        changed = accounts.edit(session, name, new_name=name if new_name is None else new_name)
        rules = spampolicy.changed(runtime, session, Target(account=changed.name), spam)
    runtime.output.record(changed, spam=rules)


@account.command(
    "disable", examples=("postmask account disable anna", "postmask account disable anna --undo")
)
@click.argument("name")
@click.option("--undo", is_flag=True, help="Enable the account again.")
@click.pass_obj
def disable(runtime: Runtime, name: str, undo: bool) -> None:
    """Make all aliases of an account answer as disabled ones do, which nobody writes through either.

    Nothing is lost.
    """
    from postmask.store.admin import accounts

    with runtime.changing() as session:
        if undo:
            changed = accounts.enable(session, name)
        else:
            changed = accounts.disable(session, name, now=runtime.clock.now())
    runtime.output.record(changed)


@account.command(
    "remove", examples=("postmask account remove anna", "postmask account remove anna --with-all")
)
@click.argument("name")
@click.option(
    "--with-all", is_flag=True, help="Remove its mailboxes and aliases with it, contacts and all, for good."
)
@click.pass_obj
def remove(runtime: Runtime, name: str, with_all: bool) -> None:
    """Forget an account. Refused while it has mailboxes or aliases, or looks after a domain.

    Of its aliases keyed hashes stay, so that nobody else gets their mail. What lies in a queue, or on hold
    (`held list`), isn't touched. More than 5,000 aliases are removed piece by piece: interrupted, it is to
    be given again.
    """
    from postmask.store.admin import accounts

    gone = list(purging.pieces(runtime, accounts.purge_piece, name)) if with_all else []
    with runtime.changing() as session:
        boxes, aliases = accounts.remove(
            session, runtime.keys, name, with_all=with_all, now=runtime.clock.now()
        )
    gone += aliases
    if runtime.output.json:
        return runtime.output.record({"name": name, "removed_mailboxes": boxes, "removed_aliases": gone})
    runtime.output.say(removed(name, mailboxes=boxes, aliases=gone))
    return None
