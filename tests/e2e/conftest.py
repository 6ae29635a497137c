"""Services for the end-to-end tests: shared ones, in the two forms that get the whole suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
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
