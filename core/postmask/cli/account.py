"""`postmask account`: owners of mailboxes and aliases."""

from __future__ import annotations

import click

from postmask.cli.command import Noun
from postmask.cli.output import Column
from postmask.cli.runtime import Runtime

_COLUMNS = (Column("name", "NAME", 100), Column("state", "STATE"), Column("created", "CREATED"))


@click.group(cls=Noun, examples=("postmask account add anna", "postmask account list"))
def account() -> None:
    """Owners of mailboxes and aliases.

    With one account, which `postmask db init` has made, nothing ever asks for its name.
    """


@account.command("add", examples=("postmask account add anna",))
@click.argument("name")
@click.pass_obj
def add(runtime: Runtime, name: str) -> None:
    """Add an account."""
    from postmask.store.admin import accounts

    with runtime.changing() as session:
        made = accounts.add(session, name, now=runtime.clock.now())
    runtime.output.record(made)


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
    """Show an account."""
    from postmask.store.admin import accounts

    with runtime.reading() as session:
        found = accounts.get(session, name)
    runtime.output.record(found)


@account.command("edit", examples=("postmask account edit anna --name anna-work",))
@click.argument("name")
@click.option("--name", "new_name", metavar="NEW", required=True, help="The new name.")
@click.pass_obj
def edit(runtime: Runtime, name: str, new_name: str) -> None:
    """Rename an account."""
    from postmask.store.admin import accounts

    with runtime.changing() as session:
        changed = accounts.edit(session, name, new_name=new_name)
    runtime.output.record(changed)


@account.command(
    "disable", examples=("postmask account disable anna", "postmask account disable anna --undo")
)
@click.argument("name")
@click.option("--undo", is_flag=True, help="Enable the account again.")
@click.pass_obj
def disable(runtime: Runtime, name: str, undo: bool) -> None:
    """Make all aliases of an account answer as disabled ones do. Nothing is lost."""
    from postmask.store.admin import accounts

    with runtime.changing() as session:
        if undo:
            changed = accounts.enable(session, name)
        else:
            changed = accounts.disable(session, name, now=runtime.clock.now())
    runtime.output.record(changed)
