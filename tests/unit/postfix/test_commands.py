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


@pytest.mark.parametrize("said", ["postfix-script: 1: Cannot fork", "fork: Resource temporarily unavailable"])
def test_without_a_process_to_be_had_nobody_says_that_it_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    postfix = tmp_path / "postfix"
    monkeypatch.setenv("PATH", str(tmp_path))
    postfix.write_text("#!/bin/sh\nexit 1\n")
    postfix.chmod(0o755)
    assert not commands.is_running(tmp_path)
    postfix.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
    with pytest.raises(commands.PostfixError, match="fork"):
        commands.is_running(tmp_path)


def test_addresses_are_read_as_utf_8_whatever_the_locale() -> None:
    """A copy that is released goes to whom the queue file names."""
    script = "from postmask_postfix.commands import run; print(ascii(run('printf', r'j\\303\\274rgen')))"
    ascii_alone = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([sys.executable, "-c", script], env=ascii_alone, capture_output=True, check=True)
    assert done.stdout == rb"'j\xfcrgen'" + b"\n"
