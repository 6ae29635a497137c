"""What the last run of the doctor found, in a small file of the node's, so that only news need be told.

    compare(memory, examined)    what is new, what is gone, and what to remember from now on
    read(file), write(file, …)   the node's file

A finding is known again by its group, code and place; its figures may differ. A group that wasn't examined,
or not to its end, keeps what was remembered of it: what wasn't looked at isn't gone.

DIAGNOSTICS
    read() never raises: a file that isn't there, can't be read, or is noise means that all is new.
    write() raises OSError.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

from postmask.doctor.examination import Examined
from postmask.doctor.finding import Finding
from postmask.nodefile import NodeFile

_VERSION = 1

LARGEST = 4_000_000
"""Octets of the file: thousands of findings."""


@dataclass(frozen=True, slots=True)
class Known:
    """A finding as it is remembered. what: as it was when it was first found."""

    group: str
    code: str
    where: str
    what: str

    @property
    def place(self) -> tuple[str, str, str]:
        """By which it is known again."""
        return self.group, self.code, self.where


@dataclass(frozen=True, slots=True)
class Changes:
    """new: findings that weren't there. gone: those that were. known: what to remember."""

    new: tuple[Examined, ...]
    gone: tuple[Known, ...]
    known: tuple[Known, ...]


def compare(remembered: Sequence[Known], examined: Sequence[Examined]) -> Changes:
    """What differs from what is remembered. Pure."""
    places = {one.place for one in remembered}
    found = [_known(one.group, finding) for one in examined for finding in one.findings]
    still = {one.place for one in found}
    complete = {one.group for one in examined if one.complete}
    left = [one for one in remembered if one.place not in still]
    return Changes(
        new=tuple(
            Examined(
                one.group,
                tuple(finding for finding in one.findings if _known(one.group, finding).place not in places),
                one.complete,
            )
            for one in examined
        ),
        gone=tuple(one for one in left if one.group in complete),
        known=(*found, *(one for one in left if one.group not in complete)),
    )


def _known(group: str, finding: Finding) -> Known:
    return Known(group, finding.code.id, finding.where, finding.what)


def read(file: NodeFile) -> tuple[Known, ...]:
    """What was remembered; nothing where that can't be read."""
    match file.content():
        case {"version": version, "known": list(rows)} if version == _VERSION and all(map(_is_row, rows)):
            return tuple(Known(*row) for row in rows)
        case _:
            return ()


def _is_row(row: object) -> bool:
    return isinstance(row, list) and len(row) == 4 and all(isinstance(word, str) for word in row)


def write(file: NodeFile, known: Iterable[Known]) -> None:
    """Remember. Raises OSError."""
    file.write({"version": _VERSION, "known": [astuple(one) for one in known]})
