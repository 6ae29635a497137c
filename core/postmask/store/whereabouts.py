"""Whether a database is the one in use, or is being moved, or was.

What lasts stands in the row `generation`, and says so to every program. That a database is just now
being moved is said by a lock that the mover holds and that ends with it, however it ends: on Postgres
an advisory lock, on SQLite a lock on a file beside the database.

DIAGNOSTICS
    `demand_current` raises BeingMoved and Moved, each with a text for whoever wanted to change
    something. SQLAlchemyError: the database can't be asked.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from postmask.disk import lock
from postmask.store.engine import FILE, WAIT
from postmask.store.errors import BeingMoved, Moved, StoreUnavailable
from postmask.store.vocabulary import Phase

LOCK = 0x706F73746D61736D
"""Of pg_try_advisory_xact_lock: the mover's."""

_LOOK_EVERY = 0.1

# All columns, whichever there are: a schema before 0004 says nothing of moves.
_ROW = "SELECT * FROM generation"
_ROW_AND_LOCK = f"""
SELECT generation.*, EXISTS (
    SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND classid = {LOCK >> 32} AND objid = {LOCK & 0xFFFFFFFF}
) AS frozen FROM generation
"""  # noqa: S608 - numbers

BEING_MOVED = "the database is being moved; changes have to wait until that is over, try again later"


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a database stands. elsewhere: in words, where it was moved to, or comes from.

    elsewhere_id: the other's `identity`. moved_at: seconds since the epoch. frozen: it is being moved now.
    """

    phase: Phase = Phase.CURRENT
    elsewhere: str | None = None
    elsewhere_id: str | None = None
    moved_at: float | None = None
    frozen: bool = False

    def trouble(self) -> str:
        """Why this database isn't to be used, and what to do about it; "" if it is."""
        match self.phase:
            case Phase.MOVED:
                return (
                    f"the database was moved to {self.elsewhere} on {_day(self.moved_at)}, but the"
                    " configuration names the old one still; `postmask db move --to URL` corrects that"
                )
            case Phase.ARRIVING:
                return (
                    f"the database is an unfinished copy of {self.elsewhere}; "
                    "`postmask db status` finishes or undoes the move"
                )
            case Phase.CURRENT:
                return ""


def of(connection: Connection) -> Whereabouts:
    """What the database says of itself; one without a row yet is the one in use."""
    remote = connection.dialect.name == "postgresql"
    found = connection.exec_driver_sql(_ROW_AND_LOCK if remote else _ROW).mappings().first()
    row = dict(found) if found else {}
    frozen = bool(row.get("frozen")) if remote else file_is_frozen(connection.engine)
    return replace(read(row), frozen=frozen)


def read(row: Mapping[str, Any]) -> Whereabouts:
    """What the row `generation` says."""
    return Whereabouts(
        Phase(row.get("phase", Phase.CURRENT)),
        row.get("elsewhere"),
        row.get("elsewhere_id"),
        row.get("moved_at"),
    )


def identity(connection: Connection) -> str:
    """What tells this database from every other, by whatever URL it is reached."""
    if connection.dialect.name == "sqlite":
        return f"sqlite:{_file(connection.engine).resolve()}"
    system, oid = connection.exec_driver_sql(
        "SELECT (SELECT system_identifier FROM pg_control_system()),"
        " (SELECT oid FROM pg_database WHERE datname = current_database())"
    ).one()
    return f"postgresql:{system}:{oid}"


def await_thaw(engine: Engine) -> None:
    """SQLite, before a transaction that writes: wait a while if it is being moved. Raises BeingMoved."""
    if engine.dialect.name != "sqlite":
        return
    until = time.monotonic() + _patience(engine)
    while file_is_frozen(engine):
        if time.monotonic() >= until:
            raise BeingMoved(BEING_MOVED)
        time.sleep(_LOOK_EVERY)


def demand_current(connection: Connection) -> None:
    """In a transaction that is about to write: raises Moved, and BeingMoved after a while (Postgres)."""
    until = time.monotonic() + _patience(connection.engine)
    while (found := of(connection)).frozen and found.phase is Phase.CURRENT:
        if connection.dialect.name == "sqlite":
            # The write lock is ours: whoever moves it hasn't begun.
            return
        if time.monotonic() >= until:
            raise BeingMoved(BEING_MOVED)
        time.sleep(_LOOK_EVERY)
    if trouble := found.trouble():
        raise Moved(trouble)


def is_frozen(engine: Engine) -> bool:
    """Whether somebody moves it just now; False also when it can't be said."""
    if engine.dialect.name == "sqlite":
        return file_is_frozen(engine)
    try:
        with engine.connect() as connection:
            return of(connection).frozen
    except SQLAlchemyError:
        return False


def file_is_frozen(engine: Engine) -> bool:
    """SQLite: whether somebody moves it just now."""
    try:
        file = os.open(_lock_path(engine), os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


@contextlib.contextmanager
def frozen_file(engine: Engine) -> Iterator[None]:
    """SQLite: say that it is being moved, for the time of the block. Raises BeingMoved, StoreUnavailable."""
    path = _lock_path(engine)
    try:
        file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise StoreUnavailable(f"{path} can't be made: {error.strerror}") from error
    try:
        if not lock(file, 1.0):  # programs hold it for a moment when they look
            raise BeingMoved("the database is being moved already")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
    finally:
        os.close(file)


def _lock_path(engine: Engine) -> Path:
    path = _file(engine)
    return path.with_name(f"{path.name}-moving")


def _file(engine: Engine) -> Path:
    path = engine.get_execution_options()[FILE]
    assert isinstance(path, Path)
    return path


def _patience(engine: Engine) -> float:
    return float(engine.get_execution_options().get(WAIT, 0.0))


def _day(moment: float | None) -> str:
    return datetime.datetime.fromtimestamp(moment or 0.0, datetime.UTC).strftime("%Y-%m-%d")
