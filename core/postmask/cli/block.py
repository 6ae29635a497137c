"""`postmask block`: senders whose mail isn't taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from postmask.cli.command import Noun
from postmask.cli.output import Column
from postmask.cli.runtime import Runtime
from postmask.directory.records import BlockAction

F = TypeVar("F", bound=Callable[..., Any])

_COLUMNS = (
    Column("pattern", "SENDER"),
    Column("action", "ACTION"),
    Column("scope", "SCOPE"),
    Column("target", "FOR"),
)


def _target_options(function: F) -> F:
    """--alias, --account, --domain: at most one of them; none means everybody."""
    for name, metavar, text in (
        ("--domain", "DOMAIN", "For all aliases of a domain."),
        ("--account", "NAME", "For all aliases of an account."),
        ("--alias", "ADDRESS", "For one alias."),
    ):
        function = click.option(name, metavar=metavar, help=text)(function)
    return function


@click.group(
    cls=Noun,
    examples=("postmask block add @spam.example", "postmask block list"),
)
def block() -> None:
    """Senders whose mail isn't taken: for an alias, an account, a domain, or everybody.

    A contact that is allowed (`postmask contact allow`) gets through all the same.
    """


@block.command(
    "add",
    examples=(
        "postmask block add spam@example.org --alias shop@alias.example.com",
        "postmask block add @spam.example --discard",
    ),
)
@click.argument("sender")
@_target_options
@click.option("--discard", is_flag=True, help="Accept and drop the mail, instead of refusing it (550 5.7.1).")
@click.pass_obj
def add(
    runtime: Runtime,
    sender: str,
    alias: str | None,
    account: str | None,
    domain: str | None,
    discard: bool,
) -> None:
    """Block an envelope sender: an address, or @DOMAIN for a domain and all below it."""
    from postmask.store.admin import rules

    with runtime.changing() as session:
        made = rules.add(
            session,
            sender,
            target=rules.Target(alias=alias, account=account, domain=domain),
            action=BlockAction.DISCARD if discard else BlockAction.REJECT,
            now=runtime.clock.now(),
        )
    runtime.output.record(made)


@block.command("list", examples=("postmask block list", "postmask block list --alias shop@alias.example.com"))
@click.argument("sender", required=False)
@_target_options
@click.pass_obj
def list_(
    runtime: Runtime, sender: str | None, alias: str | None, account: str | None, domain: str | None
) -> None:
    """List the blocks: all, those of one sender, or those of one target."""
    from postmask.store.admin import rules

    target = rules.Target(alias=alias, account=account, domain=domain)
    with runtime.reading() as session:
        found = rules.listing(session, target=None if target == rules.EVERYBODY else target, pattern=sender)
    runtime.output.table(found, _COLUMNS, empty="nobody is blocked")


@block.command(
    "remove",
    examples=(
        "postmask block remove @spam.example",
        "postmask block remove spam@example.org --alias shop@alias.example.com",
    ),
)
@click.argument("sender")
@_target_options
@click.pass_obj
def remove(runtime: Runtime, sender: str, alias: str | None, account: str | None, domain: str | None) -> None:
    """Take a block away, from the same target as it was added to."""
    from postmask.store.admin import rules

    with runtime.changing() as session:
        target = rules.Target(alias=alias, account=account, domain=domain)
        gone = rules.remove(session, sender, target=target)
    if runtime.output.json:
        return runtime.output.record(gone)
    runtime.output.say(f"{gone.pattern} is not blocked any more for {gone.target or 'everybody'}")
    return None
