"""A look-up's statement for SQLite, compiled to its last detail once.

SQLAlchemy writes the statement; from then on it is the driver's text, with the parameters in their
order. Executing it through SQLAlchemy costs four times what SQLite itself needs to answer, several
times for each recipient.

DIAGNOSTICS
    sqlite3.Error as the driver raises it.
"""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Dialect
from sqlalchemy.sql.selectable import SelectBase


class Prepared:
    """One statement. Its rows have their columns by name, as the driver gives them: no type but SQLite's."""

    def __init__(self, statement: SelectBase, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self._text = compiled.string
        self._names = tuple(compiled.positiontup or ())
        self._constants = dict(compiled.params)
        columns = [str(column.key) for column in statement.selected_columns]
        row: Any = namedtuple("Row", columns, rename=True)  # type: ignore[misc]  # columns known only now
        self._make: Callable[[Sequence[object]], Any] = row._make

    def rows(self, connection: sqlite3.Connection, parameters: Mapping[str, object]) -> Sequence[Any]:
        """All rows for these parameters; what the statement itself holds constant need not be given."""
        constants = self._constants
        values = [parameters[name] if name in parameters else constants[name] for name in self._names]
        return list(map(self._make, connection.execute(self._text, values)))
