"""An interrupted change made good."""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest

from postmask_postfix.attachment import change


def test_where_nothing_can_be_written_there_is_nothing_to_be_made_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read-only /etc refuses to delete even what isn't there."""

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    assert change.recover(tmp_path) is None


def test_a_file_that_is_replaced_keeps_its_access_list_and_labels(tmp_path: Path) -> None:
    """acl(5): its owner may read and write, user 1000, its group and others may read. xattr(7): a label."""
    file = tmp_path / "main.cf"
    file.write_text("biff = no\n")
    rights = [(0x01, 6, -1), (0x02, 4, 1000), (0x04, 4, -1), (0x10, 4, -1), (0x20, 4, -1)]
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *right) for right in rights)
    given = _given(file, {"system.posix_acl_access": acl, "user.label": b"mail"})
    change.replace(file, "biff = yes\n")
    assert file.read_text() == "biff = yes\n"
    assert {name: os.getxattr(file, name) for name in given} == given
    assert file.stat().st_mode & 0o777 == 0o644


def _given(file: Path, wanted: Mapping[str, bytes]) -> dict[str, bytes]:
    """The attributes that this file system takes, of which there must be one."""
    given = {}
    for name, value in wanted.items():
        with contextlib.suppress(OSError):
            os.setxattr(file, name, value)
            given[name] = value
    assert given
    return given
