"""All rows of the truth from one database into another, and the proof that they are the same.

Rows keep the numbers of their changes. Each side is summed up by itself, row by row as it is read: the
count, and the sum of a hash of each row, which doesn't depend on the order.

DIAGNOSTICS
    StoreError: a row doesn't fit the new database, or what is read there isn't what was written;
    the message names the table. SQLAlchemyError: a database can't be asked.
"""

# ruff: noqa: S608 - what is put into the statements are names of our own tables and triggers

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, func, insert, select, tuple_
from sqlalchemy.exc import DataError, IntegrityError

from postmask.store.engine import explain
from postmask.store.errors import StoreError
from postmask.store.models import Base

PIECE = 2_000

TABLES: tuple[Table, ...] = tuple(
    table for table in Base.metadata.sorted_tables if table.name != "generation"
)
"""What is copied, in an order in which no row comes before what it refers to."""

_MODULUS = 1 << 128

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sum:
    """What a table holds. digest: of all rows, in whatever order."""

    rows: int = 0
    digest: int = 0

    def plus(self, rows: Iterable[Mapping[str, object]]) -> Sum:
        """With these rows too."""
        count, digest = self.rows, self.digest
        for row in rows:
            count += 1
            digest += _hashed(row)
        return Sum(count, digest % _MODULUS)


def copy(source: Connection, target: Connection) -> dict[str, Sum]:
    """Copy every table; what was read, by table."""
    sums = {}
    for table in TABLES:
        with _unnumbered(target, table):
            sums[table.name] = _copied(source, target, table)
    _go_on_numbering(source, target)
    return sums


def verify(target: Connection, sums: Mapping[str, Sum]) -> None:
    """Read it all again, from the new database. Raises StoreError."""
    for table in TABLES:
        found = summed(target, table)
        if found != sums[table.name]:
            raise StoreError(
                f"{table.name} isn't in the new database as it is in the old one: "
                f"{found.rows} rows of {sums[table.name].rows}, or other values in them; it is not used"
            )


def summed(connection: Connection, table: Table) -> Sum:
    """What a table holds, read in full."""
    total = Sum()
    for rows in _pieces(connection, table):
        total = total.plus(rows)
    return total


def _copied(source: Connection, target: Connection, table: Table) -> Sum:
    total = Sum()
    for rows in _pieces(source, table):
        try:
            target.execute(insert(table), rows)
        except (DataError, IntegrityError) as error:
            raise StoreError(
                f"a row of {table.name} doesn't fit the new database: {explain(error)}"
            ) from error
        except ValueError as error:  # psycopg2's: Postgres has no text with a NUL in it
            raise StoreError(f"a row of {table.name} doesn't fit the new database: {error}") from error
        total = total.plus(rows)
    return total


def _pieces(connection: Connection, table: Table) -> Iterator[list[Row]]:
    """All rows in the order of the primary key."""
    key = list(table.primary_key.columns)
    query = select(table).order_by(*key).limit(PIECE)
    rows = _read(connection, query)
    while rows:
        yield rows
        last = [rows[-1][column.name] for column in key]
        rows = _read(connection, query.where(tuple_(*key) > tuple_(*last)))


def _read(connection: Connection, query: Any) -> list[Row]:
    return [dict(row) for row in connection.execute(query).mappings()]


def _hashed(row: Mapping[str, object]) -> int:
    """A number that stands for all values of a row, told apart by kind and length."""
    hashed = hashlib.blake2b(digest_size=16)
    for value in row.values():
        octets = _octets(value)
        hashed.update(b"%d:" % len(octets))
        hashed.update(octets)
    return int.from_bytes(hashed.digest())


def _octets(value: object) -> bytes:
    match value:
        case None:
            return b"n"
        case bool():
            return b"b1" if value else b"b0"
        case int():
            return b"i%d" % value
        case float():
            return b"f" + value.hex().encode("ascii")
        case str():
            return b"t" + value.encode("utf-8", "surrogatepass")
        case bytes():
            return b"o" + value
        case _:
            raise TypeError(f"a value of type {type(value).__name__} in the database")


@contextlib.contextmanager
def _unnumbered(target: Connection, table: Table) -> Iterator[None]:
    """Without the triggers that would number the rows anew, and tell of them."""
    found = target.exec_driver_sql(
        "SELECT tgname, tgenabled FROM pg_trigger"
        f" WHERE tgrelid = '{table.name}'::regclass AND NOT tgisinternal"
    ).all()
    target.exec_driver_sql(f"ALTER TABLE {table.name} DISABLE TRIGGER USER")
    yield
    for name, enabled in found:
        always = "ALWAYS " if enabled == "A" else ""
        target.exec_driver_sql(f"ALTER TABLE {table.name} ENABLE {always}TRIGGER {name}")


def _go_on_numbering(source: Connection, target: Connection) -> None:
    """The next change gets a number above all that were given."""
    given = [source.scalar(select(func.max(table.c.change))) or 0 for table in TABLES if "change" in table.c]
    if source.dialect.name == "postgresql":
        given.append(source.exec_driver_sql("SELECT last_value FROM change_number").scalar_one())
    target.exec_driver_sql(f"SELECT setval('change_number', {max(1, *given)})")
