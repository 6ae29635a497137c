"""`postmask held`: what our hold listener put on hold, to be looked at, released or discarded. Needs root."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from postmask.cli.command import Noun
from postmask.cli.failure import CommandError
from postmask.cli.output import Column, counted
from postmask.cli.runtime import Runtime
from postmask.cli.selection import Selection, chosen_of, dry_run_option, find, selected, selecting

if TYPE_CHECKING:
    from postmask.cli.holding import Desk, NotReleased
    from postmask.holding import Held, Holding

_COLUMNS = (
    Column("queue_id", "QUEUE ID"),
    Column("alias", "ALIAS"),
    Column("recipient", "TO"),
    Column("held_at", "SINCE"),
    Column("until_at", "UNTIL"),
    Column("size", "SIZE"),
    Column("why", "WHY"),
)
_DONE = (Column("queue_id", "QUEUE ID"), Column("recipient", "TO"), Column("what", "WHAT"))
_LESSONS = (
    Column("name", "ENGINE"),
    Column("address", "ADDRESS"),
    Column("learned", "LEARNED"),
    Column("problem", "PROBLEM"),
)
_TEXT_LINES = 20


@click.group(cls=Noun, examples=("postmask held list", "postmask held release 4C68C2F27C1"))
def held() -> None:
    """What Postmask has put on hold in this node's Postfix: finished copies that wait for somebody's word.

    Other held mail of the host is never shown or touched. Needs root.
    """


@held.command("list", examples=("postmask held list", "postmask held list --json"))
@click.pass_obj
def list_(runtime: Runtime) -> None:
    """List what is held: why, for whom, since when, and when it expires."""
    from postmask.cli.holding import opened

    with opened(runtime) as desk:
        found = desk.keeper.look()
        keep = _keep_or_warn(runtime, desk)
        rows = [_record(desk, keep, one) for one in found.held]
    runtime.output.table(rows, _COLUMNS, empty="nothing is held")
    _warn_of_unknown(runtime, found)


@held.command("show", examples=("postmask held show 4C68C2F27C1", "postmask held show 4C68C2F27C1 --raw"))
@click.argument("queue_id", metavar="QUEUE-ID")
@click.option("--raw", is_flag=True, help="The whole message as it is, octet by octet; not for a terminal.")
@click.pass_obj
def show(runtime: Runtime, queue_id: str, raw: bool) -> None:
    """Show a held message: why it is held, its header, and how its text begins."""
    from postmask.cli.holding import opened
    from postmask.message.headers import split

    if raw and runtime.output.json:
        raise click.UsageError("--raw prints the message itself; leave --json out")
    with opened(runtime) as desk:
        one = find(desk.keeper.look(), queue_id)
        content = desk.keeper.content(one)
        record = _record(desk, _keep_or_warn(runtime, desk), one)
    if raw:
        click.echo(content, nl=False)
        return
    headers, body = split(content)
    runtime.output.record(
        {
            **record,
            "sender": one.envelope.sender,
            "header": [_shown(field.raw.replace(b"\r\n", b"")) for field in headers.fields],
            "text": [_shown(line) for line in body.split(b"\r\n", _TEXT_LINES)[:_TEXT_LINES]],
        }
    )


@held.command("release", examples=selecting("release"))
@selected
@click.pass_obj
def release(runtime: Runtime, /, **selected: Any) -> None:
    """Send held messages.

    They aren't judged again, and count as new for Postfix: however long one lay, a temporary failure of the
    next server doesn't return it. What Postfix doesn't take stays on hold, and the exit status is 75.
    """

    from postmask.cli.holding import NotReleased
    from postmask_postfix.hold import Gone

    def act(desk: Desk, chosen: Sequence[Held]) -> Iterator[str | NotReleased]:
        for one in chosen:
            if one.begun:
                runtime.output.warn(f"{one.queue_id}: a release was cut off before; it may arrive twice")
            try:
                released = desk.keeper.release(one)
            except NotReleased as error:
                yield error
            except Gone:
                yield "somebody else has taken it from hold"
            else:
                yield f"released as {released}"

    _act(runtime, Selection(**selected), "would be released", act)


@held.command("discard", examples=selecting("discard"))
@selected
@click.pass_obj
def discard(runtime: Runtime, /, **selected: Any) -> None:
    """Delete held messages. The ledger and the alias's events keep that they were discarded."""

    def act(desk: Desk, chosen: Sequence[Held]) -> Iterable[str]:
        desk.keeper.discard(chosen, "discarded from hold")
        return ["discarded"] * len(chosen)

    _act(runtime, Selection(**selected), "would be discarded", act)


@held.command(
    "report",
    examples=("postmask held report 4C68C2F27C1 --as spam", "postmask held report 4C68C2F27C1 --as ham"),
)
@click.argument("queue_id", metavar="QUEUE-ID")
@click.option("--as", "kind", type=click.Choice(["ham", "spam"]), required=True, help="What it really is.")
@click.pass_obj
@click.pass_context
def report(ctx: click.Context, runtime: Runtime, queue_id: str, kind: str) -> None:
    """Have the spam engines learn from a held message. It stays on hold.

    What one knew already counts as learned. Exit status 69 if one of them didn't take it.
    """
    from postmask.cli.holding import opened
    from postmask.spam.judgement import Kind
    from postmask.spam.opening import installed, teach

    engines = installed(runtime.settings)
    if not engines:
        raise CommandError("no spam engine is configured; see spam.engines", os.EX_CONFIG)
    with opened(runtime) as desk:
        content = desk.keeper.content(find(desk.keeper.look(), queue_id))
    lessons = [teach(one, content, Kind(kind), runtime.clock) for one in engines]
    runtime.output.table(lessons, _LESSONS, empty="")
    if not all(lesson.learned for lesson in lessons):
        ctx.exit(os.EX_UNAVAILABLE)


