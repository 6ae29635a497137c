"""What goes into the spool's tables, each within a transaction that the caller has begun.

DIAGNOSTICS
    sqlite3.Error: the file can't be written. ReplayUsedError: from claim().
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

from postmask.spool.entries import (
    Entry,
    LedgerRow,
    LocalContact,
    News,
    Notice,
    ReplayMark,
    ReplayUsedError,
)

RECORD = (
    "INSERT INTO ledger (key, outcome, recipient, queue_id, alias_id, mailbox_id, new_queue_id, reason, at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET outcome = excluded.outcome,"
    " new_queue_id = excluded.new_queue_id, reason = excluded.reason, at = excluded.at"
)
_TOLD_AGAIN = 3_600.0
"""Seconds; after a restore of an older copy, or when its alias was purged and made again, the truth has
forgotten a contact that it was told of."""


def recorded(row: LedgerRow, now: float) -> tuple[object, ...]:
    """The values of RECORD."""
    return (
        row.key, row.outcome.value, row.recipient, row.queue_id, row.alias_id, row.mailbox_id,
        row.new_queue_id, row.reason, now,
    )  # fmt: skip


def claim(connection: sqlite3.Connection, mark: ReplayMark, now: float) -> None:
    """Take a proof for one message, or raise ReplayUsedError if another has it."""
    found = connection.execute("SELECT ledger_key FROM replay WHERE mark = ?", (mark.mark,)).fetchone()
    if found is not None:
        if found[0] != mark.ledger_key:
            raise ReplayUsedError(mark.mark)
        return
    connection.execute("INSERT INTO replay VALUES (?, ?, ?)", (mark.mark, mark.ledger_key, now))
    entry = Entry.new(
        "replay", mark=mark.mark, reverse_token=mark.reverse_token, ledger_key=mark.ledger_key.hex(), at=now
    )
    put(connection, [entry], now)


def keep_contact(connection: sqlite3.Connection, contact: LocalContact, now: float) -> None:
    """Keep a new contact here, and tell the truth of it: once, unless it is still unknown there later."""
    told = connection.execute(
        "INSERT INTO contact VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (token) DO UPDATE SET at = excluded.at"
        " WHERE at NOT BETWEEN excluded.at - ? AND excluded.at",
        (contact.token, contact.alias_id, contact.address, contact.name, contact.written, now, _TOLD_AGAIN),
    )
    if told.rowcount:
        put(connection, [contact.entry(now)], now)


def put(connection: sqlite3.Connection, news: Iterable[News], now: float) -> None:
    """Entries for the outbox, and notices, due at once."""
    for one in news:
        if isinstance(one, Notice):
            connection.execute(
                "INSERT INTO notice (sender, recipient, kind, subject, text, at, next_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (one.sender, one.recipient, one.kind, one.subject, one.text, now, now),
            )
        else:
            connection.execute(
                # Again with the same id: a write that was given up may have come through after all.
                "INSERT INTO outbox (id, kind, payload) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING",
                (one.id, one.kind, json.dumps(one.payload)),
            )
