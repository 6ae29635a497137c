"""`postmask node`: the nodes on one database, and taking one out of service."""

from __future__ import annotations

import dataclasses
import os
import pwd
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from postmask.cli.command import Noun
from postmask.cli.output import Column, fields, moment
from postmask.cli.runtime import Runtime
from postmask.cli.since import duration_of

if TYPE_CHECKING:
    from postmask.cli.draining import Standing
    from postmask.drain import Drain, DrainSwitch

_COLUMNS = (
    Column("name", "NODE"),
    Column("here", "HERE"),
    Column("last_seen", "LAST SEEN"),
    Column("version", "VERSION"),
    Column("schema", "SCHEMA"),
    Column("replica_at", "REPLICA AS OF"),
    Column("drained_at", "DRAINED SINCE"),
    Column("drained_by", "BY"),
    Column("waiting", "WAITING"),
    Column("held", "HELD"),
    Column("order", "ORDER"),
)
_ELSE = (
    "its MX and address records in the DNS of each domain",
    'its role in Postgres, if it had one of its own: DROP OWNED BY "ROLE"; DROP ROLE "ROLE"',
    "its copy of the master secrets and of the directory; if it may be in strange hands: a new password for "
    "the nodes' role, and postmask keys rotate, then --sign",
    "what is in its queue and in its spool.db is there and nowhere else",
)


@click.group(cls=Noun, examples=("postmask node list", "postmask node drain --wait --timeout 10m"))
def node() -> None:
    """The nodes on one database: which there are, and taking one out of service for a while, or for good.

    While a node is drained its Postfix answers RCPT for our domains with 450 4.3.2, so that senders go on to
    the next MX. The host's other mail isn't touched, nor what is in the queue: that is delivered.
    """


@node.command("list", examples=("postmask node list", "postmask node list --json"))
@click.pass_obj
@click.pass_context
def list_(ctx: click.Context, runtime: Runtime) -> None:
    """List the nodes: their versions, how old their replicas are, and which are drained, since when.

    Whether this node is drained its own switch says; of the others stands here what they have told the
    database. If that can't be asked, this node is shown alone, and the exit status is 69.
    """
    from postmask.store.admin import nodes
    from postmask.store.admin.views import NodeView
    from postmask.store.errors import StoreUnavailable

    views, asked = [], True
    try:
        with runtime.reading() as session:
            views = nodes.listing(session)
    except StoreUnavailable as error:
        runtime.output.warn(f"{error}; so only of this node it is known whether it is drained")
        asked = False
    rows = {view.name: {**fields(view), "order": _order(view.ordered, view.order_drain)} for view in views}
    name = runtime.settings.node.name
    unheard_of = dict.fromkeys([*(each.name for each in dataclasses.fields(NodeView)), "order"])
    rows[name] = {**rows.get(name, unheard_of), "name": name, **_own(_switch(runtime).state())}
    listed = [{**row, "here": row["name"] == name} for _, row in sorted(rows.items())]
    runtime.output.table(listed, _COLUMNS, empty="")
    if not asked:
        ctx.exit(os.EX_UNAVAILABLE)


@node.command(
    "drain",
    examples=(
        "postmask node drain",
        "postmask node drain --wait --timeout 10m",
        "postmask node drain mx2.example.com --wait",
    ),
)
@click.argument("name", required=False)
@click.option("--wait", is_flag=True, help="Return when the queue holds no more of ours.")
@click.option(
    "--timeout",
    callback=duration_of,
    metavar="TIME",
    help="Wait no longer: 90s, 30m or 12h. Then the exit status is 75; the node stays drained.",
)
@click.pass_obj
def drain(runtime: Runtime, name: str | None, wait: bool, timeout: float | None) -> None:
    """Have this node, or another, take no more mail for our domains, and tell how much of ours is left.

    This node does so at once, with the database gone too, until it is resumed, through any restart. Another
    is told through the database, and does so when its agent sees that, within seconds. What is on hold isn't
    waited for.
    """
    from postmask.cli import draining

    if timeout is not None and not wait:
        raise click.UsageError("--timeout is how long to --wait")
    look = _turn(runtime, name, drained=True)
    found = draining.await_empty(runtime, look, timeout) if wait else _look_once(runtime, look)
    if runtime.output.json:
        return runtime.output.record(found)
    runtime.output.say(draining.in_words(found))
    return None


