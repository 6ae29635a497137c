"""Connections for reading the spool, lent out one at a time and kept for the next who asks.

They are kept here and not with their threads, so that all of them can be dropped: as long as a process
holds one connection to a database whose disk was read-only, SQLite lets none of its connections write,
even when the disk has long been writable again.

DIAGNOSTICS
    SpoolError: it can't be opened or read. The connection is dropped, and the next who asks gets a new one.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

from postmask.spool.entries import SpoolError


class Readers:
    """Shared by threads. connect: opens a connection that any thread may use."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._generation = 0

    def fetch(self, statement: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        """All rows, each typed by the schema and not by Python."""
        with self._lock:
            generation = self._generation
            connection = self._idle.pop() if self._idle else None
        try:
            connection = connection or self._connect()
            rows = connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            if connection is not None:
                connection.close()
            raise SpoolError(f"spool: {error}") from error
        with self._lock:
            if generation == self._generation:
                self._idle.append(connection)
                return rows
        connection.close()
        return rows

    def stream(self, statement: str) -> Iterator[tuple[Any, ...]]:
        """The same row by row, of a state that stays as it was; for what may be too much for memory."""
        try:
            with closing(self._connect()) as connection:
                yield from connection.execute(statement)
        except sqlite3.Error as error:
            raise SpoolError(f"spool: {error}") from error

    def drop(self) -> None:
        """Close all, those that are lent out when they come back."""
        with self._lock:
            self._generation += 1
            dropped, self._idle = self._idle, []
        for connection in dropped:
            connection.close()
