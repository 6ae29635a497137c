"""The switch that drains a node: seen at once, lasting, told once, and never thrown by a damaged file."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from postmask import disk
from postmask.drain import Drain, DrainSwitch

NOW = 1_800_000_000.0


def test_others_see_it_at_once(tmp_path: Path) -> None:
    thrown, seen = DrainSwitch(tmp_path), DrainSwitch(tmp_path)
    assert not seen.in_force()
    for _ in range(3):
        thrown.turn(NOW, "root@mx1", drained=True)
        assert seen.in_force()
        thrown.turn(NOW, "root@mx1", drained=False)
        assert not seen.in_force()
    assert [path.name for path in tmp_path.iterdir()] == ["drain.json"]


def test_what_is_so_already_stays_as_it_is(tmp_path: Path) -> None:
    switch = DrainSwitch(tmp_path)
    assert switch.turn(NOW, "ann@mx1", drained=True) == Drain(True, NOW, "ann@mx1")
    assert switch.turn(NOW + 9, "bob@mx1", drained=True) == Drain(True, NOW, "ann@mx1")
    assert switch.turn(NOW + 9, "bob@mx1", drained=False) == Drain(False, NOW + 9, "bob@mx1")
    assert switch.turn(NOW + 10, "ann@mx1", drained=False) == Drain(False, NOW + 9, "bob@mx1")


def test_an_order_is_carried_out_once(tmp_path: Path) -> None:
    switch = DrainSwitch(tmp_path)
    assert switch.carry_out(5.0, "ann@mx2", drained=True, now=NOW)
    assert switch.state() == Drain(True, NOW, "ann@mx2", 5.0)
    switch.turn(NOW + 1, "bob@mx1", drained=False)
    assert not switch.carry_out(5.0, "ann@mx2", drained=True, now=NOW + 2)
    assert not switch.carry_out(4.0, "ann@mx2", drained=True, now=NOW + 2)
    assert switch.state() == Drain(False, NOW + 1, "bob@mx1", 5.0)
    assert switch.carry_out(6.0, "ann@mx2", drained=True, now=NOW + 2)
    assert switch.state() == Drain(True, NOW + 2, "ann@mx2", 6.0)


def test_an_order_to_do_what_is_so_already(tmp_path: Path) -> None:
    switch = DrainSwitch(tmp_path)
    switch.turn(NOW, "bob@mx1", drained=True)
    assert switch.carry_out(5.0, "ann@mx2", drained=True, now=NOW + 1)
    assert switch.state() == Drain(True, NOW, "bob@mx1", 5.0)


def test_root_gives_no_other_file_its_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder belongs to the programs' user, who could put a link where root has made its file."""
    folder, roots = tmp_path / "spool", tmp_path / "shadow"
    folder.mkdir()
    roots.touch(mode=0o600)

    def exchange(_: int) -> None:
        for draft in folder.iterdir():
            draft.unlink()
            draft.symlink_to(roots)

    monkeypatch.setattr(os, "fsync", exchange)
    DrainSwitch(folder).turn(NOW, "root@mx1", drained=True)
    assert stat.S_IMODE(roots.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\x00",
        b"[]",
        b"{}",
        b"true",
        b'{"drained": true}',
        b'{"drained": 1, "at": 1, "by": "x", "order": 0}',
        b'{"drained": true, "at": "x", "by": "x", "order": 0}',
        b'{"drained": true, "at": 1, "by": "x", "order": NaN}',
        b'{"drained": true, "at": 1, "by": "x", "order": ' + b"9" * 400 + b"}",
        b'{"drained": true, "at": 1, "by": "x", "order": ' + b"9" * 5000 + b"}",
        b"[" * 60_000,
        b'{"drained": true, "at": 1, "by": "' + b"x" * 100_000 + b'", "order": 0}',
    ],
)
def test_a_damaged_file_drains_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "drain.json").write_bytes(content)
    switch = DrainSwitch(tmp_path)
    assert not switch.in_force()
    assert switch.damaged()
    switch.turn(NOW, "bob@mx1", drained=False)
    assert not switch.damaged()


def test_no_file_and_no_folder(tmp_path: Path) -> None:
    switch = DrainSwitch(tmp_path / "none")
    assert not switch.in_force()
    assert not switch.damaged()
    with pytest.raises(FileNotFoundError):
        switch.turn(NOW, "bob@mx1", drained=True)


def test_what_a_killed_writer_left_is_no_word(tmp_path: Path) -> None:
    (tmp_path / ".drain.json.00000000").write_text('{"drained": true, "at": 1, "by": "x", "order": 0}')
    assert not DrainSwitch(tmp_path).in_force()


def test_two_at_once_forget_no_order(tmp_path: Path) -> None:
    """Whoever throws it by hand keeps the number of an order that is carried out meanwhile."""
    switch, orders = DrainSwitch(tmp_path), 30

    def throw() -> None:
        for number in range(orders):
            DrainSwitch(tmp_path).turn(NOW, "bob@mx1", drained=bool(number % 2))

    hand = threading.Thread(target=throw)
    hand.start()
    for number in range(1, orders + 1):
        assert switch.carry_out(float(number), "ann@mx2", drained=bool(number % 2), now=NOW)
    hand.join()
    assert switch.state().order == orders


def test_a_folder_that_somebody_keeps_locked_is_an_error_not_a_wait_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("postmask.disk._LOCK_SECONDS", 0.2)
    with disk.locked(tmp_path), pytest.raises(TimeoutError, match="another process has locked it"):
        DrainSwitch(tmp_path).turn(NOW, "ann@mx1", drained=True)


def test_a_fifo_in_its_place_is_damage_and_isnt_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "drain.json")
    switch = DrainSwitch(tmp_path)
    assert (switch.in_force(), switch.damaged()) == (False, True)
