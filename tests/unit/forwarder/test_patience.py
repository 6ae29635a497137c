"""How long Postfix keeps trying, as main.cf says now."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from postmask.clock import DAY, ManualClock
from postmask_transport import patience
from postmask_transport.patience import Patience


class Postconf:
    """What postconf says. asked: how often; None for words: it fails."""

    def __init__(self) -> None:
        self.words: list[str] | None = ["1d", "2d", "1000s", "300s"]
        self.asked = 0

    def __call__(self, folder: Path, *names: str) -> list[str]:
        self.asked += 1
        if self.words is None:
            raise subprocess.CalledProcessError(1, "postconf")
        return self.words


@pytest.fixture
def postconf(monkeypatch: pytest.MonkeyPatch) -> Postconf:
    made = Postconf()
    monkeypatch.setattr(patience, "ask", made)
    return made


def configured(folder: Path) -> None:
    """A new main.cf in the old one's place."""
    (folder / "new").write_text("")
    (folder / "new").rename(folder / "main.cf")


def test_main_cf_is_read_when_it_changes(tmp_path: Path, postconf: Postconf) -> None:
    clock = ManualClock()
    configured(tmp_path)
    asked = Patience(tmp_path, clock)
    day_old = clock.now() - 0.99 * DAY
    assert asked.is_ending(day_old, "bob@example.com")
    assert not asked.is_ending(day_old, ""), "its bounce may wait for two days"
    assert not asked.is_ending(clock.now() - 0.9 * DAY, "bob@example.com")
    assert not asked.is_ending(None, "bob@example.com")
    assert postconf.asked == 1
    postconf.words = ["5d", "5d", "1000s", "300s"]
    configured(tmp_path)
    assert not asked.is_ending(day_old, "bob@example.com")
    assert postconf.asked == 2


def test_it_goes_on_by_what_it_knew_and_asks_again_after_a_minute(tmp_path: Path, postconf: Postconf) -> None:
    clock = ManualClock()
    asked = Patience(tmp_path, clock)
    old = clock.now() - 1.5 * DAY
    assert not asked.is_ending(old, "bob@example.com"), "Postfix's own five days, without a main.cf"
    configured(tmp_path)
    assert not asked.is_ending(old, "bob@example.com")
    assert postconf.asked == 0
    clock.advance(60)
    assert asked.is_ending(old, "bob@example.com")
    postconf.words = None
    configured(tmp_path)
    for _ in range(3):
        assert asked.is_ending(old, "bob@example.com")
    assert postconf.asked == 2
    postconf.words = ["5d", "5d", "1000s", "300s"]
    clock.advance(60)
    assert not asked.is_ending(old, "bob@example.com")
