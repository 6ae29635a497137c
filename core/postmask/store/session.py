"""One operation, one transaction: what the CLI wraps around the functions of store.admin."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from postmask.store import waiting, whereabouts
from postmask.store.engine import READ_ONLY, TIME_LIMIT, TURNS, as_store_error, is_locked
from postmask.store.errors import BeingMoved, StoreError

_CHANGES = 0x706F73746D61736B
"""Of pg_advisory_xact_lock: that of each change (migration 0002)."""


@contextlib.contextmanager
def transaction(engine: Engine, *, read_only: bool = False, in_turn: bool = True) -> Iterator[Session]:
    """A session that commits at the end of the block, and rolls back when anything is raised in it.

    read_only: takes no write lock, and sees all as of one moment. Else the database must be the one in
    use; while it is being moved the block waits to begin, for as long as the engine's use has patience,
    and raises BeingMoved. in_turn: False for what changes no table that the nodes copy, and so needn't
    wait behind a long change of those. Database errors come out as StoreError. A StoreError whose `keep`
    is set (an attempt that has to be counted) commits before it goes on.
    """
    seconds = engine.get_execution_options().get(TIME_LIMIT)
    limit = waiting.time_limit(seconds) if seconds else contextlib.nullcontext()
    try:
        with limit, Session(engine) as session:
            if not read_only:
                whereabouts.await_thaw(engine)
            connection = session.connection(execution_options=_options(engine, read_only))
            if not read_only:
                whereabouts.demand_current(connection)
                if in_turn:
                    _take_turn(connection)
            try:
                yield session
            except StoreError as error:
                if error.keep:
                    session.commit()
                raise
            session.commit()
    except SQLAlchemyError as error:
        if is_locked(error) and whereabouts.is_frozen(engine):
            raise BeingMoved(whereabouts.BEING_MOVED) from error
        raise as_store_error(error) from error


def _options(engine: Engine, read_only: bool) -> dict[str, object]:
    remote = engine.dialect.name == "postgresql"
    moment = {"isolation_level": "REPEATABLE READ"} if remote and read_only else {}
    return {READ_ONLY: read_only, **moment}


def _take_turn(connection: Connection) -> None:
    if connection.get_execution_options().get(TURNS, False):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_CHANGES})")
