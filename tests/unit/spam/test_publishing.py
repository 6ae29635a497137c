"""Figures in files: those of running programs are read, whole or not at all."""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path

import pytest

from postmask.clock import Deadline, ManualClock
from postmask.spam.bypass import Bypass
from postmask.spam.engine import Facts
from postmask.spam.publishing import Publisher, published
from postmask.spam.scanner import Scanner


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def test_they_are_written_when_they_change(tmp_path: Path, clock: ManualClock) -> None:
    scanner = Scanner([], clock, Bypass(tmp_path, clock).in_force)
    publisher = Publisher(tmp_path, "forwarder", scanner, clock)
    publisher.write()
    (record,) = published(tmp_path)
    assert record == {
        "program": "forwarder",
        "pid": os.getpid(),
        "at": clock.now(),
        "messages": 0,
        "scanned": 0,
        "unscanned": {},
        "in_flight": 0,
        "max_in_flight": 100,
        "engines": [],
    }
    clock.advance(5)
    publisher.write()
    assert [*published(tmp_path)] == [record]
    scanner.scan(b"", Facts(), Deadline.after(clock, 1))
    publisher.write()
    (later,) = published(tmp_path)
    assert (later["at"], later["unscanned"]) == (clock.now(), {"no engine": 1})
    publisher.close()
    assert [*tmp_path.iterdir()] == []


def test_a_thread_writes_them_and_clears_away_what_the_dead_left(tmp_path: Path, clock: ManualClock) -> None:
    left = tmp_path / f"spam.forwarder.{os.getppid()}.json"  # its process id is another process's by now
    left.write_text('{"program": "forwarder"}')
    others = tmp_path / "spam.milter.999999999.json"
    others.write_text('{"program": "milter"}')
    assert [*published(tmp_path)] == []
    publisher = Publisher(tmp_path, "forwarder", Scanner([], clock, Bypass(tmp_path, clock).in_force), clock)
    publisher.start()
    deadline = Deadline.after(clock, 1)
    while not [*published(tmp_path)]:
        assert not deadline.passed
    assert not left.exists()
    assert others.exists()
    publisher.close()
    assert [*published(tmp_path)] == []


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"{"])
def test_what_is_no_record_is_skipped(tmp_path: Path, content: bytes) -> None:
    with (tmp_path / "spam.forwarder.7.json").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.write(content)
        held.flush()
        assert [*published(tmp_path)] == []


def test_a_folder_that_cant_be_written_is_told_of_once(
    tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "none"
    publisher = Publisher(folder, "forwarder", Scanner([], clock, Bypass(folder, clock).in_force), clock)
    with caplog.at_level(logging.WARNING):
        publisher.write()
        publisher.write()
    assert len(caplog.records) == 1
    folder.mkdir()
    publisher.write()
    assert len([*published(folder)]) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"program": "forw',
        b"[]",
        b'{"program": "forwarder"}',
        b'{"program": "forwarder", "engines": 3}',
        b'{"program": "forwarder", "engines": [3]}',
        b'{"program": ["forwarder"], "engines": []}',
        b"[" * 60_000,
        b'{"program": "forwarder", "engines": [], "more": "' + b"x" * 70_000 + b'"}',
    ],
)
def test_what_are_no_figures_is_skipped(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "spam.forwarder.1.json"
    file.write_bytes(content)
    with file.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert [*published(tmp_path)] == []


def test_a_fifo_isnt_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "spam.forwarder.1.json")
    assert [*published(tmp_path)] == []
