"""Looking for a text, in any case.

A Postgres whose LC_CTYPE is C knows capitals of ASCII alone: of others it finds what is written as asked for.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, func, or_
from sqlalchemy.orm import InstrumentedAttribute


def containing(
    text: str, *columns: InstrumentedAttribute[str] | InstrumentedAttribute[str | None]
) -> ColumnElement[bool]:
    """The condition that one of the columns has the text in it."""
    lowered = (func.lower(column).contains(text.lower(), autoescape=True) for column in columns)
    written = (column.contains(text, autoescape=True) for column in columns)
    return or_(*lowered, *written)
