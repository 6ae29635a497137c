"""Fixtures for all tests: what is dear to start is started once a session.

With `pytest -n 2` (as `make test` does it) a session is a worker process. Tests that share something dear
go to one worker; of the others those of one file do.
"""

from __future__ import annotations

from collections.abc import Iterator

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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """For --dist loadgroup: together what shares a service, else a file."""
    for item in items:
        assert isinstance(item, pytest.Function)
        chosen = item.callspec.params if hasattr(item, "callspec") else {}
        shared = next((f"{name}-{chosen[name]}" for name in _SHARED if name in chosen), "")
        item.add_marker(pytest.mark.xdist_group(shared or item.nodeid.partition("::")[0]))