@held.command("expire", examples=("postmask held expire", "postmask held expire --dry-run"))
@dry_run_option
@click.pass_obj
@click.pass_context
def expire(ctx: click.Context, runtime: Runtime, dry_run: bool) -> None:
    """Discard what has been held for longer than hold.keep, each with a record and a notice.

    Told is the first usable mailbox of the alias, else the domain's postmaster, a few times a day; what
    nobody can be told of now is kept, and the exit status is 75. To be run by a timer, once an hour.
    """
    from postmask.cli.expiry import Expiry
    from postmask.cli.holding import opened

    with opened(runtime, changing=not dry_run) as desk:
        found = desk.keeper.look()
        keep = _keep(runtime, desk)
        due = [one for one in found.held if one.envelope.arrived + keep <= runtime.clock.now()]
        records = {one.queue_id: _record(desk, keep, one) for one in due}
        kept = False
        if dry_run:
            done = [{**records[one.queue_id], "told": "", "what": "would be discarded"} for one in due]
        else:
            desk.keeper.clear(found.leftovers)
            expiry = Expiry(
                keeper=desk.keeper,
                spool=desk.spool,
                directory=desk.directory,
                notices_from=runtime.settings.mail.notices_from,
                clock=runtime.clock,
            )
            expired = list(expiry.run(due))
            kept = any(one.kept for one in expired)
            done = [{**records[one.held.queue_id], "told": one.told, "what": one.what} for one in expired]
    runtime.output.table(done, (*_DONE, Column("told", "TOLD")), empty="nothing has expired")
    _warn_of_unknown(runtime, found)
    if kept:
        ctx.exit(os.EX_TEMPFAIL)


def _act(
    runtime: Runtime,
    selection: Selection,
    would: str,
    act: Callable[[Desk, Sequence[Held]], Iterable[str | NotReleased]],
) -> None:
    """Do it to each, and show what became of it. act: says what, or why not, one by one."""
    from postmask.cli.holding import NotReleased, opened

    done: list[dict[str, object]] = []
    problems = []
    with opened(runtime, changing=not selection.dry_run) as desk:
        found = desk.keeper.look()
        keep = _keep_or_warn(runtime, desk)
        done += [
            {"queue_id": queue_id, "recipient": "", "what": "had ended before; its remains are deleted"}
            for queue_id in selection.queue_ids
            if queue_id in found.leftovers
        ]
        chosen = list(chosen_of(desk, found, selection))
        if not selection.dry_run:
            desk.keeper.clear(found.leftovers)
        said = [would] * len(chosen) if selection.dry_run else act(desk, chosen)
        for one, what in zip(chosen, said, strict=True):
            if isinstance(what, NotReleased):
                problems.append(f"{one.queue_id}: {what}")
                what = f"still held: {what}"
            done.append({**_record(desk, keep, one), "what": what})
    runtime.output.table(done, _DONE, empty="nothing is held for it")
    if problems:
        raise CommandError("not everything was released", os.EX_TEMPFAIL, problems)


def _record(desk: Desk, keep: float | None, one: Held) -> dict[str, object]:
    """keep: seconds, None where nobody can say."""
    from postmask.directory.lookup import Found

    alias = desk.directory.alias_by_id(one.row.alias_id) if one.row.alias_id else None
    return {
        "queue_id": one.queue_id,
        "alias": alias.value.address if isinstance(alias, Found) else one.row.recipient,
        "recipient": ", ".join(one.envelope.recipients),
        "held_at": one.envelope.arrived,
        "until_at": None if keep is None else one.envelope.arrived + keep,
        "size": one.envelope.size,
        "why": one.row.reason,
    }


def _keep(runtime: Runtime, desk: Desk) -> float:
    """Seconds. Raises CommandError where the setting doesn't fit this Postfix."""
    from postmask.holding import keep_seconds

    try:
        return keep_seconds(runtime.settings.hold.keep, desk.queue.lifetime())
    except ValueError as error:
        raise CommandError(str(error), os.EX_CONFIG) from error


def _keep_or_warn(runtime: Runtime, desk: Desk) -> float | None:
    """The same for verbs that do without."""
    try:
        return _keep(runtime, desk)
    except CommandError as error:
        runtime.output.warn(f"nothing expires: {error}")
        return None


def _warn_of_unknown(runtime: Runtime, found: Holding) -> None:
    if found.unknown:
        messages = counted(len(found.unknown), "message", "messages")
        runtime.output.warn(
            f"{messages} on hold may be ours, but the ledger has no record of it; nothing of it expires, or "
            f"is released by this command; see postcat(1): {', '.join(found.unknown)}"
        )


def _shown(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")
