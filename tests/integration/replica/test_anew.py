"""When following isn't enough: another truth, a damaged file, a day gone by. Readers go on meanwhile."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text

from ports import free_port
from postmask.clock import DAY, SystemClock
from postmask.directory.lookup import Found, Lookup
from postmask.directory.records import Alias
from postmask.store.admin import aliases
from postmask.store.engine import parse_url
from postmask.store.errors import StoreUnavailable
from postmask.store.replica import file
from postmask.store.replica.feed import Snapshot
from postmask.store.replica.file import ReplicaDamagedError, ReplicaFile
from replica_node import ReplicaNode, node_url, wait_for
from replicas import newest
from truth import KEYS, Truth

DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut off": lambda path: os.truncate(path, 5000),
    "emptied": lambda path: os.truncate(path, 0),
    "overwritten": lambda path: _overwrite(path, path.stat().st_size),
    "its head overwritten": lambda path: _overwrite(path, 4096),
    "removed": lambda path: path.unlink(),
}


def _overwrite(path: Path, octets: int) -> None:
    with path.open("r+b") as file:
        file.write(os.urandom(octets))


def said(truth: Truth, statement: str) -> None:
    with truth.engine.begin() as connection:
        connection.execute(text(statement))


class Reader:
    """Asks for a known alias again and again, in a thread of its own."""

    def __init__(self, ask: Callable[[], Lookup[Alias]]) -> None:
        self._ask = ask
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.answers = 0
        self.others: list[object] = []

    def _run(self) -> None:
        while not self._stop.is_set():
            answer = self._ask()
            self.answers += 1
            if not isinstance(answer, Found):
                self.others.append(answer)

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@pytest.mark.parametrize(
    ("what", "statement"),
    [
        ("generation", "UPDATE generation SET number = number + 1"),
        ("schema", "UPDATE alembic_version SET version_num = '0999'"),
        ("gone back", "SELECT setval('change_number', 1)"),
    ],
)
def test_another_truth_is_copied_anew(
    truth: Truth, node: ReplicaNode, caplog: pytest.LogCaptureFixture, what: str, statement: str
) -> None:
    directory = node.directory()
    with Reader(lambda: directory.alias("shop@alias.test")) as reader:
        said(truth, statement)
        wait_for(lambda: node.number() == 2, "a new file")
        seen = reader.answers
        wait_for(lambda: reader.answers > seen + 100, "answers from it")
    assert reader.others == []
    assert what in caplog.text


def test_the_old_files_go_but_for_the_last(truth: Truth, node: ReplicaNode) -> None:
    for number in (2, 3, 4):
        said(truth, "UPDATE generation SET number = number + 1")
        wait_for(lambda number=number: node.number() == number, "the next file")
    wait_for(lambda: len(list(node.folder.path.glob("directory.*.db"))) == 2, "the end of old ones")
    assert {path.name for path in node.folder.path.glob("directory.*.db")} == {
        "directory.3.db",
        "directory.4.db",
    }


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_replica_is_made_anew(truth: Truth, node: ReplicaNode, damage: str) -> None:
    """With the truth there, readers don't even notice."""
    directory = node.directory()
    with Reader(lambda: directory.alias("shop@alias.test")) as reader:
        path = node.folder.current()
        assert path is not None
        DAMAGES[damage](path)
        wait_for(lambda: node.number() == 2, "a new file")
    assert reader.others == []
    node.await_current(truth)
    assert isinstance(node.alone().alias("shop@alias.test"), Found)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_while_nobody_looked(truth: Truth, node: ReplicaNode, damage: str) -> None:
    node.stop()
    path = node.folder.current()
    assert path is not None
    DAMAGES[damage](path)
    node.follow()
    wait_for(lambda: node.number() == 2, "a new file")
    node.await_current(truth)
    assert isinstance(node.alone().alias("shop@alias.test"), Found)


def test_what_a_reader_says_is_looked_into(truth: Truth, node: ReplicaNode) -> None:
    """Once: where nothing is wrong all stays; damage behind the head is found by who reads it alone."""
    path = node.folder.current()
    assert path is not None
    node.folder.complain(path)
    wait_for(lambda: not node.folder.complained(path), "the look")
    assert node.number() == 1
    with path.open("r+b") as whole:
        whole.seek(4096)
        whole.write(os.urandom(path.stat().st_size - 2 * 4096))
    directory = node.directory()
    wait_for(
        lambda: isinstance(directory.alias("shop@alias.test"), Found) and node.number() == 2, "a new one"
    )


