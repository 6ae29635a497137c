"""Aliases that go for good, where they are so many that others would wait for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from postmask.cli.runtime import Runtime

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from postmask.keys import Keyring


def pieces(
    runtime: Runtime, purge_piece: Callable[[Session, Keyring, str, float], list[str] | None], name: str
) -> Iterator[str]:
    """The aliases that had to go before the rest can, a transaction for each of the pieces."""
    while True:
        with runtime.changing() as session:
            piece = purge_piece(session, runtime.keys, name, runtime.clock.now())
        if piece is None:
            return
        yield from piece
