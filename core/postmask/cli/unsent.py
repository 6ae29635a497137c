"""The copies that still wait to be sent: what the ledger says, held against Postfix's queue.

A copy is tried again as long as its message lies in the queue. One whose message was deleted there, or was
delivered elsewhere because its domain isn't ours any more, waits no longer; its row stays for reconcile. A
message that was queued anew (postsuper -r) has another id, so any for the same recipient counts as well.

DIAGNOSTICS
    Where the queue can't be asked, every copy counts as waiting.
"""

from __future__ import annotations

from collections.abc import Iterable

from postmask.address import key_of
from postmask.cli import postfix_facts
from postmask.cli.runtime import Runtime
from postmask.maillog.reckoning import Queued
from postmask.spool import LedgerRow, Spool
from postmask_postfix import queue
from postmask_postfix.commands import PostfixError

_UNDER_WAY = 60.0
"""Seconds for which a copy counts after its last try: its message may be newer than the queue's listing."""


def unsent(runtime: Runtime, spool: Spool) -> list[LedgerRow]:
    """The newest first."""
    rows = spool.unsent()
    messages = _queued(runtime) if rows else None
    return rows if messages is None else waiting(rows, messages, runtime.clock.now())


def waiting(rows: Iterable[LedgerRow], messages: Iterable[Queued], now: float) -> list[LedgerRow]:
    """Those that will be tried again. messages: all that are in the queue."""
    listed = list(messages)
    queue_ids = {message.queue_id for message in listed}
    recipients = {key_of(recipient, recipient) for message in listed for recipient in message.recipients}
    return [
        row
        for row in rows
        if row.at > now - _UNDER_WAY or row.queue_id in queue_ids or row.recipient in recipients
    ]


def _queued(runtime: Runtime) -> list[Queued] | None:
    """None: it can't be asked, or it isn't the Postfix that Postmask is attached to."""
    directory = runtime.settings.postfix.config_dir
    try:
        if postfix_facts.attached(directory):
            return list(queue.queued(directory).values())
    except PostfixError:
        pass
    return None
