"""An interrupted change made good."""

from __future__ import annotations

import errno
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
