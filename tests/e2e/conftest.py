"""Services for the end-to-end tests: shared ones, in the two forms that get the whole suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import fatal_steps
import postgres as postgres_server
from lab import lab
from nameserver import Nameserver
from service import Service

FORMS = {"sqlite-pipe": "pipe", "postgres-lmtp": "lmtp"}


@pytest.fixture(scope="session")
def names() -> Iterator[Nameserver]:
    """One name server for all services."""
    server = Nameserver()
    yield server
    server.close()


@pytest.fixture(scope="session", params=FORMS)
def service(request: pytest.FixtureRequest, names: Nameserver) -> Iterator[Service]:
    """A running alias service, shared by the whole session: leave no setting of it changed."""
    form = str(request.param)
    database = request.getfixturevalue("postgres").fresh() if form.startswith("postgres") else None
    with lab(door=FORMS[form], database=database, nameserver=names.text) as running:
        yield Service(form, running, names)


@pytest.fixture(scope="session")
def faulty_cluster() -> Iterator[postgres_server.Cluster]:
    """A database server that nobody else depends on: it may be stopped."""
    with postgres_server.running() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def faulty_pipe(names: Nameserver) -> Iterator[Service]:
    """A service that is broken again and again, and mended each time; the pipe door, on SQLite."""
    with lab(door="pipe", nameserver=names.text) as running:
        yield Service("faulty-pipe", running, names)


@pytest.fixture(scope="session")
def faulty_lmtp(names: Nameserver, faulty_cluster: postgres_server.Cluster) -> Iterator[Service]:
    """The same by the lmtp door, on Postgres."""
    with lab(door="lmtp", database=faulty_cluster.fresh(), nameserver=names.text) as running:
        yield Service("faulty-lmtp", running, names)


@pytest.fixture(params=["faulty_pipe", "faulty_lmtp"])
def faulty(request: pytest.FixtureRequest) -> Service:
    """Both, one after the other."""
    made = request.getfixturevalue(str(request.param))
    assert isinstance(made, Service)
    return made


@pytest.fixture(scope="module", params=["pipe", "lmtp"])
def counted(request: pytest.FixtureRequest, names: Nameserver) -> Iterator[Service]:
    """A service of a file's own: the whole of its log is accounted for. Its forwarder can be told to die."""
    door = str(request.param)
    cluster: postgres_server.Cluster = request.getfixturevalue("postgres")
    database = cluster.fresh() if door == "lmtp" else None
    with lab(door=door, database=database, nameserver=names.text, programs=fatal_steps.COMMANDS) as running:
        running.await_forwarder()
        yield Service(f"counted-{door}", running, names)
