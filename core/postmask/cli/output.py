"""How results are shown: JSON for programs; for people tables, and bare lines for what is to be copied.

With --json a command prints exactly one document: an object for add and show, a list for list.
Everything passes through postmask.display.printable on its way to a terminal, so that nothing that came
from mail can move the cursor or turn the direction of writing; JSON escapes the same itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import enum
import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import click

from postmask.display import printable

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Value: TypeAlias = object
Record: TypeAlias = "Mapping[str, Value] | DataclassInstance"

_WIDEST = 400
_LONGEST = 10_000
_GAP = "  "
_TIMES = frozenset({"at", "created", "last_at", "last_seen", "code_expires"})


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. limit: characters after which a cell is cut; addresses never are."""

    key: str
    heading: str
    limit: int = _WIDEST


class Output:
    """Standard output in the form that was asked for."""

    def __init__(self) -> None:
        self.json = False

    def record(self, record: Record, **more: Value) -> None:
        """One thing, in full. more: what is told with it."""
        values = {**fields(record), **more}
        if self.json:
            return self._document(values)
        labels = {key: key.replace("_", " ") for key in values}
        width = max(map(len, labels.values()), default=0)
        for key, value in values.items():
            lines = _lines(key, value)
            click.echo(f"{labels[key]:<{width}}{_GAP}{lines[0]}".rstrip())
            for line in lines[1:]:
                click.echo(" " * (width + len(_GAP)) + line)
        return None

    def table(self, records: Iterable[Record], columns: Sequence[Column], empty: str) -> None:
        """Many things. empty: what a person is told when there are none."""
        if self.json:
            return self._document(list(records))
        rows = [
            [_cell(values.get(column.key), column) for column in columns] for values in map(fields, records)
        ]
        if not rows:
            return self.say(empty)
        for line in align([[column.heading for column in columns], *rows]):
            click.echo(line)
        return None

    def copy(self, line: str) -> None:
        """For people: a line to be copied, as it is and never wrapped. Backslashes and tabs stay."""
        if not self.json:
            parts = (printable(part, _LONGEST, sentence=True) for part in line.split("\t"))
            click.echo("\t".join(parts))

    def say(self, text: str) -> None:
        """For people: a remark. Nothing with --json."""
        if not self.json:
            click.echo(printable(text, 2_000))

    def warn(self, text: str) -> None:
        """What a person should see in either form: on standard error. If nobody reads it, work goes on."""
        with contextlib.suppress(OSError):
            click.echo(f"postmask: {printable(text, 2_000)}", err=True)

    def _document(self, value: Value) -> None:
        text = json.dumps(value, indent=2, default=_plain)
        click.echo(text.replace("\x7f", "\\u007f"))


def fields(record: Record) -> Mapping[str, Value]:
    """A record's values by name."""
    if isinstance(record, Mapping):
        return record
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines with aligned columns, by the width on a terminal."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    return [
        _GAP.join(
            cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def counted(number: int, one: str, many: str) -> str:
    """ "1 entry waits" or "2 entries wait"."""
    return f"{number} {one if number == 1 else many}"


def removed(name: str, *, mailboxes: Sequence[str] = (), aliases: Sequence[str] = ()) -> str:
    """What went, and how much with it: these may be many, and --json names them."""
    boxes = counted(len(mailboxes), "mailbox", "mailboxes") if mailboxes else ""
    others = counted(len(aliases), "alias", "aliases") if aliases else ""
    along = " and ".join(filter(None, (boxes, others)))
    return f"{name} is removed, {along} with it" if along else f"{name} is removed"


def moment(seconds: float) -> str:
    """A time for people: UTC, to the second."""
    at = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return at.strftime("%Y-%m-%d %H:%M:%SZ")


def _lines(key: str, value: Value) -> list[str]:
    values = value if isinstance(value, list | tuple) else [value]
    return [printable(_text(key, item), _LONGEST) for item in values] or ["-"]


def _cell(value: Value, column: Column) -> str:
    if isinstance(value, list | tuple):
        value = ", ".join(_text(column.key, item) for item in value)
    return printable(_text(column.key, value), column.limit)


def _text(key: str, value: Value) -> str:
    """A value in words, not escaped yet."""
    match value:
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case int() | float() if key in _TIMES or key.endswith("_at"):
            return moment(value)
        case Mapping():
            return ", ".join(f"{name} {_text(name, item)}" for name, item in value.items()) or "-"
        case _:
            return str(value)


def _width(text: str) -> int:
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _plain(value: Value) -> Value:
    """What json doesn't know by itself."""
    if isinstance(value, Mapping):
        return dict(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return fields(value)
    if isinstance(value, enum.Enum):
        return value.value
    return str(value)
