"""Feeding a reader of answers as a socket would."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from postmask.spam.engine import Reader
from postmask.spam.judgement import EngineError, Reason

T = TypeVar("T")


def chunked(octets: bytes, size: int) -> Iterator[bytes]:
    """In pieces of that size."""
    return (octets[start : start + size] for start in range(0, len(octets), size))


def outcome(reader: Reader[T], pieces: Iterable[bytes]) -> T | Reason:
    """What the reader makes of an answer that ends after the pieces."""
    try:
        for piece in pieces:
            found = reader.feed(piece)
            if found is not None:
                return found
        return reader.end()
    except EngineError as error:
        return error.reason
