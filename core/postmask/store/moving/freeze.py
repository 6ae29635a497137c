"""The truth held still: whoever reads goes on, whoever writes waits.

Nothing is written for it. On SQLite it is an open write transaction, on Postgres a transaction with a
lock on each table that writers can't share. Both end with the process or connection that holds them, so
that no freeze outlives a mover that was killed.

DIAGNOSTICS
    BeingMoved: somebody else moves it. StoreUnavailable: those who write didn't come to an end.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from postmask.store import whereabouts
from postmask.store.engine import is_locked
from postmask.store.errors import BeingMoved, StoreUnavailable
from postmask.store.models import Base

_LOCK_SECONDS = 60.0
_FIRST_TRY = 0.5
_LONGEST_TRY = 5.0

_PATIENT = (
    "SET LOCAL idle_in_transaction_session_timeout = 0",
    # The server's own, so that it notices within seconds when this machine is gone.
    "SET LOCAL tcp_keepalives_idle = 5",
    "SET LOCAL tcp_keepalives_interval = 2",
    "SET LOCAL tcp_keepalives_count = 3",
    "SET LOCAL tcp_user_timeout = 10000",
)


@contextlib.contextmanager
def frozen(engine: Engine) -> Iterator[Connection]:
    """A connection in a transaction in which all stands still. The caller commits, or nothing was done."""
    with contextlib.ExitStack() as held:
        if engine.dialect.name == "sqlite":
            held.enter_context(whereabouts.frozen_file(engine))
        connection = held.enter_context(engine.connect())
        connection.begin()
        if engine.dialect.name == "postgresql":
            _lock(connection)
        yield connection


def stay(connection: Connection) -> None:
    """Postgres: let a transaction wait for another database for as long as that takes, if we live."""
    for setting in _PATIENT:
        connection.exec_driver_sql(setting)


def claim(connection: Connection) -> None:
    """Postgres: be the only mover, to the end of the transaction. Raises BeingMoved."""
    if not connection.exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({whereabouts.LOCK})").scalar():
        raise BeingMoved("the database is being moved already")


def _lock(connection: Connection) -> None:
    """All tables at once. Each try is short at first, so that nobody is found in a deadlock with us."""
    tables = ", ".join(table for table in Base.metadata.tables if table != "generation")
    until = time.monotonic() + _LOCK_SECONDS
    patience = _FIRST_TRY
    while True:
        try:
            stay(connection)
            claim(connection)
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{patience:.1f}s'")
            connection.exec_driver_sql(f"LOCK TABLE {tables} IN SHARE MODE")
            connection.exec_driver_sql("SET LOCAL lock_timeout TO DEFAULT")
            return
        except DBAPIError as error:
            if not is_locked(error):
                raise
            connection.rollback()
            if time.monotonic() >= until:
                raise StoreUnavailable(
                    f"somebody has been changing the database for {_LOCK_SECONDS:.0f} s; try again later"
                ) from error
            connection.begin()
            patience = min(_LONGEST_TRY, patience * 1.5)