def test_a_copy_that_can_not_be_brought_up_to_date_is_made_again(
    truth: Truth, node: ReplicaNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Truth or disk was away for a moment. Followed is what readers have, and nothing else."""
    make, apply, failed = file.make, ReplicaFile.apply, threading.Event()
    point, behind = node.folder.point, []

    def overtaken(path: Path, *rest: object) -> None:
        make(path, *rest)  # type: ignore[arg-type]  # as it is called
        said(truth, "UPDATE alias SET note = 'meanwhile'")

    def failing_once(replica: ReplicaFile, snapshot: Snapshot) -> None:
        if replica.path != node.folder.current() and not failed.is_set():
            failed.set()
            raise StoreUnavailable("not now")
        apply(replica, snapshot)

    def pointing(path: Path) -> None:
        with contextlib.closing(sqlite3.connect(path)) as copy:
            behind.append((newest(truth.engine), *copy.execute("SELECT change FROM replica").fetchone()))
        point(path)

    monkeypatch.setattr(node.folder, "point", pointing)
    monkeypatch.setattr(file, "make", overtaken)
    monkeypatch.setattr(ReplicaFile, "apply", failing_once)
    said(truth, "UPDATE generation SET number = number + 1")
    wait_for(lambda: node.number() > 1, "a new file")
    node.await_current(truth)
    ((given, copied),) = behind
    assert copied == given, "readers don't go back"


def test_a_half_written_copy_is_never_pointed_to(truth: Truth, node: ReplicaNode) -> None:
    """Its file lies there after a crash: it is replaced, or removed."""
    node.stop()
    half = node.folder.next()
    half.write_bytes(b"SQLite format 3\0" + bytes(4080))
    with pytest.raises(ReplicaDamagedError):
        ReplicaFile(half)
    node.follow()
    wait_for(lambda: not half.exists(), "its end")
    assert node.number() == 1


@pytest.mark.parametrize("pointer", ["", "directory.9.db", "../../etc/passwd", "\xff\xfe"])
def test_a_pointer_to_nowhere(truth: Truth, node: ReplicaNode, pointer: str) -> None:
    node.stop()
    (node.folder.path / "directory").write_text(pointer, encoding="latin-1")
    directory = node.directory()
    assert isinstance(directory.alias("shop@alias.test"), Found)
    node.follow()
    node.await_current(truth)
    assert isinstance(node.alone().alias("shop@alias.test"), Found)


@dataclass(slots=True)
class Shifted(SystemClock):
    """The machine's clock, put wrong by some seconds."""

    by: float = 0.0

    def now(self) -> float:
        return SystemClock.now(self) + self.by


@pytest.mark.parametrize("by", [DAY + 60.0, -DAY - 60.0])
def test_once_a_day_and_when_the_clock_jumps(truth: Truth, tmp_path: Path, by: float) -> None:
    clock = Shifted()
    with ReplicaNode(node_url(truth), tmp_path / "directory", clock) as node:
        node.follow(poll=0.3)
        node.await_current(truth)
        clock.by = by
        wait_for(lambda: node.number() == 2, "a new file")
        truth.do(aliases.add, KEYS, "later@alias.test", ["bob@real.test"], now=1.0)
        node.await_current(truth)
        assert node.number() == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE alembic_version SET version_num = '0001'",
        "UPDATE generation SET reader = '9999'",
        "DELETE FROM alembic_version",
    ],
)
def test_a_schema_outside_the_range_stops_the_copying_and_not_the_mail(
    truth: Truth, node: ReplicaNode, caplog: pytest.LogCaptureFixture, statement: str
) -> None:
    said(truth, statement)
    said(truth, "UPDATE alias SET note = 'unseen'")
    wait_for(lambda: "replica.incompatible" in caplog.text, "the line in the log")

    def said_by_the_state() -> bool:
        state = node.folder.read_state()
        return (
            state is not None
            and state.file == "directory.1.db"
            and ("postmask db" in state.trouble or "upgrade Postmask" in state.trouble)
        )

    wait_for(said_by_the_state, "the same in the state")
    assert isinstance(node.directory().alias("shop@alias.test"), Found)


def test_started_while_the_database_is_away_it_still_knows_how_old_it_is(
    truth: Truth, node: ReplicaNode
) -> None:
    node.stop()
    before = node.folder.read_state()
    assert before is not None
    assert before.synced_at > 0.0
    nobody = parse_url(node.url).set(port=free_port()).render_as_string(hide_password=False)
    with ReplicaNode(nobody, node.folder.path) as later:
        later.follow()
        wait_for(lambda: (told := node.folder.read_state()) and told.trouble, "what keeps it")
        told = node.folder.read_state()
    assert told is not None
    assert (told.file, told.synced_at) == (before.file, before.synced_at)


def test_a_newer_schema_that_we_can_read_is_followed(truth: Truth, node: ReplicaNode) -> None:
    said(truth, "ALTER TABLE alias ADD COLUMN colour text")
    said(truth, "UPDATE alembic_version SET version_num = '9999'")
    truth.do(aliases.add, KEYS, "later@alias.test", ["bob@real.test"], now=1.0)
    wait_for(lambda: node.number() == 2, "a new file")
    node.await_current(truth)
    assert isinstance(node.alone().alias("later@alias.test"), Found)


def test_no_place_on_the_disk_for_a_copy(truth: Truth, tmp_path: Path) -> None:
    """A folder that can't be made: said, tried again, and in nobody's way."""
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "directory"
    with ReplicaNode(node_url(truth), path) as node:
        node.follow()
        assert isinstance(node.directory().alias("shop@alias.test"), Found)
        (tmp_path / "file").unlink()
        (tmp_path / "file").mkdir()
        node.await_current(truth)


def test_a_slow_disk_keeps_no_transaction_waiting(
    truth: Truth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postgres ends one in which a node is idle (store.roles): a large copy could never be finished."""
    url = node_url(truth)
    said(truth, f"ALTER ROLE {parse_url(url).username} SET idle_in_transaction_session_timeout = '1s'")
    finish = file._finish

    def slowly(path: Path) -> None:
        time.sleep(2.0)
        finish(path)

    monkeypatch.setattr(file, "_finish", slowly)
    with ReplicaNode(url, tmp_path / "directory") as node:
        node.follow()
        node.await_current(truth, 60.0)
        assert node.number() == 1
