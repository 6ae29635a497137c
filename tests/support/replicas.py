"""Looking at a node's replica from outside: how far it is, and waiting until it has all of the truth."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from postmask.store.replica.feed import newest as question
from postmask.store.replica.folder import Folder
from postmask.store.replica.tables import COPIED

_NEWEST = question(table.name for table in COPIED)


def newest(engine: Engine) -> int | None:
    """The newest change in the truth; None: it can't be asked."""
    try:
        with engine.connect() as connection:
            return int(connection.execute(text(_NEWEST)).scalar_one())
    except SQLAlchemyError:
        return None


def change(folder: Path) -> int:
    """The change up to which the current replica goes; -1 without one."""
    current = Folder(folder).current()
    with contextlib.suppress(sqlite3.Error):
        if current is not None and current.exists():
            with contextlib.closing(sqlite3.connect(f"file:{current}?mode=rw", uri=True)) as connection:
                return int(connection.execute("SELECT change FROM replica").fetchone()[0])
    return -1


def await_current(folder: Path, engine: Engine, seconds: float = 10.0) -> bool:
    """Until the replica has what the truth has now; False: it hasn't in time, or nobody can say."""
    wanted = newest(engine)
    until = time.monotonic() + seconds
    while wanted is not None and time.monotonic() < until:
        if change(folder) >= wanted:
            return True
        time.sleep(0.01)
    return False
