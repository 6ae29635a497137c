"""main.cf and master.cf as entries whose text is kept, byte for byte.

An entry is a parameter or a service with its continuation lines, and the comments between those. What lies
between entries has no name. Joined again the texts are the file.

STANDARDS
    postconf(5) "General file format": a line that starts with white space goes on with the one before; an
    empty line and a comment end nothing; of a parameter that is given twice the last one counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_NOTHING = re.compile(r"[ \t\r\f\v]*(?:#.*)?\n?")
_PARAMETER = re.compile(r"([^\s=]+)\s*=")
_SERVICE = re.compile(r"(\S+)\s+(\S+)")


@dataclass(frozen=True, slots=True)
class Entry:
    """text: with its line ends. name: a parameter, or service/type; None for what lies between."""

    name: str | None
    text: str


Entries: TypeAlias = tuple[Entry, ...]


def main_cf(text: str) -> Entries:
    """The entries of a main.cf."""
    return _entries(text, lambda entry: _first(_PARAMETER.match(entry)))


def master_cf(text: str) -> Entries:
    """The entries of a master.cf."""

    def name(entry: str) -> str | None:
        found = _SERVICE.match(entry)
        return f"{found[1]}/{found[2]}" if found else None

    return _entries(text, name)


def _first(match: re.Match[str] | None) -> str | None:
    return match[1] if match else None


def _entries(text: str, name: Callable[[str], str | None]) -> Entries:
    found: list[Entry] = []
    entry: list[str] = []
    between: list[str] = []

    def end() -> None:
        if entry:
            found.append(Entry(name("".join(entry)), "".join(entry)))
        if between:
            found.append(Entry(None, "".join(between)))
        entry.clear()
        between.clear()

    for line in _LINE.findall(text):
        if _NOTHING.fullmatch(line):
            between.append(line)
        elif entry and line[0] in " \t":
            entry += [*between, line]
            between.clear()
        else:
            end()
            entry.append(line)
    end()
    return tuple(found)


def joined(entries: Iterable[Entry]) -> str:
    """The file."""
    return "".join(entry.text for entry in entries)


def last(entries: Entries, name: str) -> Entry | None:
    """The entry that counts."""
    return next((entry for entry in reversed(entries) if entry.name == name), None)


def replaced(entries: Entries, old: Entry, *new: Entry) -> Entries:
    """With others in the place of the last entry that is equal to `old`."""
    place = len(entries) - 1 - entries[::-1].index(old)
    return (*entries[:place], *new, *entries[place + 1 :])


def without_comments(text: str) -> str:
    """An entry's text with spaces in the place of comments: the same length, all else in its place."""
    lines = _LINE.findall(text)
    return "".join(re.sub(r"[^\n]", " ", line) if _NOTHING.fullmatch(line) else line for line in lines)


def value(entry: Entry | None) -> str:
    """A parameter's value on one line; "" where there is no entry."""
    if entry is None:
        return ""
    text = without_comments(entry.text).partition("=")[2]
    return " ".join(text.split())
