"""Every test with the fixture `truth` or `furnished` runs on both databases, each on a copy of its own."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from postgres import Cluster
from truth import Truth, made, opened

Copier = Callable[[str], str]


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An owner's URL with nothing behind it yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/truth.db"
    return request.getfixturevalue("postgres").fresh()


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def templates(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """URLs of what is copied for each test, made once: "bare" has the schema, "furnished" more."""
    urls = {}
    for name in ("bare", "furnished"):
        if request.param == "sqlite":
            urls[name] = f"sqlite:///{tmp_path_factory.mktemp('templates')}/{name}.db"
        else:
            urls[name] = request.getfixturevalue("postgres").fresh()
        with made(urls[name]) as truth:
            if name == "furnished":
                truth.furnish()
    return urls


@pytest.fixture
def copied(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Copier]:
    """Makes a copy of a template and gives its URL."""
    dropped = contextlib.ExitStack()

    def copy(url: str) -> str:
        if url.startswith("sqlite"):
            target = shutil.copy(url.removeprefix("sqlite:///"), tmp_path / "truth.db")
            return f"sqlite:///{target}"
        server: Cluster = request.getfixturevalue("postgres")
        copied = server.copy(url)
        dropped.callback(server.drop, copied)
        return copied

    with dropped:
        yield copy


@pytest.fixture
def truth(templates: dict[str, str], copied: Copier) -> Iterator[Truth]:
    """A database with its schema and the default account."""
    with opened(copied(templates["bare"])) as truth:
        yield truth


@pytest.fixture
def furnished(templates: dict[str, str], copied: Copier) -> Iterator[Truth]:
    """The same with a domain, two mailboxes and an alias."""
    with opened(copied(templates["furnished"])) as truth:
        yield truth
