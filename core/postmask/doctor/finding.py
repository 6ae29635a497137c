"""What the doctor can find: a code for each kind of trouble, a finding for each case of it. Pure.

A code is stable: its number, once given, never means something else. Its words are what the manual page
postmask-doctor(7) prints.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass


class Severity(enum.StrEnum):
    """How bad it is: mail is lost, refused or let through wrongly; it may come to that; worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of trouble.

    id: "PM" and three digits. sentence: what is wrong, in general. why: why it matters. advice: what to do
    about it. Each is one or two whole sentences.
    """

    id: str
    severity: Severity
    sentence: str
    why: str
    advice: str

    def at(self, where: str, what: str = "", *, advice: str = "") -> Finding:
        """A case of it. what, advice: where this case has more to say than the code's own words."""
        return Finding(self, where, what or self.sentence, advice or self.advice)


@dataclass(frozen=True, slots=True)
class Finding:
    """A case of trouble. where: the thing that has it, in words that stay the same from run to run: by code
    and place a finding is known again. what: what is wrong with it, with all the figures."""

    code: Code
    where: str
    what: str
    advice: str


def declared(namespace: Mapping[str, object]) -> tuple[Code, ...]:
    """The codes that a module declares, of its globals(), in their order."""
    return tuple(value for value in namespace.values() if isinstance(value, Code))


def error(id: str, sentence: str, why: str, advice: str) -> Code:  # noqa: A002 - it is the code's field
    """A code for what is broken: mail is lost, refused, or let through wrongly."""
    return Code(id, Severity.ERROR, sentence, why, advice)


def warning(id: str, sentence: str, why: str, advice: str) -> Code:  # noqa: A002 - it is the code's field
    """A code for what may break something, or did so for some mail."""
    return Code(id, Severity.WARNING, sentence, why, advice)


def notice(id: str, sentence: str, why: str, advice: str) -> Code:  # noqa: A002 - it is the code's field
    """A code for what is worth knowing; it doesn't change the exit status."""
    return Code(id, Severity.NOTICE, sentence, why, advice)
