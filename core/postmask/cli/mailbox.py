"""`postmask mailbox`: the real mailboxes behind the aliases."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from postmask.cli.command import Noun, account_option
from postmask.cli.output import Column, removed
from postmask.cli.runtime import Runtime
from postmask.directory.records import MailboxState

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from postmask.store.admin.mailboxes import Unproven

_COLUMNS = (
    Column("address", "MAILBOX"),
    Column("state", "STATE"),
    Column("account", "ACCOUNT", 40),
    Column("aliases", "ALIASES"),
    Column("pause_reason", "PAUSED BECAUSE", 60),
)


@click.group(
    cls=Noun,
    examples=("postmask mailbox add me@example.com", "postmask mailbox verify me@example.com k7mw2x9p"),
)
def mailbox() -> None:
    """The real mailboxes behind the aliases."""


@mailbox.command(
    "add", examples=("postmask mailbox add me@example.com", "postmask mailbox add me@example.com --verified")
)
@click.argument("address")
@click.option("--verified", is_flag=True, help="Vouch for it: no code is sent, mail goes there at once.")
@click.option(
    "--login", metavar="NAME", help="The SASL login on this server that proves a reply to be its owner's."
)
@click.option(
    "--sender", "senders", metavar="ADDRESS", multiple=True, help="A further address its owner writes from."
)
@click.option(
    "--allow-spf", is_flag=True, help="Take SPF alone as proof of a reply, where nothing better can be had."
)
@account_option
@click.pass_obj
def add(
    runtime: Runtime,
    address: str,
    verified: bool,
    login: str | None,
    senders: tuple[str, ...],
    allow_spf: bool,
    account: str | None,
) -> None:
    """Add a mailbox, and have a code sent there to confirm it.

    Until it is confirmed it gets no other mail.
    """
    from postmask.store.admin import mailboxes

    with runtime.changing() as session:
        made = mailboxes.add(
            session,
            runtime.keys,
            address,
            account=account,
            verified=verified,
            login=login,
            senders=senders,
            allow_spf=allow_spf,
            now=runtime.clock.now(),
        )
        _send_code(runtime, session, made)
    _show(runtime, made)


@mailbox.command("list", examples=("postmask mailbox list",))
@account_option
@click.pass_obj
def list_(runtime: Runtime, account: str | None) -> None:
    """List the mailboxes."""
    from postmask.store.admin import mailboxes

    with runtime.reading() as session:
        found = mailboxes.listing(session, account=account)
    runtime.output.table(
        found, _COLUMNS, empty="there is no mailbox yet; add one: postmask mailbox add ADDRESS"
    )


@mailbox.command("show", examples=("postmask mailbox show me@example.com",))
@click.argument("address")
@account_option
@click.pass_obj
def show(runtime: Runtime, address: str, account: str | None) -> None:
    """Show a mailbox."""
    from postmask.store.admin import mailboxes

    with runtime.reading() as session:
        found = mailboxes.get(session, address, account=account)
    runtime.output.record(found)


@mailbox.command(
    "edit",
    examples=(
        "postmask mailbox edit me@example.com --address me@example.net",
        "postmask mailbox edit me@example.com --login me --sender me@work.example --no-allow-spf",
    ),
)
@click.argument("address")
@click.option(
    "--address", "new_address", metavar="NEW", help="Where its mail goes from now on; to be confirmed anew."
)
@click.option("--verified", is_flag=True, help="Vouch for the address: it needs no code.")
@click.option(
    "--login", metavar="NAME", help="The SASL login that proves a reply to be its owner's; '' for none."
)
@click.option(
    "--sender",
    "senders",
    metavar="ADDRESS",
    multiple=True,
    help="All further addresses its owner writes from.",
)
@click.option("--no-senders", is_flag=True, help="No further addresses.")
@click.option("--allow-spf/--no-allow-spf", default=None, help="Whether SPF alone is proof of a reply.")
@account_option
@click.pass_obj
def edit(
    runtime: Runtime,
    address: str,
    new_address: str | None,
    verified: bool,
    login: str | None,
    senders: tuple[str, ...],
    no_senders: bool,
    allow_spf: bool | None,
    account: str | None,
) -> None:
    """Change a mailbox. A new address takes all its aliases along.

    Until a new address is confirmed its copies are held, or its mail waits; a mailbox that is paused
    stays so until resume. The former address stays in the list, without aliases, so that replies
    which quote it don't show it.
    """
    from postmask.store.admin import mailboxes

    if senders and no_senders:
        raise click.UsageError("--sender and --no-senders contradict each other")
    if not (verified or senders or no_senders) and (new_address, login, allow_spf) == (None, None, None):
        raise click.UsageError("say what to change: --address, --login, --sender, --allow-spf, …")
    with runtime.changing() as session:
        changed = mailboxes.edit(
            session,
            runtime.keys,
            address,
            account=account,
            new_address=new_address,
            verified=verified,
            login=login,
            senders=senders if senders or no_senders else None,
            allow_spf=allow_spf,
            now=runtime.clock.now(),
        )
        _send_code(runtime, session, changed)
    _show(runtime, changed)
    if changed.former:
        forget = f"postmask mailbox remove {shlex.quote(changed.former)}"
        runtime.output.say(
            f"replies that quote {changed.former} don't show it, until it is forgotten: {forget}"
        )


@mailbox.command(
    "verify",
    examples=(
        "postmask mailbox verify me@example.com k7mw2x9p",
        "postmask mailbox verify me@example.com --resend",
    ),
)
@click.argument("address")
@click.argument("code", required=False)
@click.option("--resend", is_flag=True, help="Have a new code sent; older ones are void.")
@account_option
@click.pass_obj
def verify(runtime: Runtime, address: str, code: str | None, resend: bool, account: str | None) -> None:
    """Confirm a mailbox by the code that was sent there."""
    from postmask.store.admin import mailboxes

    if (code is None) != resend:
        raise click.UsageError("give the CODE that was sent, or --resend to have a new one sent")
    now = runtime.clock.now()
    with runtime.changing() as session:
        if code is None:
            renewed = mailboxes.new_code(session, runtime.keys, address, account=account, now=now)
            _send_code(runtime, session, renewed)
        else:
            found = mailboxes.verify(session, runtime.keys, address, code, account=account, now=now)
            renewed = mailboxes.Unproven(found, None)
    _show(runtime, renewed)
    if renewed.mailbox.state == MailboxState.ACTIVE:
        _say_what_is_held(runtime, address)


@mailbox.command("pause", examples=("postmask mailbox pause me@example.com --reason 'moving house'",))
@click.argument("address")
@click.option("--reason", default="by hand", show_default=True, help="Why, for those who will ask.")
@account_option
@click.pass_obj
def pause(runtime: Runtime, address: str, reason: str, account: str | None) -> None:
    """Send nothing to a mailbox for now: its mail waits, or its copies are held."""
    from postmask.store.admin import mailboxes

    with runtime.changing() as session:
        changed = mailboxes.pause(session, address, account=account, reason=reason, now=runtime.clock.now())
    runtime.output.record(changed)


@mailbox.command("resume", examples=("postmask mailbox resume me@example.com",))
@click.argument("address")
@account_option
@click.pass_obj
def resume(runtime: Runtime, address: str, account: str | None) -> None:
    """Undo pause: mail goes there again."""
    from postmask.store.admin import mailboxes

    with runtime.changing() as session:
        changed = mailboxes.resume(session, address, account=account)
    runtime.output.record(changed)
    _say_what_is_held(runtime, address)


@mailbox.command(
    "remove",
    examples=(
        "postmask mailbox remove me@example.com",
        "postmask mailbox remove me@example.com --with-aliases",
    ),
)
@click.argument("address")
@click.option("--with-aliases", is_flag=True, help="Remove the aliases that deliver to it alone as well.")
@account_option
@click.pass_obj
def remove(runtime: Runtime, address: str, with_aliases: bool, account: str | None) -> None:
    """Forget a mailbox. Refused while aliases deliver to it.

    With --with-aliases those that deliver to it alone are removed (`alias restore` brings one back),
    others go on without it. What Postfix has in its queue for the mailbox is still delivered.
    Replies that quote its address show it from then on.
    """
    from postmask.store.admin import mailboxes

    with runtime.changing() as session:
        gone = mailboxes.remove(
            session, address, account=account, with_aliases=with_aliases, now=runtime.clock.now()
        )
    if runtime.output.json:
        return runtime.output.record({"address": address, "removed_aliases": gone})
    runtime.output.say(removed(address, aliases=gone))
    return None


def _send_code(runtime: Runtime, session: Session, unproven: Unproven) -> None:
    """Before the transaction ends: a code that can't be sent undoes the change."""
    from postmask.cli import confirmation

    if unproven.code is not None:
        confirmation.queue(runtime, session, unproven.mailbox.written, unproven.code)


def _show(runtime: Runtime, unproven: Unproven) -> None:
    runtime.output.record(unproven.mailbox)
    if unproven.code is not None:
        address = unproven.mailbox.written
        verify = f"postmask mailbox verify {shlex.quote(address)} CODE"
        runtime.output.say(f"a code is on its way to {address}; confirm it: {verify}")
    if unproven.mailbox.paused_at is not None:
        resume = f"postmask mailbox resume {shlex.quote(unproven.mailbox.written)}"
        runtime.output.say(f"it is paused; have mail go there again: {resume}")


def _say_what_is_held(runtime: Runtime, address: str) -> None:
    """A mailbox that gets mail again: what came for it meanwhile isn't sent by itself."""
    runtime.output.say("Copies that were held for it meanwhile are sent by root, on each node:")
    runtime.output.copy(shlex.join(["postmask", "held", "release", "--mailbox", address]))
