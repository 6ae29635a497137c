"""What is copied, and the shape of the copy.

The copy has the tables and columns that the look-ups read, by the same names, so that the same
statements serve. It has no constraints: the truth has them, and a copy must be able to take whatever
a newer truth allows.
"""

# ruff: noqa: S608 - what is put into the statements are names of our own tables, and numbers

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import Column, MetaData, Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from postmask.store import models
from postmask.store.models import Base, Tracked

_LEFT_OUT = {"mailbox": {"code_mac", "code_made", "code_expires", "code_attempts"}}
"""What the nodes' role may not read."""

_ASKED_BY = {
    "domain": ["name"],
    "mailbox": ["account_id"],
    "alias": ["address"],
    "contact": ["alias_id, address"],
    "sender_rule": ["pattern"],
    "spam_policy": ["alias_id", "account_id", "domain_id"],
}
"""What look-ups search by, beside the primary keys: the columns of each index."""


@dataclass(frozen=True)
class Copied:
    """One table. key: the names of its primary key's columns."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]

    @cached_property
    def creation(self) -> str:
        """CREATE TABLE for the copy, without any other constraint."""
        original = Base.metadata.tables[self.name]
        columns: list[Column[object]] = [
            Column(name, original.c[name].type, primary_key=name in self.key, autoincrement=False)
            for name in self.columns
        ]
        by_number = len(self.key) == 1 and self.key[0] == "id"
        table = Table(self.name, MetaData(), *columns, sqlite_with_rowid=by_number)
        return str(CreateTable(table).compile(dialect=sqlite.dialect()))

    @cached_property
    def insertion(self) -> str:
        """INSERT OR REPLACE of all columns, in their order."""
        places = ", ".join("?" * len(self.columns))
        return f"INSERT OR REPLACE INTO {self.name} ({', '.join(self.columns)}) VALUES ({places})"

    @cached_property
    def deletion(self) -> str:
        """DELETE of one row, by its key."""
        return f"DELETE FROM {self.name} WHERE " + " AND ".join(f"{part} = ?" for part in self.key)

    @cached_property
    def indexing(self) -> tuple[str, ...]:
        """CREATE INDEX, for after the first rows."""
        return tuple(
            f"CREATE INDEX ix_{self.name}_{number} ON {self.name} ({columns})"
            for number, columns in enumerate(_ASKED_BY.get(self.name, ()))
        )


def _copied(model: type[Tracked]) -> Copied:
    assert issubclass(model, Base)
    table = model.__table__
    assert isinstance(table, Table)
    left_out = _LEFT_OUT.get(table.name, set())
    return Copied(
        table.name,
        tuple(column.name for column in table.columns if column.name not in left_out),
        tuple(column.name for column in table.primary_key.columns),
    )


COPIED: tuple[Copied, ...] = tuple(
    _copied(model)
    for model in (
        models.Account,
        models.Domain,
        models.Mailbox,
        models.MailboxSender,
        models.Alias,
        models.AliasMailbox,
        models.Contact,
        models.ReverseAlias,
        models.SenderRule,
        models.SpamPolicy,
        models.DkimKey,
        models.ReplayMark,
    )
)
