"""Every test with the fixture `truth` runs on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from truth import Truth, made


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An owner's URL with nothing behind it yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/truth.db"
    return request.getfixturevalue("postgres").fresh()


@pytest.fixture
def truth(empty_url: str) -> Iterator[Truth]:
    """A database with its schema and the default account."""
    with made(empty_url) as truth:
        yield truth


@pytest.fixture
def furnished(truth: Truth) -> Truth:
    """The same with a domain, two mailboxes and an alias."""
    truth.furnish()
    return truth
