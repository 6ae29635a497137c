"""The record of an attachment: on the disk before anything follows, and root's alone."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from postmask_postfix.attachment import journal
from postmask_postfix.attachment.journal import Journal, State
from postmask_postfix.attachment.plan import Configuration, Record
from postmask_postfix.commands import PostfixError

OLD, NEW = Configuration("biff = no\n", ""), Configuration("biff = yes\n", "\udcff")


def test_it_comes_back_as_it_was_written(tmp_path: Path) -> None:
    written = Journal(State.ATTACHING, Record(OLD, NEW), OLD, Record(NEW, OLD))
    journal.write(tmp_path, written)
    assert journal.read(tmp_path) == written
    assert (tmp_path / journal.NAME).stat().st_mode & 0o777 == 0o600


def test_it_is_on_the_disk_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a loss of power there is the old file or the new one, whole."""
    steps = []
    monkeypatch.setattr(os, "fsync", lambda file: steps.append(_path(file).name))
    rename = Path.rename
    monkeypatch.setattr(Path, "rename", lambda path, to: (steps.append("renamed"), rename(path, to)))
    journal.put(tmp_path / "main.cf", b"biff = no\n")
    assert steps == [".main.cf.postmask", "renamed", tmp_path.name]
    steps.clear()
    journal.remove(tmp_path)
    assert steps == [tmp_path.name]


def _path(file: int) -> Path:
    return Path(f"/proc/self/fd/{file}").readlink()


def test_a_full_disk_leaves_nothing_beside_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "main.cf").write_text("biff = no\n")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PostfixError, match=r"main\.cf: No space left on device"):
        journal.put(tmp_path / "main.cf", b"biff = yes\n")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"main.cf": "biff = no\n"}


def test_one_of_a_later_version_is_not_gone_by(tmp_path: Path) -> None:
    journal.write(tmp_path, Journal(State.ATTACHED, Record(OLD, NEW)))
    file = tmp_path / journal.NAME
    file.write_text(json.dumps(json.loads(file.read_text()) | {"version": 2}))
    with pytest.raises(PostfixError, match="another version of Postmask"):
        journal.read(tmp_path)
