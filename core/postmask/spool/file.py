"""The spool file, and what may be done with it.

Order on a message's way: begin() commits the pending rows, the new contacts and the replay mark with
a full sync *before* anything is sent; finish() records the outcome together with its events after
Postfix said 250. A crash in between leaves a pending row: the copy may be sent twice, never lost.

DIAGNOSTICS
    SpoolError: it can't be read or written; the caller defers. ReplayUsedError: from begin(), nothing
    was written.
"""

# ruff: noqa: S608 - what is put into the statements are names of our own tables and columns

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from postmask.auth.proof import MARKS_KEPT
from postmask.clock import DAY, Clock, Deadline
from postmask.spool.changes import RECORD, claim, keep_contact, put, recorded
from postmask.spool.entries import (
    NOTICE_WAIT,
    Entry,
    LedgerRow,
    LocalContact,
    News,
    Notice,
    Outcome,
    ReplayMark,
    SpoolError,
)
from postmask.spool.readers import Readers
from postmask.spool.tables import opened
from postmask.spool.writer import Change, Writer

_LEDGER = (
    "SELECT key, recipient, queue_id, outcome, alias_id, mailbox_id, new_queue_id, reason, at FROM ledger"
)
_CONTACT = "SELECT token, alias_id, address, name, written FROM contact"
_HELD_KEPT = 30 * DAY
"""As long as it may be on hold; without its row nobody would know what it is."""
_PIECE = 500
"""Rows of a table that are forgotten at once."""
_LEAST = 1.0
"""Seconds that a write gets also past its deadline: a disk that works needs some milliseconds."""


