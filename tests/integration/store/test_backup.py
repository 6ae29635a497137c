"""Copies of a truth on SQLite, and bringing one back under its readers' eyes."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from postmask.directory.lookup import ABSENT, Found
from postmask.store import schema
from postmask.store.admin import aliases
from postmask.store.backup import backup, restore
from postmask.store.errors import NoFile, StoreError
from truth import KEYS, Truth, made


@pytest.fixture
def truth(tmp_path: Path) -> Iterator[Truth]:
    with made(f"sqlite:///{tmp_path}/truth.db") as truth:
        truth.furnish()
        yield truth


def add(truth: Truth, address: str) -> None:
    truth.do(aliases.add, KEYS, address, ["bob@real.test"], now=1.0)


def test_there_and_back(truth: Truth, tmp_path: Path) -> None:
    directory = truth.directory()
    assert isinstance(directory.alias("shop@alias.test"), Found)
    backup(truth.url, tmp_path / "copy.db")
    add(truth, "later@alias.test")
    assert isinstance(directory.alias("later@alias.test"), Found)
    assert restore(truth.url, tmp_path / "copy.db") == 2
    assert directory.alias("later@alias.test") == ABSENT
    assert isinstance(directory.alias("shop@alias.test"), Found)
    assert schema.status(truth.url).generation == 2
    assert restore(truth.url, tmp_path / "copy.db") == 3
    assert {path.name for path in tmp_path.iterdir()} <= {
        "truth.db",
        "truth.db-wal",
        "truth.db-shm",
        "copy.db",
    }


def test_a_path_with_two_slashes_in_front(truth: Truth, tmp_path: Path) -> None:
    copy = Path(f"/{tmp_path}/copy.db")
    assert str(copy).startswith("//")
    backup(truth.url, copy)
    assert restore(truth.url, copy) == 2


def test_the_copy_is_its_owners_alone(truth: Truth, tmp_path: Path) -> None:
    backup(truth.url, tmp_path / "copy.db")
    assert (tmp_path / "copy.db").stat().st_mode & 0o077 == 0


def test_onto_a_new_machine(truth: Truth, tmp_path: Path) -> None:
    backup(truth.url, tmp_path / "copy.db")
    url = f"sqlite:///{tmp_path}/new.db"
    assert restore(url, tmp_path / "copy.db") == 2
    assert isinstance(truth.directory(url).alias("shop@alias.test"), Found)


def test_over_a_damaged_database(truth: Truth, tmp_path: Path) -> None:
    backup(truth.url, tmp_path / "copy.db")
    truth.close()
    (tmp_path / "truth.db").write_bytes(os.urandom(8192))
    with pytest.raises(StoreError, match=r"truth\.db"):
        restore(truth.url, tmp_path / "copy.db")


def test_a_backup_while_others_write(truth: Truth, tmp_path: Path) -> None:
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            add(truth, f"w{number}@alias.test")
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            backup(truth.url, tmp_path / f"copy{number}.db")
    finally:
        stop.set()
        writer.join()
    for number in range(5):
        with sqlite3.connect(tmp_path / f"copy{number}.db") as copy:
            assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_what_a_killed_one_left_is_cleared_away_a_day_later(truth: Truth, tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from postmask.store.backup import new_file\n"
        "with new_file(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    )
    folder = tmp_path / "copies"
    folder.mkdir()
    assert subprocess.run([sys.executable, "-c", program, str(folder / "killed.db")]).returncode == -9
    (left,) = folder.iterdir()
    backup(truth.url, folder / "today.db")
    assert left.exists()  # it may be one that is being made
    os.utime(left, (time.time() - 90_000,) * 2)
    backup(truth.url, folder / "tomorrow.db")
    assert {path.name for path in folder.iterdir()} == {"today.db", "tomorrow.db"}


def test_nothing_is_overwritten(truth: Truth, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("precious")
    with pytest.raises(StoreError, match="exists"):
        backup(truth.url, tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_text() == "precious"


def test_what_is_no_copy_of_ours(truth: Truth, tmp_path: Path) -> None:
    before = schema.status(truth.url)
    (tmp_path / "text").write_text("hello " * 1000)
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE t (x)")
    backup(truth.url, tmp_path / "newer.db")
    with sqlite3.connect(tmp_path / "newer.db") as newer:
        newer.execute("UPDATE alembic_version SET version_num = '9999'")
    backup(truth.url, tmp_path / "torn.db")
    with (tmp_path / "torn.db").open("r+b") as torn:
        torn.truncate(40960)
    (tmp_path / "empty").touch()
    for name in ("text", "other.db", "newer.db", "torn.db", "empty"):
        with pytest.raises(StoreError):
            restore(truth.url, tmp_path / name)
    with pytest.raises(NoFile):
        restore(truth.url, tmp_path / "none")
    assert schema.status(truth.url) == before
    assert isinstance(truth.directory().alias("shop@alias.test"), Found)


def test_where_nothing_can_be_written(truth: Truth, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nowhere"):
        backup(truth.url, tmp_path / "nowhere" / "copy.db")


def test_an_older_copy_is_brought_up_to_date(
    truth: Truth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgraded: list[Any] = []
    monkeypatch.setattr(schema, "upgrade", lambda url: upgraded.append(url))
    backup(truth.url, tmp_path / "copy.db")
    restore(truth.url, tmp_path / "copy.db")
    assert len(upgraded) == 1
    assert upgraded[0] != truth.url


def test_rows_without_their_parent_are_found(truth: Truth, tmp_path: Path) -> None:
    backup(truth.url, tmp_path / "copy.db")
    with sqlite3.connect(tmp_path / "copy.db") as copy:
        copy.execute("DELETE FROM domain")
    with pytest.raises(StoreError, match="damaged"):
        restore(truth.url, tmp_path / "copy.db")
    with truth.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM domain")) == 1
