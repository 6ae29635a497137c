"""Postfix's own commands: one change of ours at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from postmask_postfix import commands


def test_a_lock_that_somebody_keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any user can lock a folder that he can open."""
    monkeypatch.setattr(commands, "_LOCK_SECONDS", 0.2)
    with (
        commands.lock(tmp_path),
        pytest.raises(commands.PostfixError, match="another process has locked"),
        commands.lock(tmp_path),
    ):
        pass
    with commands.lock(tmp_path):
        pass
