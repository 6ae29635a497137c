"""The real engines, one of each for all tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import spam_engines
from spam_engines import RunningEngine


@pytest.fixture(scope="session")
def spamd() -> Iterator[RunningEngine]:
    with spam_engines.spamd() as running:
        yield running


@pytest.fixture(scope="session")
def rspamd() -> Iterator[RunningEngine]:
    with spam_engines.rspamd() as running:
        yield running


@pytest.fixture(params=["spamd", "rspamd"])
def engine(request: pytest.FixtureRequest) -> RunningEngine:
    running = request.getfixturevalue(str(request.param))
    assert isinstance(running, RunningEngine)
    return running
