"""The spool full, read-only or locked: mail waits, comes once, and flows when it can be kept again."""

from __future__ import annotations

import contextlib
import re
import signal
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from faults import Watch, await_flow, fill, message, mounted, pass_foreign, remount, subjects
from postmask_postfix import lab as labs
from service import Service
from stand_ins import passage

UNKNOWN = "nobody-of-this-name@alias.test"


@contextlib.contextmanager
def _disk(service: Service) -> Iterator[Path]:
    """A small disk for the spool alone, and nothing in the queue."""
    service.lab.await_empty_queue()
    with mounted(service.lab.directory / "disk", "3m") as folder, _spool_at(service, folder / "spool.db"):
        yield folder


@pytest.fixture
def disk(faulty: Service) -> Iterator[Path]:
    with _disk(faulty) as folder:
        yield folder


@contextlib.contextmanager
def _spool_at(service: Service, path: Path) -> Iterator[None]:
    """The programs with their spool there."""
    config = service.lab.config.read_text()
    moved = re.sub(r'(\[spool\]\npath = )"[^"]*"', rf'\1"{path}"', config)
    assert str(path) in moved
    _kill_programs(service)
    service.lab.config.write_text(moved)
    try:
        service.lab.up()
        yield
    finally:
        _kill_programs(service)
        service.lab.config.write_text(config)
        service.lab.up()


def _kill_programs(service: Service) -> None:
    """Those that run."""
    pids = labs.status(service.lab.directory)["pids"]
    for program in ("milter-alias", "milter-scan", "forwarder", "agent"):
        if pids[program]:
            service.lab.send_signal(program, signal.SIGKILL)


@contextlib.contextmanager
def _long_reader(spool: Path) -> Iterator[None]:
    """Somebody reads all the while: SQLite can't take back the log's space, each write needs new room."""
    with contextlib.closing(sqlite3.connect(spool, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM ledger").fetchall()
        yield


def test_a_full_disk(faulty: Service, disk: Path) -> None:
    """What is sent is sent; the rest waits, and RCPT is answered and other mail passes as ever."""
    owned = faulty.alias()
    watch = Watch(faulty.lab)
    with _long_reader(disk / "spool.db"), passage(faulty, "reinject") as passed:
        passed.stop(at=b"queued as")
        queue_id = faulty.send("bob@example.com", [owned.alias], message(owned.alias, "before")).queue_id
        assert passed.paused.wait(60)
        filler = fill(disk)
        passed.go_on()
        # Its row can't be finished. A deferral would bring it again and again.
        watch.await_lines(1, queue_id, "status=sent")
        assert " ledger " in faulty.lab.program_log("forwarder")
        said = faulty.send("bob@example.com", [owned.alias, UNKNOWN], message(owned.alias, "after"))
        assert said.recipients[UNKNOWN].startswith("550 5.1.1")
        watch.await_lines(1, said.queue_id, "status=deferred", "4.3.0")
        pass_foreign(faulty)
        faulty.lab.flush()
        watch.await_lines(2, said.queue_id, "status=deferred", "4.3.0")
        faulty.await_mail_for(owned.mailbox)
        assert subjects(faulty, owned.mailbox) == ["before"]
    filler.unlink()
    assert await_flow(faulty, owned.mailbox, 2) == ["after", "before"]
    assert watch.bounced() == []
    assert _outcomes(disk / "spool.db") == {"delivered": 2}


def test_a_disk_that_is_read_only(faulty_pipe: Service) -> None:
    """As a full one, from the start of the programs on."""
    with _disk(faulty_pipe) as disk:
        owned = faulty_pipe.alias()
        watch = Watch(faulty_pipe.lab)
        _kill_programs(faulty_pipe)
        faulty_pipe.lab.wait_for(partial(remount, disk, "ro"), "nobody to have a file open on the disk")
        faulty_pipe.lab.up()
        said = faulty_pipe.send("bob@example.com", [owned.alias, UNKNOWN], message(owned.alias, "waits"))
        assert said.recipients[UNKNOWN].startswith("550 5.1.1")
        watch.await_lines(1, said.queue_id, "status=deferred", "4.3.0")
        pass_foreign(faulty_pipe)
        assert subjects(faulty_pipe, owned.mailbox) == []
        assert remount(disk, "rw")
        assert await_flow(faulty_pipe, owned.mailbox, 1) == ["waits"]
        assert watch.bounced() == []


def test_a_spool_that_somebody_keeps_locked(faulty_pipe: Service) -> None:
    """As when another program is frozen in the middle of a write."""
    owned = faulty_pipe.alias()
    watch = Watch(faulty_pipe.lab)
    spool = faulty_pipe.lab.directory / "spool.db"
    with contextlib.closing(sqlite3.connect(spool, timeout=30, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        said = faulty_pipe.send("bob@example.com", [owned.alias, UNKNOWN], message(owned.alias, "waits"))
        assert said.recipients[UNKNOWN].startswith("550 5.1.1")
        watch.await_lines(1, said.queue_id, "status=deferred", "4.3.0")
        pass_foreign(faulty_pipe)
    assert await_flow(faulty_pipe, owned.mailbox, 1) == ["waits"]


def _outcomes(spool: Path) -> dict[str, int]:
    """How many rows of the ledger are what."""
    with contextlib.closing(sqlite3.connect(spool)) as connection:
        return dict(connection.execute("SELECT outcome, count(*) FROM ledger GROUP BY outcome"))
