"""Fixtures for all tests: what is dear to start is started once a session.

With `pytest -n 3` (as `make test` does it) a session is a worker process. Tests that share something dear
go to one worker; of the others those of one file do, but for those marked as apart. These come first, then
the large groups, so that no worker is left alone with them at the end.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import postgres as postgres_server
from nameserver import nameserver

__all__ = ["nameserver", "postgres"]

# On a busy machine any example may take long; where time matters, a test says so itself.
settings.register_profile("calm", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("calm")


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgres_server.Cluster]:
    """A real PostgreSQL server; `postgres.fresh()` is the owner's URL of a new, empty database."""
    with postgres_server.running() as cluster:
        yield cluster


_SHARED = ("service", "faulty", "counted")
_LONG_FIRST = {"e2e": 0, "integration": 1}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """For --dist loadgroup: together what shares a service, else a file, unless its tests are apart."""
    groups = {item: _group(item) for item in items}
    sizes = collections.Counter(groups.values())
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(
        key=lambda item: (
            not _is_apart(item),
            _LONG_FIRST.get(_kind(item), 2),
            -sizes[groups[item]],
            groups[item],
        )
    )


def pytest_collection_finish(session: pytest.Session) -> None:
    """The groups are heeded: else each worker starts all that is dear, and nobody notices."""
    if session.config.getoption("loadgroup", False) and not all("@" in item.nodeid for item in session.items):
        raise pytest.UsageError("pytest-xdist doesn't group tests with this pytest: install what is locked")


def _is_apart(item: pytest.Item) -> bool:
    return item.get_closest_marker("apart") is not None


def _group(item: pytest.Item) -> str:
    assert isinstance(item, pytest.Function)
    if _is_apart(item):
        return item.nodeid
    chosen = item.callspec.params if hasattr(item, "callspec") else {}
    shared = next((f"{name}-{chosen[name]}" for name in _SHARED if name in chosen), "")
    return shared or item.nodeid.partition("::")[0]


def _kind(item: pytest.Item) -> str:
    """Of the tests, by their folder."""
    return item.path.relative_to(Path(__file__).parent).parts[0]
