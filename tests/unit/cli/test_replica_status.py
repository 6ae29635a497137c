"""What `postmask status` says of the replica, by the state that the agent left."""

from __future__ import annotations

from pathlib import Path

import pytest

from postmask.cli.checks.check import Check
from postmask.cli.checks.files import replica
from postmask.cli.runtime import Runtime
from postmask.clock import ManualClock
from postmask.doctor import node as codes
from postmask.store.replica.folder import Folder, State


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    file = tmp_path / "postmask.toml"
    file.write_text(
        f'[database]\nurl = "postgresql://n:p@192.0.2.1/d"\n[replica]\ndirectory = "{tmp_path}/directory"\n'
    )
    runtime = Runtime(ManualClock(at=1000.0))
    runtime.config_file = file
    return runtime


def said(runtime: Runtime, tmp_path: Path, state: State | None) -> Check:
    if state is not None:
        (tmp_path / "directory").mkdir()
        Folder(tmp_path / "directory").write_state(state)
    (check,) = replica(runtime)
    return check


def test_none_yet(runtime: Runtime, tmp_path: Path) -> None:
    check = said(runtime, tmp_path, None)
    assert not check.ok
    assert "is postmask-agent running?" in check.what


def test_current(runtime: Runtime, tmp_path: Path) -> None:
    check = said(runtime, tmp_path, State("directory.3.db", 77, 900.0, 998.0, ""))
    assert check == Check("replica", True, "directory.3.db, change 77, is 2 s old")


def test_old(runtime: Runtime, tmp_path: Path) -> None:
    check = said(runtime, tmp_path, State("directory.3.db", 77, 100.0, 300.0, "connection refused"))
    assert check == Check(
        "replica", False, "directory.3.db, change 77, is 700 s old: connection refused", codes.REPLICA
    )


def test_what_is_amiss_is_said_at_once(runtime: Runtime, tmp_path: Path) -> None:
    check = said(runtime, tmp_path, State("directory.3.db", 77, 900.0, 999.0, "the schema is too new"))
    assert check == Check(
        "replica", False, "directory.3.db, change 77, is 1 s old: the schema is too new", codes.REPLICA
    )


def test_nobody_keeps_it(runtime: Runtime, tmp_path: Path) -> None:
    check = said(runtime, tmp_path, State("directory.3.db", 77, 900.0, 960.0, ""))
    assert not check.ok
    assert "is 40 s old: is postmask-agent running" in check.what


def test_who_looks_seldom_is_not_late(runtime: Runtime, tmp_path: Path) -> None:
    assert runtime.config_file is not None
    runtime.config_file.write_text(f"{runtime.config_file.read_text()}poll = 50\n")
    assert said(runtime, tmp_path, State("directory.3.db", 77, 900.0, 901.0, "")).ok


def test_the_clock_was_set_back(runtime: Runtime, tmp_path: Path) -> None:
    check = said(runtime, tmp_path, State("directory.3.db", 77, 900.0, 87_000.0, ""))
    assert not check.ok
    assert "dated in the future" in check.what


def test_the_first_copy_fails(runtime: Runtime, tmp_path: Path) -> None:
    check = said(runtime, tmp_path, State("", 0, 0.0, 0.0, "no space left on device"))
    assert check == Check(
        "replica", False, "there is none that can be used: no space left on device", codes.REPLICA
    )


def test_with_sqlite_there_is_none(runtime: Runtime, tmp_path: Path) -> None:
    assert runtime.config_file is not None
    runtime.config_file.write_text("")
    assert list(replica(runtime)) == []
