"""Group commit: one thread writes, and all that is asked meanwhile shares its next commit.

A commit costs a flush of the disk (1 to 10 ms on a real one), and twenty deliveries at once would
queue for it one after the other. Here each asks for its change and waits; the writer takes all
that lies before it, applies each in a savepoint of its own, and commits once.

DIAGNOSTICS
    A change that raises is undone alone, and its error reaches the one who asked for it. When the
    commit itself fails all who shared it get SpoolError, and none of their changes is there.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable
from typing import TypeAlias

from postmask.daemon import begin, lasting
from postmask.spool.entries import SpoolError

Change: TypeAlias = Callable[[sqlite3.Connection], object]
"""What is to be done to the file, within a transaction."""

_BATCH = 64


class _Job:
    """One change and whoever waits for it."""

    __slots__ = ("_change", "_error", "_settled")

    def __init__(self, change: Change) -> None:
        self._change = change
        self._error: BaseException | None = None
        # A bare lock, held until it is settled: a Future costs as much as the change itself.
        self._settled = threading.Lock()
        self._settled.acquire()

    def apply(self, connection: sqlite3.Connection) -> None:
        """Run the change in a savepoint. A failing disk or file is everybody's trouble and is raised."""
        connection.execute("SAVEPOINT change")
        try:
            self._change(connection)
        except sqlite3.DatabaseError:
            raise
        except Exception as error:  # noqa: BLE001  it belongs to the one who asked
            self._error = error
            connection.execute("ROLLBACK TO change")
        connection.execute("RELEASE change")

    def settle(self, error: BaseException | None = None) -> None:
        """Tell the waiting one, after the commit, or that it failed."""
        self._error = error or self._error
        self._settled.release()

    def await_settled(self, timeout: float) -> None:
        """Wait for it. Raises SpoolError when it takes longer, or what went wrong."""
        if not self._settled.acquire(timeout=timeout):
            raise SpoolError(f"the spool did not take a change within {timeout:g} s")
        if self._error is not None:
            try:
                raise self._error
            finally:
                # Else error and job held each other, and the message that the callers have in hand.
                self._error = None


class Writer:
    """The thread that owns the writing connection.

    on_failure: called when the file or its disk failed, before those who asked are told.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], on_failure: Callable[[], None]) -> None:
        self._connect = connect
        self._on_failure = on_failure
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = lasting("spool-writer", self._run)
        begin(self._thread)

    def write(self, change: Change, timeout: float) -> None:
        """Apply a change; returns once it is on disk.

        timeout: seconds. Raises SpoolError, or what the change itself raised.
        """
        job = _Job(change)
        self._jobs.put(job)
        job.await_settled(timeout)

    def close(self) -> None:
        """Finish what was asked, then end."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        while (batch := self._take()) is not None:
            try:
                connection = connection or self._connect()
                self._commit(connection, batch)
            except Exception as error:  # noqa: BLE001  without this thread nothing would be written any more
                _drop(connection)
                connection = None
                self._on_failure()
                for job in batch:
                    job.settle(SpoolError(f"spool: {str(error) or type(error).__name__}"))
        _drop(connection)

    def _take(self) -> list[_Job] | None:
        """Wait for a change; return it with all that lies behind it, or None at the end."""
        first = self._jobs.get()
        if first is None:
            return None
        batch = [first]
        while len(batch) < _BATCH:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._jobs.put(None)
                break
            batch.append(job)
        return batch

    @staticmethod
    def _commit(connection: sqlite3.Connection, batch: list[_Job]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            for job in batch:
                job.apply(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        for job in batch:
            job.settle()


def _drop(connection: sqlite3.Connection | None) -> None:
    """Close a connection, whatever state it is in."""
    if connection is not None:
        connection.close()
