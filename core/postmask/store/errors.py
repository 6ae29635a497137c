"""What can go wrong with an operation on the store, worded for the person who asked for it.

Each message says what is wrong and what to do about it; the CLI prints it as it is.
"""

# ruff: noqa: N818 (named for what is the case: "raise NotFound" reads as a sentence)

from __future__ import annotations

from collections.abc import Sequence

_LISTED = 1000


class StoreError(Exception):
    """An operation was not done. keep: what it had written so far is to be committed all the same."""

    keep = False


class Duplicate(StoreError):
    """It is there already."""


class NotFound(StoreError):
    """It isn't there."""


class NoFile(NotFound):
    """There is no such file."""


class Refused(StoreError):
    """It is against a rule."""


class WrongCode(Refused):
    """The confirmation code is wrong; the attempt has been counted."""

    keep = True


class InUse(StoreError):
    """Others depend on it. dependents: what they are, in order, as many as somebody may read."""

    def __init__(self, message: str, dependents: Sequence[str]) -> None:
        super().__init__(message)
        self.dependents = tuple(dependents[:_LISTED])


class StoreUnavailable(StoreError):
    """The database can't be reached, doesn't answer, or isn't in a state to be used."""


class Unwritable(StoreUnavailable):
    """A file can't be made."""


class BeingMoved(StoreUnavailable):
    """The database can't be changed while it is being moved."""


class Moved(StoreUnavailable):
    """Another database is the one in use."""
