"""Fixtures for all tests: what is dear to start is started once a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import postgres as postgres_server
from nameserver import nameserver

__all__ = ["nameserver", "postgres"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgres_server.Cluster]:
    """A real PostgreSQL server; `postgres.fresh()` is the owner's URL of a new, empty database."""
    with postgres_server.running() as cluster:
        yield cluster
