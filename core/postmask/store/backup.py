"""Copies of an SQLite truth while it is in use, and bringing one back. (Of a Postgres: store.dump.)

A copy is made by SQLite's own backup interface, aside and then renamed. A restore writes through the
same interface into the file that is there: exchanging a WAL database's file under its readers would
let SQLite replay the old log onto the new file.

A restore raises the generation above both, so that whoever keeps a copy of the tables knows that
it has to copy anew.

DIAGNOSTICS
    StoreError: the file exists, can't be opened, isn't a database of ours, is damaged, or is of a newer
    schema. Unwritable: nothing can be made in the folder. Nothing is changed then.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from postmask.clock import DAY
from postmask.disk import as_owner, sync_folder
from postmask.store import schema
from postmask.store.engine import sqlite_path
from postmask.store.errors import NoFile, StoreError, StoreUnavailable, Unwritable

_PATIENCE = 30.0
_ASIDE = ".postmask-copy-"


def backup(url: str, path: Path) -> None:
    """Copy the database to a new file, readable by its owner alone."""
    source = _file_of(url)
    with new_file(path) as temporary, _opened(source, "rw") as opened:
        _copy(opened, source, temporary)
        _check(temporary)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A file to be written aside, which has its name, and is on the disk, at the end of the block.

    Raises StoreError if there is one of that name.
    """
    if path.exists():
        raise StoreError(f"{path} exists; choose another name, or remove it first")
    with _aside(path) as temporary:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
        sync_folder(path.parent)


def restore(url: str, path: Path) -> int:
    """Put a copy in place of the database, brought up to date; returns the new generation.

    As root all but reading the copy is done with the rights of whoever the database's folder belongs to:
    what lies there, or is put there meanwhile, then leads nowhere where he may not write himself.
    """
    target = _file_of(url)
    if not path.exists():
        raise NoFile(f"there is no file {path}")
    with _opened(path, "rw") as source:
        _begin(source, path)
        try:
            with as_owner(target.parent):
                return _restore(source, path, target)
        except PermissionError as error:
            raise Unwritable(f"{target} can't be written by its folder's owner: {error.strerror}") from error


def _restore(source: sqlite3.Connection, path: Path, target: Path) -> int:
    with _aside(target) as temporary:
        _copy(source, path, temporary)
        _check(temporary)
        aside = f"sqlite:///{temporary}"
        schema.upgrade(aside)
        generation = max(_generation(temporary), _generation(target)) + 1
        _raise_generation(temporary, generation)
        if not target.exists():
            schema.make_file(target)
            target.chmod(0o660)
        with _opened(temporary, "rw") as ready:
            _copy(
                ready,
                temporary,
                target,
                f"; {target} is damaged: with the programs stopped remove it, and {target.name}-wal and "
                f"{target.name}-shm beside it, then restore again",
            )
    return generation


def _file_of(url: str) -> Path:
    path = sqlite_path(url)
    assert path is not None
    return path.absolute()


@contextlib.contextmanager
def _aside(beside: Path) -> Iterator[Path]:
    """A temporary file on the same file system; gone at the end, with what SQLite put beside it."""
    _clear(beside.parent)
    try:
        directory = tempfile.TemporaryDirectory(prefix=_ASIDE, dir=beside.parent)
    except OSError as error:
        raise Unwritable(f"nothing can be written in {beside.parent}: {error.strerror}") from error
    with directory as name:
        temporary = Path(name) / "copy.db"
        temporary.touch(mode=0o600)
        yield temporary


def _clear(folder: Path) -> None:
    """Remove what one of ours that was killed has left, as large as the database. (No copy takes a day.)"""
    for left in folder.glob(f"{_ASIDE}*"):
        with contextlib.suppress(OSError):
            found = left.lstat()
            if found.st_uid == os.geteuid() and found.st_mtime < time.time() - DAY:
                for file in left.glob("copy.db*"):
                    file.unlink()
                left.rmdir()


def _begin(opened: sqlite3.Connection, path: Path) -> None:
    """Have SQLite open what lies beside the file."""
    try:
        opened.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise StoreError(f"{path} can't be copied: {error}") from error


def _copy(opened: sqlite3.Connection, source: Path, target: Path, advice: str = "") -> None:
    """All pages in one step: readers of the target see all of it or none. advice: where one is damaged.

    SQLite would wait for ever for somebody else's write to end, hence the deadline.
    """
    deadline = time.monotonic() + _PATIENCE

    def look_at_the_clock(status: int, _left: int, _all: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > deadline:
            raise StoreUnavailable(
                f"{target} is being written to all the time; stop the programs and try again"
            )

    try:
        with _opened(target, "rwc") as writing:
            opened.backup(writing, progress=look_at_the_clock)
    except sqlite3.OperationalError as error:
        raise StoreUnavailable(f"{source} can't be copied to {target}: {error}") from error
    except sqlite3.Error as error:
        raise StoreError(f"{source} can't be copied to {target}: {error}{advice}") from error


def _check(path: Path) -> None:
    try:
        with _opened(path, "rw") as connection:
            found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            broken = connection.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite3.Error as error:
        raise StoreError(f"that is no SQLite database: {error}") from error
    if found != "ok" or broken:
        raise StoreError(f"the copy is damaged ({found}); it is not used")
    demand_ours(f"sqlite:///{path}")


def demand_ours(url: str) -> None:
    """Raises StoreError for a database that this program could not use."""
    state = schema.status(url).state
    if state is schema.SchemaState.AHEAD:
        raise StoreError("its schema is newer than this program; upgrade Postmask on this machine")
    if state not in (schema.SchemaState.CURRENT, schema.SchemaState.BEHIND):
        raise StoreError(f"that is no database of ours that this program could use (schema {state})")


def _generation(path: Path) -> int:
    """0: there is none yet."""
    if not path.exists():
        return 0
    try:
        with _opened(path, "rw") as connection:
            return int(connection.execute("SELECT number FROM generation").fetchone()[0])
    except (sqlite3.Error, TypeError):
        return 0


def _raise_generation(path: Path, generation: int) -> None:
    with _opened(path, "rw") as connection:
        connection.execute("UPDATE generation SET number = ?", (generation,))


@contextlib.contextmanager
def _opened(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    address = f"{path.absolute().as_uri()}?mode={mode}"
    try:
        connection = sqlite3.connect(address, uri=True, timeout=_PATIENCE, isolation_level=None)
    except sqlite3.Error as error:
        raise StoreUnavailable(
            f"{path} can't be opened: {error}; is the path right, may this user read and write it?"
        ) from error
    try:
        yield connection
    finally:
        connection.close()
