"""Long lists in pieces, because a statement takes only so many parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

_PARAMETERS = 500


def batched(items: Iterable[T], size: int = _PARAMETERS) -> Iterator[list[T]]:
    """The items in order, in lists of at most `size`; no empty list."""
    rest = iter(items)
    while piece := list(islice(rest, size)):
        yield piece
