"""The emergency switch: until when, seen by others at once, and never thrown by a damaged file."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from postmask.clock import ManualClock
from postmask.spam.bypass import Bypass


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def test_others_see_it_at_once(tmp_path: Path, clock: ManualClock) -> None:
    thrown, seen = Bypass(tmp_path, clock), Bypass(tmp_path, clock)
    assert not seen.in_force()
    for _ in range(3):
        thrown.switch_on(math.inf)
        assert seen.in_force()
        thrown.switch_off()
        assert not seen.in_force()
    thrown.switch_off()
    assert [*tmp_path.iterdir()] == []


def test_it_ends_by_itself(tmp_path: Path, clock: ManualClock) -> None:
    switch = Bypass(tmp_path, clock)
    switch.switch_on(clock.now() + 30)
    assert switch.until() == clock.now() + 30
    clock.advance(29)
    assert switch.in_force()
    clock.advance(1)
    assert not switch.in_force()
    switch.switch_on(clock.now() + 30)
    assert switch.in_force()


@pytest.mark.parametrize(
    "content", [b"", b"\xff\x00", b"[]", b"{}", b'{"until": "x"}', b'{"until": [1]}', b'{"until": NaN}']
)
def test_a_damaged_file_is_not_in_force(tmp_path: Path, clock: ManualClock, content: bytes) -> None:
    (tmp_path / "spam.bypass").write_bytes(content)
    assert not Bypass(tmp_path, clock).in_force()


def test_no_folder(tmp_path: Path, clock: ManualClock) -> None:
    switch = Bypass(tmp_path / "none", clock)
    assert not switch.in_force()
    switch.switch_off()
    with pytest.raises(FileNotFoundError) as failed:
        switch.switch_on(math.inf)
    assert failed.value.filename == str(tmp_path / "none" / "spam.bypass")
