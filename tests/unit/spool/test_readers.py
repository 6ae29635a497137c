"""Reading connections: kept, shared, replaced when they fail, and all gone when they are dropped."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from postmask.spool import SpoolError
from postmask.spool.readers import Readers


class Opener:
    """Opens connections to a file and remembers them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.opened: list[sqlite3.Connection] = []

    def __call__(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
        connection.create_function("wait", 0, self.wait)
        self.opened.append(connection)
        return connection

    def wait(self) -> int:
        """In SQL: stops the statement in the middle."""
        self.reading.set()
        self.go_on.wait(10)
        return 1

    reading = threading.Event()
    go_on = threading.Event()


def is_open(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return False
    return True


def test_a_connection_is_kept(tmp_path: Path) -> None:
    opener = Opener(tmp_path / "file")
    readers = Readers(opener)
    assert [readers.fetch("SELECT ?", (number,)) for number in (1, 2)] == [[(1,)], [(2,)]]
    assert len(opener.opened) == 1


def test_one_that_failed_is_replaced(tmp_path: Path) -> None:
    opener = Opener(tmp_path / "file")
    readers = Readers(opener)
    with pytest.raises(SpoolError, match="no such table"):
        readers.fetch("SELECT * FROM missing", ())
    assert readers.fetch("SELECT 1", ()) == [(1,)]
    assert [is_open(connection) for connection in opener.opened] == [False, True]


def test_a_file_that_can_not_be_opened(tmp_path: Path) -> None:
    readers = Readers(Opener(tmp_path / "missing" / "file"))
    with pytest.raises(SpoolError, match="unable to open"):
        readers.fetch("SELECT 1", ())


def test_dropped_while_one_is_in_use(tmp_path: Path) -> None:
    opener = Opener(tmp_path / "file")
    readers = Readers(opener)
    thread = threading.Thread(target=readers.fetch, args=("SELECT wait()", ()))
    thread.start()
    assert opener.reading.wait(10)
    assert readers.fetch("SELECT 1", ()) == [(1,)]
    readers.drop()
    assert not is_open(opener.opened[1])
    opener.go_on.set()
    thread.join(10)
    assert not is_open(opener.opened[0])
    assert readers.fetch("SELECT 1", ()) == [(1,)]
    assert len(opener.opened) == 3
