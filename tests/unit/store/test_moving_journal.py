"""The note of a move that isn't finished."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from postmask.store.moving.journal import Destination, Journal


def test_it_outlives_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the folder it is in, or the first thing is copied and nobody finds where to."""
    synced: list[Path] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(Path(f"/proc/self/fd/{file}").readlink()))
    journal = Journal(tmp_path / "postmask.toml")
    journal.write(Destination("postgresql://owner@db.test/new", "postgresql://node@db.test/new"))
    assert synced == [journal.path, tmp_path]
