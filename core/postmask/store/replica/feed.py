"""The truth as a source of copies: who it is, a snapshot of it, and what changed since a number.

One direct connection to Postgres, which also listens for changes (LISTEN doesn't work through a
transaction pooler; whoever follows the feed asks now and then as well).

Change numbers are given under a lock that is held to the end of each transaction (migration 0002):
whoever sees number N has seen all below it.

DIAGNOSTICS
    StoreUnavailable: Postgres can't be asked now. IncompatibleError: its schema is none that this
    program can follow, or it is being restored; the message says which side is to be upgraded.
"""

# ruff: noqa: S608 - what is put into the statements are names of our own tables, and numbers

from __future__ import annotations

import contextlib
import select
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any, Self, cast

import psycopg2
from psycopg2 import errors, extensions
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from postmask.store import fitness, waiting, whereabouts
from postmask.store.engine import as_store_error
from postmask.store.errors import StoreError, StoreUnavailable
from postmask.store.incarnation import IDENTITY
from postmask.store.replica.tables import COPIED, Copied

CHANNEL = "postmask_change"

Rows = Sequence[tuple[Any, ...]]

_STATEMENT_SECONDS = 20.0
_PIECE = 20_000

_WHO = f"""
SELECT {IDENTITY}, generation.number, change_number.last_value, to_jsonb(generation)
FROM generation, change_number
"""

_PRESENT = "SELECT name FROM unnest(ARRAY[{}]) AS name WHERE to_regclass(name) IS NOT NULL".format(
    ", ".join(f"'{copied.name}'" for copied in COPIED)
)


def newest(tables: Iterable[str]) -> str:
    """The question for the last change of any of these tables."""
    numbers = (f"(SELECT coalesce(max(change), 0) FROM {table})" for table in (*tables, "deletion"))
    return f"SELECT greatest({', '.join(numbers)})"


class IncompatibleError(StoreError):
    """The truth isn't fit to be copied by this program (postmask.store.fitness)."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a copy is a copy of: of anything else its change numbers mean nothing.

    system, timeline: of the cluster. database, table: their oids, other ones after a restore.
    started: when the server was; another time alone is no other database, but may be an older state of it.
    """

    system: str
    timeline: int
    database: int
    table: int
    generation: int
    revision: str
    started: float = field(default=0.0, compare=False)

    def differences(self, other: Identity) -> tuple[str, ...]:
        """The names of what is not the same."""
        mine, theirs = asdict(self), asdict(other)
        return tuple(name for name in mine if mine[name] != theirs[name])


@dataclass(frozen=True, slots=True)
class Standing:
    """Who the truth is now, and the last number that it gave out (to changes not yet seen, perhaps).

    trouble: why it isn't the database in use; "" if it is.
    """

    identity: Identity
    number: int
    trouble: str = ""


class Snapshot:
    """One state of the truth: everything is read as of the same moment.

    A table that an older schema doesn't have yet is as good as empty.
    """

    def __init__(self, cursor: extensions.cursor, given: int) -> None:
        """given: the last number that was given out before."""
        self._cursor = cursor
        self._given = given
        self._present = [name for (name,) in _ask(cursor, _PRESENT)]

    def number(self) -> int:
        """The newest change in it.

        Where a careless restore has put the counter behind the rows, the next changes will have numbers
        below theirs: then it is the counter's.
        """
        return min(self._given, int(_ask(self._cursor, newest(self._present))[0][0]))

    def rows(self, table: Copied, after: int = -1) -> Iterator[Rows]:
        """Rows changed after a number, in their order; or all, in the primary key's order. In pieces."""
        if table.name not in self._present:
            return
        names = ", ".join(table.columns)
        # The order also settles which index is taken, whatever the planner knows of the table.
        which = (
            f"WHERE change > {after:d} ORDER BY change" if after >= 0 else f"ORDER BY {', '.join(table.key)}"
        )
        yield from self._pieces(f"SELECT {names} FROM {table.name} {which}")

    def deletions(self, after: int) -> Iterator[Rows]:
        """(table, primary key as JSON) of what was deleted after a number, in order. In pieces."""
        yield from self._pieces(
            f"SELECT relation, key FROM deletion WHERE change > {after:d} ORDER BY change"
        )

    def _pieces(self, query: str) -> Iterator[Rows]:
        _ask(self._cursor, f"DECLARE rows NO SCROLL CURSOR FOR {query}")
        while piece := _ask(self._cursor, f"FETCH FORWARD {_PIECE} FROM rows"):
            yield piece
        _ask(self._cursor, "CLOSE rows")


class Feed:
    """A connection to the truth. A context manager; used by one thread."""

    def __init__(self, engine: Engine) -> None:
        """engine: made for Use.FEED."""
        with _asking():
            try:
                self._proxy = engine.raw_connection()
            except SQLAlchemyError as error:
                raise as_store_error(error) from error
        self._connection = cast(extensions.connection, self._proxy.driver_connection)
        self._connection.autocommit = True
        self._cursor = self._connection.cursor()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(psycopg2.Error, SQLAlchemyError):
            self._connection.close()
            self._proxy.invalidate()

    def listen(self) -> None:
        """Be told of changes from now on. A standby can't: there only asking helps."""
        with contextlib.suppress(errors.ReadOnlySqlTransaction), _asking(errors.ReadOnlySqlTransaction):
            self._cursor.execute(f"LISTEN {CHANNEL}")

    def standing(self) -> Standing:
        """Who the truth is now. Raises IncompatibleError."""
        fit = _ask(self._cursor, fitness.QUESTION)
        if objection := fitness.objection(fit):
            raise IncompatibleError(objection)
        system, timeline, database, table, started, generation, number, row = _ask(self._cursor, _WHO)[0]
        identity = Identity(str(system), timeline, database, table, generation, fit[0][0], started)
        return Standing(identity, number, whereabouts.read(row).trouble())

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """The truth as it is now, for as long as the block."""
        given = int(_ask(self._cursor, "SELECT last_value FROM change_number")[0][0])
        _ask(self._cursor, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            yield Snapshot(self._cursor, given)
        except BaseException:
            with contextlib.suppress(StoreError):
                _ask(self._cursor, "ROLLBACK")
            raise
        _ask(self._cursor, "COMMIT")

    def wait(self, seconds: float) -> bool:
        """Until something has changed; False: nothing was told within so many seconds."""
        # What was told while we asked has come with an answer: the socket says nothing of it any more.
        if not self._connection.notifies:
            if not select.select([self._connection], [], [], seconds)[0]:
                return False
            with _asking():
                self._connection.poll()
        told = bool(self._connection.notifies)
        self._connection.notifies.clear()
        return told


def _ask(cursor: extensions.cursor, statement: str) -> list[tuple[Any, ...]]:
    with _asking():
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


@contextlib.contextmanager
def _asking(*but: type[psycopg2.Error]) -> Iterator[None]:
    """Within a time limit; psycopg2's errors, but for those, come out as StoreUnavailable."""
    try:
        with waiting.time_limit(_STATEMENT_SECONDS):
            yield
    except but:
        raise
    except psycopg2.Error as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise StoreUnavailable(f"the database can't be asked: {said}") from error
