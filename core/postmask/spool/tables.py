"""The spool's tables, and the file opened with them.

DIAGNOSTICS
    sqlite3.Error: it can't be opened.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from postmask import wal

_SCHEMA = """
CREATE TABLE IF NOT EXISTS ledger (
    key BLOB PRIMARY KEY, outcome TEXT NOT NULL, recipient TEXT NOT NULL, queue_id TEXT NOT NULL,
    alias_id INTEGER NOT NULL, mailbox_id INTEGER NOT NULL, new_queue_id TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '', at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ledger_at ON ledger (at);
CREATE INDEX IF NOT EXISTS ledger_pending ON ledger (queue_id) WHERE outcome = 'pending';
CREATE TABLE IF NOT EXISTS outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
    payload TEXT NOT NULL, error TEXT
);
CREATE TABLE IF NOT EXISTS contact (
    token TEXT PRIMARY KEY, alias_id INTEGER NOT NULL, address TEXT NOT NULL, name TEXT,
    written TEXT NOT NULL, at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS contact_address ON contact (alias_id, address);
CREATE TABLE IF NOT EXISTS replay (
    mark TEXT PRIMARY KEY, ledger_key BLOB NOT NULL, at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notice (
    id INTEGER PRIMARY KEY, sender TEXT NOT NULL, recipient TEXT NOT NULL, kind TEXT NOT NULL,
    subject TEXT NOT NULL, text TEXT NOT NULL, at REAL NOT NULL, tries INTEGER NOT NULL DEFAULT 0,
    next_at REAL NOT NULL, sent_at REAL
);
CREATE INDEX IF NOT EXISTS notice_recipient ON notice (recipient, kind, at);
CREATE INDEX IF NOT EXISTS notice_waiting ON notice (id) WHERE sent_at IS NULL;
CREATE TABLE IF NOT EXISTS told_truth (truth TEXT NOT NULL);
"""
_BUSY_MS = 5_000
_BUSY_TRIES, _BUSY_PAUSE = 50, 0.02


def opened(path: Path) -> sqlite3.Connection:
    """A connection to the file, which is made with its tables if it is missing: at the start, or
    because it went away under a running program.

    When several programs make it at once SQLite refuses all but one without any wait, so they
    come again.
    """
    tries = 1
    while True:
        try:
            return _open(path)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or tries == _BUSY_TRIES:
                raise
        tries += 1
        time.sleep(_BUSY_PAUSE)


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(wal.LIMIT)
        connection.executescript(_SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    return connection
