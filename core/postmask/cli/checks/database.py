"""The database: its schema, its clock, its paused mailboxes, and the nodes that it has heard of."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote
from typing import TYPE_CHECKING

from postmask.cli.checks.check import CLOCK_SLACK, Check
from postmask.cli.output import counted, moment
from postmask.cli.runtime import Runtime
from postmask.doctor import node as codes

if TYPE_CHECKING:
    from postmask.store.schema import NodeStatus, Status

_NO_WRITES = "takes no writes: is it a standby, or is default_transaction_read_only set?"


def database(runtime: Runtime) -> Iterator[Check]:
    """All of it, as far as the schema is this program's."""
    from postmask.store import schema

    found = schema.status(runtime.settings.database.owner_url)
    if found.state is not schema.SchemaState.CURRENT:
        what = f"{found.database}, the schema is {found.state}; see: postmask db status"
        yield Check("database", False, what, codes.SCHEMA)
        return
    yield from _content(runtime, found)
    yield from _as_nodes(runtime)
    now = runtime.clock.now() if found.clock is None else found.clock
    ahead = runtime.clock.now() - now
    if abs(ahead) > CLOCK_SLACK:
        which = "ahead of" if ahead > 0 else "behind"
        what = f"this machine's clock is {abs(ahead):.0f} s {which} the database's; set it right"
        yield Check("clock", False, what, codes.CLOCK)
    for node in found.nodes:
        yield heard_of(node, now)


def _content(runtime: Runtime, found: Status) -> Iterator[Check]:
    from postmask.store.admin import domains, mailboxes

    with runtime.reading() as session:
        names = domains.names(session)
        count, paused = mailboxes.number(session), mailboxes.paused(session)
    all_domains = counted(len(names), "domain", "domains")
    all_boxes = counted(count, "mailbox", "mailboxes")
    what = found.trouble or f"{found.database}, {all_domains}, {all_boxes}"
    yield Check("database", not found.trouble, what, codes.NOT_IN_USE)
    if found.read_only:
        yield Check("database", False, f"{found.database} {_NO_WRITES}", codes.READ_ONLY)
    for box in paused:
        why = box.pause_reason or "no reason given"
        what = f"{box.address} is paused: {why}; undo that: postmask mailbox resume {quote(box.address)}"
        yield Check("mailbox", False, what, codes.MAILBOX_PAUSED, box.address)


def _as_nodes(runtime: Runtime) -> Iterator[Check]:
    """The same database as the programs see it, where they have a URL of their own."""
    from postmask.store import schema
    from postmask.store.errors import StoreError

    url = runtime.settings.database.url
    if url == runtime.settings.database.owner_url:
        return
    try:
        if schema.read_only_to_nodes(url):
            yield Check(
                "database", False, f"by database.url it {_NO_WRITES}", codes.READ_ONLY, "database.url"
            )
    except StoreError as error:
        yield Check("database", False, f"by database.url: {error}", codes.DATABASE, "database.url")


def heard_of(node: NodeStatus, now: float) -> Check:
    """now: by the database's clock, where that has one of its own."""
    from postmask.store.admin.nodes import ALIVE

    advice = ""
    if now - node.last_seen > ALIVE:
        advice = (
            "; is its postmask-agent running, and its clock right? "
            f"If it is gone for good: postmask node remove {quote(node.name)}"
        )
    elif node.last_seen - now > CLOCK_SLACK:
        advice = ", which is in the future: its clock is wrong, or was"
    what = f"{node.name} was last heard of at {moment(node.last_seen)}{advice}"
    return Check("node", not advice, what, codes.NODE_SILENT, node.name)
