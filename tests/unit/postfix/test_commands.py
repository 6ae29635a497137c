"""Postfix's own commands: one change of ours at a time, and what they say read right."""

from __future__ import annotations

import os
import subprocess
import sys
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


def test_addresses_are_read_as_utf_8_whatever_the_locale() -> None:
    """A copy that is released goes to whom the queue file names."""
    script = "from postmask_postfix.commands import run; print(ascii(run('printf', r'j\\303\\274rgen')))"
    ascii_alone = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([sys.executable, "-c", script], env=ascii_alone, capture_output=True, check=True)
    assert done.stdout == rb"'j\xfcrgen'" + b"\n"
