"""One replica file: made from a snapshot, brought up to date, checked.

It is filled without a journal, for nobody reads it before it is whole; from then on it is a WAL
database. What it is a copy of and up to which change stands in it and changes with it, in the same
transaction.

DIAGNOSTICS
    ReplicaDamagedError: the file is missing, cut off, overwritten, or was never finished; it has to be
    made anew. StoreUnavailable: it can't be written now (disk full, read-only); what is in it stands.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from postmask import wal
from postmask.store.errors import StoreError, StoreUnavailable
from postmask.store.replica.feed import Identity, Snapshot
from postmask.store.replica.tables import COPIED

_PATIENCE = 5.0
_MAGIC = b"SQLite format 3\0"
_BY_NAME = {table.name: table for table in COPIED}

_NOT_THE_FILE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
}
"""Errors of the moment or of the disk, not of what the file holds."""


class ReplicaDamagedError(StoreError):
    """The file isn't what was written to it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a file is a copy of, up to which change, and when it was copied in full."""

    identity: Identity
    change: int
    copied_at: float


class ReplicaFile:
    """An open, whole replica. Used by one thread; readers have connections of their own."""

    def __init__(self, path: Path) -> None:
        """Raises ReplicaDamagedError."""
        self.path = path
        self._inode = _inode(path)
        # Closing any descriptor of a file drops all of the process's locks on it, SQLite's too
        # (fcntl(2)); so the one to look at the file with is kept, and closed last.
        self._descriptor = os.open(path, os.O_RDONLY)
        try:
            with _working(path):
                self._connection = _open(path)
                try:
                    self._connection.execute("PRAGMA synchronous = NORMAL")
                    self._connection.execute(wal.LIMIT)
                    self.standing = _standing(self._connection)
                except BaseException:
                    self._connection.close()
                    raise
        except BaseException:
            os.close(self._descriptor)
            raise

    def check(self) -> None:
        """Read all of it. Raises ReplicaDamagedError."""
        self.glance()
        # By a connection of its own: ours may have all pages in memory, as they were.
        with _working(self.path), contextlib.closing(_open(self.path)) as fresh:
            found = fresh.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise ReplicaDamagedError(f"{self.path} is damaged: {found}")

    def glance(self) -> None:
        """Whether the file is still there, with a head and no shorter than SQLite left it."""
        if _inode(self.path) != self._inode:
            raise ReplicaDamagedError(f"{self.path} was exchanged or removed")
        head = os.pread(self._descriptor, 100, 0)
        size = os.fstat(self._descriptor).st_size
        page = int.from_bytes(head[16:18], "big")
        pages = int.from_bytes(head[28:32], "big")
        if not head.startswith(_MAGIC) or size < pages * (65_536 if page == 1 else page):
            raise ReplicaDamagedError(f"{self.path} was cut off or overwritten")

    def domains(self) -> list[str]:
        """The names of our domains, sorted."""
        with _working(self.path):
            return [name for (name,) in self._connection.execute("SELECT name FROM domain ORDER BY name")]

    def apply(self, snapshot: Snapshot) -> None:
        """Take over what has changed since."""
        change = snapshot.number()
        after = self.standing.change
        if change <= after:
            return
        with _working(self.path), _transaction(self._connection):
            for rows in snapshot.deletions(after):
                for name, key in rows:
                    self._delete(name, key)
            for table in COPIED:
                for rows in snapshot.rows(table, after):
                    self._connection.executemany(table.insertion, rows)
            self._connection.execute("UPDATE replica SET change = ?", (change,))
        self.standing = Standing(self.standing.identity, change, self.standing.copied_at)

    def _delete(self, name: str, key: str) -> None:
        """Take out a row by its table and primary key, if it is a table that we copy."""
        table = _BY_NAME.get(name)
        if table is not None:
            parts = json.loads(key)
            self._connection.execute(table.deletion, [parts[part] for part in table.key])

    def close(self) -> None:
        """Let go of the file."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def make(
    path: Path,
    snapshot: AbstractContextManager[Snapshot],
    identity: Identity,
    at: float,
    go_on: Callable[[], None] = lambda: None,
) -> None:
    """Copy a whole snapshot into a new file. go_on: called between pieces, may raise to give up.

    snapshot: entered here, and left as soon as all rows are read: the truth doesn't wait for our disk, and
    ends a transaction in which it is not asked anything for long.
    A file that was left by an earlier attempt is replaced. On any error none is left.
    """
    remove(path)
    path.touch(mode=0o660)
    try:
        with _working(path), contextlib.closing(_open(path)) as connection:
            for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -65536"):
                connection.execute(f"PRAGMA {pragma}")
            _fill(connection, snapshot, identity, at, go_on)
        _finish(path)
    except BaseException:
        remove(path)
        raise


def remove(path: Path) -> None:
    """The file and what SQLite put beside it."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error says that the file holds something wrong, not that the moment was bad."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is None or code & 0xFF not in _NOT_THE_FILE


def _fill(
    connection: sqlite3.Connection,
    snapshot: AbstractContextManager[Snapshot],
    identity: Identity,
    at: float,
    go_on: Callable[[], None],
) -> None:
    connection.execute("BEGIN")
    with snapshot as opened:
        number = opened.number()
        for table in COPIED:
            connection.execute(table.creation)
            for rows in opened.rows(table):
                connection.executemany(table.insertion, rows)
                go_on()
    for table in COPIED:
        for statement in table.indexing:
            connection.execute(statement)
            go_on()
    connection.execute(
        "CREATE TABLE replica (identity TEXT NOT NULL, change INTEGER NOT NULL, copied_at REAL NOT NULL)"
    )
    standing = (json.dumps(asdict(identity)), number, at)
    connection.execute("INSERT INTO replica VALUES (?, ?, ?)", standing)
    connection.execute("COMMIT")


def _finish(path: Path) -> None:
    """To the disk, and then a WAL database."""
    with path.open("rb") as written:
        os.fsync(written.fileno())
    with _working(path), contextlib.closing(_open(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


def _standing(connection: sqlite3.Connection) -> Standing:
    row = connection.execute("SELECT identity, change, copied_at FROM replica").fetchone()
    if row is None:
        raise ReplicaDamagedError("the replica was never finished")
    identity, change, copied_at = row
    try:
        return Standing(Identity(**json.loads(identity)), change, copied_at)
    except (TypeError, ValueError) as error:
        raise ReplicaDamagedError(f"the replica does not say what it is a copy of: {error}") from error


def _open(path: Path) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(
        address, uri=True, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
    )


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def _working(path: Path) -> Iterator[None]:
    """SQLite's errors come out as ReplicaDamagedError or StoreUnavailable."""
    try:
        yield
    except sqlite3.Error as error:
        if is_damage(error):
            raise ReplicaDamagedError(f"{path} is damaged: {error}") from error
        raise StoreUnavailable(f"{path} can't be written: {error}") from error


def _inode(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise ReplicaDamagedError(f"{path} isn't there: {error.strerror}") from error
    return status.st_dev, status.st_ino
