"""The answer to a look-up: found, absent, or unavailable.

"I don't know" is never "no": only Absent may become a permanent refusal, Unavailable is always
a deferral.
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
class Unavailable:
    """Nobody can say now. The reason is for the log."""

    reason: str


ABSENT = Absent()

Lookup: TypeAlias = Found[T] | Absent | Unavailable
