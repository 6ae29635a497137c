"""The replica's folder and its follower, when something isn't as it must be."""

from __future__ import annotations

from pathlib import Path

import pytest

from postmask.agent.replica.follower import Follower
from postmask.clock import ManualClock
from postmask.daemon import Stop
from postmask.directory.lookup import ABSENT
from postmask.directory.replica import Replica
from postmask.store.engine import make_engine
from postmask.store.replica.folder import Folder, State


def test_a_pointer_that_could_not_be_read_once_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else all would be asked of the truth until the next copy, a day later."""
    clock, folder = ManualClock(), Folder(tmp_path)
    folder.point(tmp_path / "directory.1.db")
    replica = Replica(folder, clock)
    with monkeypatch.context() as patch:
        patch.setattr(folder, "current", lambda: None)
        assert replica.ask(lambda _: ABSENT) is None
    clock.advance(1.0)
    assert replica.ask(lambda _: ABSENT) == ABSENT


def test_a_damaged_state_says_nothing(tmp_path: Path) -> None:
    state = State(file="directory.1.db", change=1, copied_at=1.0, synced_at=2.0, trouble="")
    Folder(tmp_path).write_state(state)
    assert Folder(tmp_path).read_state() == state
    text = (tmp_path / "state.json").read_text().replace("2.0", "null")
    (tmp_path / "state.json").write_text(text)
    assert Folder(tmp_path).read_state() is None


def test_what_nobody_foresaw_does_not_end_the_following(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stop, folder = Stop(), Folder(tmp_path)
    tries: list[int] = []

    def owned() -> None:
        tries.append(len(tries))
        if len(tries) == 2:
            stop.request()
        raise RuntimeError("odd")

    monkeypatch.setattr(folder, "owned", owned)
    Follower(make_engine("postgresql://x@localhost/x"), folder, ManualClock(), stop, 1.0).run()
    assert tries == [0, 1]
    (record,) = caplog.records
    assert "RuntimeError at test_replica.py:" in record.getMessage()
    assert "odd" not in record.getMessage(), "what is raised may name a mailbox"
