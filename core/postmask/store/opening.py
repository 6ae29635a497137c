"""A database opened by its URL for the time of a block: for what is done to it as a whole.

DIAGNOSTICS
    StoreError in place of whatever SQLAlchemy raises in the block. No connection stays.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from postmask.store.engine import READ_ONLY, as_store_error, make_engine


@contextlib.contextmanager
def opened_engine(url: str, *, read_only: bool = False) -> Iterator[Engine]:
    """As its owner opens it. read_only: no transaction takes SQLite's write lock."""
    engine = make_engine(url).execution_options(**{READ_ONLY: read_only})
    try:
        yield engine
    except SQLAlchemyError as error:
        raise as_store_error(error) from error
    finally:
        engine.dispose()


@contextlib.contextmanager
def opened(url: str, *, read_only: bool = False) -> Iterator[Connection]:
    """One transaction, committed at the end of the block, undone when anything is raised in it."""
    with opened_engine(url, read_only=read_only) as engine, engine.begin() as connection:
        yield connection
