"""A large change leaves no large log behind: the truth, the replica, the spool."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from postmask import wal
from postmask.clock import ManualClock
from postmask.spool import tables
from postmask.store.engine import Use, make_engine
from postmask.store.replica import file
from postmask.store.replica.feed import Identity
from postmask.store.schema import init
from postmask.store.session import transaction

KEPT = 300_000
LARGE, SMALL = 6_000_000, 10

Change = Callable[[int], None]


@contextlib.contextmanager
def truth(path: Path) -> Iterator[Change]:
    """The database as the agent has it; others have it open."""
    url = f"sqlite:///{path}"
    init(url, ManualClock())
    directory = make_engine(url, Use.DIRECTORY)
    engine = make_engine(url, Use.INTAKE)

    def change(octets: int) -> None:
        with transaction(engine) as session:
            session.execute(text("UPDATE account SET name = :name"), {"name": "x" * octets})

    with directory.connect() as stays:
        stays.execute(text("SELECT 1 FROM account"))
        yield change
    directory.dispose()


class _Snapshot:
    """What a feed would tell: an account whose name has so many octets. Each time another change."""

    def __init__(self, change: int, octets: int) -> None:
        self._change, self._octets = change, octets

    def number(self) -> int:
        return self._change

    def deletions(self, _after: int) -> Iterator[Any]:
        yield from ()

    def rows(self, table: Any, _after: int = -1) -> Iterator[Any]:
        if table.name == "account":
            values = {"id": 1, "name": "x" * self._octets, "created": 1.0, "disabled_at": None}
            yield [tuple(values.get(column, self._change) for column in table.columns)]


@contextlib.contextmanager
def replica(path: Path) -> Iterator[Change]:
    changes = iter(range(1, 100))
    identity = Identity("1", 1, 1, 1, 1, "0001")
    first: Any = _Snapshot(next(changes), SMALL)
    file.make(path, contextlib.nullcontext(first), identity, 1.0)

    def change(octets: int) -> None:
        snapshot: Any = _Snapshot(next(changes), octets)
        opened.apply(snapshot)

    with file.ReplicaFile(path) as opened:
        yield change


@contextlib.contextmanager
def spool(path: Path) -> Iterator[Change]:
    def change(octets: int) -> None:
        connection.execute("INSERT INTO told_truth VALUES (?)", ("x" * octets,))

    with contextlib.closing(tables.opened(path)) as connection:
        yield change


@pytest.mark.parametrize("opening", [truth, replica, spool])
def test_the_log_shrinks_again_while_the_file_is_open(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    opening: Callable[[Path], contextlib.AbstractContextManager[Change]],
) -> None:
    monkeypatch.setattr(wal, "LIMIT", f"PRAGMA journal_size_limit = {KEPT}")
    log = tmp_path / "file.db-wal"
    with opening(tmp_path / "file.db") as change:
        change(LARGE)
        assert log.stat().st_size > LARGE
        change(SMALL)
        change(SMALL)
        assert log.stat().st_size <= KEPT