class Spool:
    """The node's file, open. Shared by threads; several processes may have it open.

    path: of the SQLite file, made when missing. timeout: seconds that a write may take; a deadline may
    give it less.
    """

    def __init__(self, path: Path, clock: Clock, timeout: float = 10.0) -> None:
        self._clock = clock
        self._timeout = timeout
        connect = partial(opened, path)
        try:
            connect().close()
        except (sqlite3.Error, OSError) as error:
            hint = (
                "; is the path right, may this user read and write it?"
                if "unable to open" in str(error)
                else ""
            )
            raise SpoolError(f"can't open the spool {path}: {error}{hint}") from error
        self._readers = Readers(connect)
        try:
            self._writer = Writer(connect, on_failure=self._readers.drop)
        except OSError as error:
            raise SpoolError(f"can't open the spool {path}: {error.strerror}") from error

    def close(self) -> None:
        """Finish all writes and close."""
        self._writer.close()
        self._readers.drop()

    # ---- the ledger -----------------------------------------------------------------------------

    def row(self, key: bytes) -> LedgerRow | None:
        """The ledger's row for a copy, None if there is none."""
        return next(iter(self._rows("WHERE key = ?", key)), None)

    def rows_of(self, recipient: str, since: float) -> list[LedgerRow]:
        """The rows of a recipient that were written since then."""
        return self._rows("WHERE at >= ? AND recipient = ?", since, recipient)

    def begin(
        self,
        rows: Sequence[LedgerRow],
        contacts: Iterable[LocalContact] = (),
        marks: Iterable[ReplayMark] = (),
        deadline: Deadline | None = None,
    ) -> None:
        """Commit, with a full sync, what must be known before the copies are sent.

        Raises ReplayUsedError if a mark belongs to another message: then nothing is written.
        """
        now = self._clock.now()

        def change(connection: sqlite3.Connection) -> None:
            for mark in marks:
                claim(connection, mark, now)
            for contact in contacts:
                keep_contact(connection, contact, now)
            connection.executemany(
                "INSERT INTO ledger (key, outcome, recipient, queue_id, alias_id, mailbox_id, reason, at)"
                " VALUES (?, 'pending', ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET"
                # From here on what was known of the last attempt isn't true any more.
                " reason = excluded.reason WHERE outcome = 'pending'",
                [(r.key, r.recipient, r.queue_id, r.alias_id, r.mailbox_id, r.reason, now) for r in rows],
            )

        self._write(change, deadline)

    def finish(
        self, rows: Sequence[LedgerRow], news: Iterable[News] = (), deadline: Deadline | None = None
    ) -> None:
        """Record outcomes, each with the new queue id and the reason, and what others are to learn."""
        now = self._clock.now()
        listed = list(news)

        def change(connection: sqlite3.Connection) -> None:
            connection.executemany(RECORD, [recorded(row, now) for row in rows])
            put(connection, listed, now)

        self._write(change, deadline)

    def conclude(self, row: LedgerRow, news: Iterable[News] = (), deadline: Deadline | None = None) -> None:
        """As finish(), unless an outcome is known already: then nothing changes, and nobody is told again."""
        now = self._clock.now()
        listed = list(news)

        def change(connection: sqlite3.Connection) -> None:
            if connection.execute(f"{RECORD} WHERE outcome = 'pending'", recorded(row, now)).rowcount:
                put(connection, listed, now)

        self._write(change, deadline)

    def forget_begun(self, queue_id: str, recipient: str, reason: str) -> None:
        """Drop the pending rows of a message's recipient whose reason begins so."""
        self._execute(
            "DELETE FROM ledger WHERE queue_id = ? AND recipient = ? AND outcome = 'pending'"
            " AND substr(reason, 1, ?) = ?",
            [(queue_id, recipient, len(reason), reason)],
        )

    # ---- contacts -------------------------------------------------------------------------------

    def contact_by_token(self, token: str) -> LocalContact | None:
        """The contact that this node gave a reverse alias to."""
        return next(iter(self._contacts("WHERE token = ?", token)), None)

    def contact(self, alias_id: int, address: str) -> LocalContact | None:
        """The contact of an alias, if it was first met on this node."""
        found = self._contacts(
            "WHERE alias_id = ? AND address = ? ORDER BY at DESC LIMIT 1", alias_id, address
        )
        return next(iter(found), None)

    def contacts(self, after: str, limit: int) -> list[LocalContact]:
        """Those first met on this node, in the order of their tokens, behind this one."""
        return self._contacts("WHERE token > ? ORDER BY token LIMIT ?", after, limit)

    def _contacts(self, condition: str, *values: object) -> list[LocalContact]:
        return [LocalContact(*row) for row in self._readers.fetch(f"{_CONTACT} {condition}", values)]

    def contact_aliases(self, after: int, limit: int) -> list[int]:
        """The ids of the aliases whose contacts were met on this node, in their order, above this one."""
        statement = "SELECT DISTINCT alias_id FROM contact WHERE alias_id > ? ORDER BY alias_id LIMIT ?"
        return [alias_id for (alias_id,) in self._readers.fetch(statement, (after, limit))]

    def forget_contacts(self, alias_id: int) -> bool:
        """Forget some of the alias's contacts; whether there may be more."""
        return self._purge("contact", "token", "alias_id = ?", alias_id)

    def told_truth(self) -> str | None:
        """Which truth was last told of all contacts."""
        rows = self._readers.fetch("SELECT truth FROM told_truth", ())
        return str(rows[0][0]) if rows else None

    def set_told_truth(self, truth: str) -> None:
        """This truth knows of all contacts, or will by the outbox."""

        def change(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM told_truth")
            connection.execute("INSERT INTO told_truth VALUES (?)", (truth,))

        self._write(change)

    # ---- replay marks ---------------------------------------------------------------------------

    def replay_mark(self, mark: str) -> bytes | None:
        """The ledger key of the message for which this node used a proof."""
        rows = self._readers.fetch("SELECT ledger_key FROM replay WHERE mark = ?", (mark,))
        return bytes(rows[0][0]) if rows else None

    # ---- the outbox -----------------------------------------------------------------------------

    def put(self, news: Iterable[News]) -> None:
        """Entries for the truth go to the outbox, notices to the forwarder, which sends them."""
        now = self._clock.now()
        listed = list(news)
        self._write(lambda connection: put(connection, listed, now))

    def outbox(self, limit: int) -> list[tuple[int, Entry]]:
        """The oldest entries that are not set aside, with their sequence numbers."""
        rows = self._readers.fetch(
            "SELECT seq, id, kind, payload FROM outbox WHERE error IS NULL ORDER BY seq LIMIT ?", (limit,)
        )
        return [(seq, Entry(ident, kind, json.loads(payload))) for seq, ident, kind, payload in rows]

    def sent(self, sequence: Iterable[int]) -> None:
        """Forget entries that the truth has."""
        self._execute("DELETE FROM outbox WHERE seq = ?", [(number,) for number in sequence])

    def set_aside(self, number: int, error: str) -> None:
        """Keep an entry that the truth refuses out of the others' way, with the reason."""
        self._execute("UPDATE outbox SET error = ? WHERE seq = ?", [(error, number)])

    def outbox_state(self) -> tuple[int, int]:
        """How many entries wait, and how many are set aside."""
        rows = self._readers.fetch(
            "SELECT count(*) FILTER (WHERE error IS NULL), count(error) FROM outbox", ()
        )
        waiting, aside = rows[0]
        return waiting, aside

    def outbox_since(self) -> float | None:
        """The time that is told by the oldest entry that waits; None: there is none, or it tells none."""
        rows = self._readers.fetch(
            "SELECT CAST(json_extract(payload, '$.at') AS REAL) FROM outbox WHERE error IS NULL"
            " ORDER BY seq LIMIT 1",
            (),
        )
        return rows[0][0] if rows else None

    # ---- notices --------------------------------------------------------------------------------

    def due_notices(self, limit: int) -> list[Notice]:
        """Notices that are to be tried now, oldest first.

        One that is due later than any wait lasts was put there when the clock was ahead.
        """
        now = self._clock.now()
        rows = self._readers.fetch(
            "SELECT sender, recipient, kind, subject, text, id, tries FROM notice"
            " WHERE sent_at IS NULL AND (next_at <= ? OR next_at > ?) ORDER BY id LIMIT ?",
            (now, now + NOTICE_WAIT + 1.0, limit),
        )
        return [Notice(*row) for row in rows]

    def notices_since(self, recipient: str, kind: str, since: float) -> int:
        """How many notices of a kind a recipient was written since then: the limit's measure."""
        rows = self._readers.fetch(
            "SELECT count(*) FROM notice WHERE recipient = ? AND kind = ? AND at >= ?",
            (recipient, kind, since),
        )
        return int(rows[0][0])

    def notice_sent(self, ident: int) -> None:
        """It is in Postfix's queue. The text, which may hold a code, is forgotten."""
        self._execute("UPDATE notice SET sent_at = ?, text = '' WHERE id = ?", [(self._clock.now(), ident)])

    def notice_failed(self, ident: int, retry_after: float) -> None:
        """Try again after that many seconds."""
        at = self._clock.now() + retry_after
        self._execute("UPDATE notice SET tries = tries + 1, next_at = ? WHERE id = ?", [(at, ident)])

    # ---- housekeeping ---------------------------------------------------------------------------

    def unsent(self) -> list[LedgerRow]:
        """Copies that aren't known to be sent, the newest first; with the reason, if the last try failed."""
        # By +at, for an order that an index has would be read from there, with all that is sent.
        return self._rows("WHERE outcome = 'pending' ORDER BY +at DESC")

    def ledger(self) -> Iterator[LedgerRow]:
        """All of it, row by row: a busy node has millions. Raises SpoolError on the way, too."""
        return map(_ledger_row, self._readers.stream(_LEDGER))

    def _rows(self, condition: str, *values: object) -> list[LedgerRow]:
        """Those for which the condition holds, and in its order."""
        return [_ledger_row(row) for row in self._readers.fetch(f"{_LEDGER} {condition}", values)]

    def purge(self, ledger_kept: float) -> bool:
        """Forget some of what is past its time; whether there may be more. ledger_kept: seconds.

        Not all at once: no program can write meanwhile, and mail would wait.
        """
        now = self._clock.now()
        old = now - ledger_kept
        time_told = "CAST(coalesce(json_extract(payload, '$.at'), 0) AS REAL)"
        full = [
            self._purge("ledger", "key", "at < ? AND (outcome <> 'held' OR at < ?)", old, now - _HELD_KEPT),
            self._purge("replay", "mark", "at < ?", now - MARKS_KEPT),
            self._purge("notice", "id", "at < ?", old),
            self._purge("outbox", "seq", f"error IS NOT NULL AND {time_told} < ?", old),
        ]
        return any(full)

    def _purge(self, table: str, key: str, condition: str, *values: float) -> bool:
        """Delete a piece of what is so; whether it was a full one."""
        # Looked for beforehand, which may take long, and not by the writer.
        found = self._readers.fetch(f"SELECT {key} FROM {table} WHERE {condition} LIMIT {_PIECE}", values)
        if found:
            self._execute(
                f"DELETE FROM {table} WHERE {key} = ? AND {condition}", [(*row, *values) for row in found]
            )
        return len(found) == _PIECE

    def _execute(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        """The statement with each of these rows of values."""
        self._write(lambda connection: connection.executemany(statement, rows))

    def _write(self, change: Change, deadline: Deadline | None = None) -> None:
        left = deadline.left() if deadline else self._timeout
        self._writer.write(change, min(self._timeout, max(_LEAST, left)))


def _ledger_row(row: tuple[Any, ...]) -> LedgerRow:
    key, recipient, queue_id, outcome, alias_id, mailbox_id, new_queue_id, reason, at = row
    return LedgerRow(
        key, recipient, queue_id, Outcome(outcome), alias_id, mailbox_id, new_queue_id, reason, at
    )