@node.command("resume", examples=("postmask node resume", "postmask node resume mx2.example.com"))
@click.argument("name", required=False)
@click.pass_obj
def resume(runtime: Runtime, name: str | None) -> None:
    """Have this node, or another, take mail for our domains again."""
    look = _turn(runtime, name, drained=False)
    if runtime.output.json:
        runtime.output.record(_look_once(runtime, look))


@node.command("remove", examples=("postmask node remove mx2.example.com",))
@click.argument("name")
@click.option("--force", is_flag=True, help="Also one that was heard of within the last 10 minutes.")
@click.pass_obj
def remove(runtime: Runtime, name: str, force: bool) -> None:
    """Forget a node that is gone for good, and say what else is to be done.

    What it did stays in events and counters. A node that is alive is back within a minute.
    """
    from postmask.store.admin import nodes

    with runtime.changing(in_turn=False) as session:
        now = nodes.clock(session, runtime.clock.now())
        gone = nodes.remove(session, name.lower(), now, force=force)
    if runtime.output.json:
        return runtime.output.record(gone)
    runtime.output.say(f"{gone.name} is forgotten. What is left to do, where it applies:")
    for what in _ELSE:
        runtime.output.say(f"    {what}")
    return None


def _switch(runtime: Runtime) -> DrainSwitch:
    from postmask.drain import DrainSwitch

    return DrainSwitch(runtime.settings.spool.folder)


def _own(state: Drain) -> dict[str, Any]:
    if not state.drained:
        return {"drained_at": None, "drained_by": None}
    return {"drained_at": state.at, "drained_by": state.by}


def _order(pending: bool, drain_wanted: bool | None) -> str | None:
    """An order that wasn't carried out yet, in words."""
    if not pending:
        return None
    return "to be drained" if drain_wanted else "to take mail again"


def _turn(runtime: Runtime, name: str | None, *, drained: bool) -> Callable[[], Standing]:
    """Drain or resume this node, or tell another to; how to look what has come of it. Raises StoreError."""
    from postmask.cli import draining

    here = runtime.settings.node.name
    if name is not None and name.lower() != here:
        return partial(draining.standing_of, runtime, _order_to(runtime, name.lower(), drain=drained))
    state = _switch(runtime).turn(runtime.clock.now(), _caller(runtime), drained=drained)
    if drained:
        runtime.output.say(f"{here} is drained since {moment(state.at)} by {state.by}")
    else:
        runtime.output.say(f"{here} takes mail for our domains")
    return partial(draining.standing_here, runtime)


def _order_to(runtime: Runtime, name: str, *, drain: bool) -> str:
    """Give an order to another node; its name. Raises StoreError."""
    from postmask.store.admin import nodes

    with runtime.changing(in_turn=False) as session:
        now = nodes.clock(session, runtime.clock.now())
        view = nodes.order(session, name, now, _caller(runtime), drain=drain)
    runtime.output.say(f"{name} is told {_order(True, drain)}, and hears of it within seconds")
    if now - view.last_seen > nodes.ALIVE:
        runtime.output.warn(
            f"{name} was last heard of at {moment(view.last_seen)}: it hears of it when its postmask-agent "
            "reaches the database again; until then say it there"
        )
    return name


def _look_once(runtime: Runtime, look: Callable[[], Standing]) -> Standing:
    """How it stands. Where this node's queue can't be asked, without that."""
    from postmask.cli.draining import without_queue
    from postmask_postfix.commands import PostfixError

    try:
        return look()
    except PostfixError as error:
        runtime.output.warn(f"how much of ours is in the queue can't be told: {error}")
        return without_queue(runtime)


def _caller(runtime: Runtime) -> str:
    """Who says so, for those who find it later."""
    from postmask.display import printable

    try:
        user = os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    return f"{printable(user, 64)}@{runtime.settings.node.name}"
