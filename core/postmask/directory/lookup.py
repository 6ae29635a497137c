"""The answer to a look-up: found, absent, or unavailable.

"I don't know" is never "no": only Absent may become a permanent refusal, Unavailable is always
a deferral.

DIAGNOSTICS
    UnknownNowError: from known(), for whoever defers further up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """It is there."""

    value: T


@dataclass(frozen=True, slots=True)
class Absent:
    """It is certain that it isn't there."""


@dataclass(frozen=True, slots=True)
class Gone(Absent):
    """And it is known to have been there."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Nobody can say now. The reason is for the log."""

    reason: str


ABSENT = Absent()
GONE = Gone()

Lookup: TypeAlias = Found[T] | Absent | Unavailable


class UnknownNowError(Exception):
    """What has to be known can't be looked up now."""


def known(answer: Lookup[T]) -> T | None:
    """What was found, None if it isn't there. Raises UnknownNowError."""
    if isinstance(answer, Unavailable):
        raise UnknownNowError(answer.reason)
    return answer.value if isinstance(answer, Found) else None
