"""The pipe client in its place, which clients that pipe(8) starts meanwhile read."""

import errno
import os
import shutil

import pytest

from postmask_postfix import client


def test_a_full_disk_leaves_the_old_one_whole(tmp_path, monkeypatch):
    client.install(tmp_path)
    (old,) = tmp_path.glob("*.py")
    old.write_text("the last version's")

    def half(source, target):
        target.write_bytes(source.read_bytes()[:100])
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr(shutil, "copyfile", half)
    with pytest.raises(client.ClientError, match="No space"):
        client.install(tmp_path)
    assert old.read_text() == "the last version's"
    assert [path for path in tmp_path.iterdir() if path.is_file()] == [old]
    monkeypatch.undo()
    client.install(tmp_path)
    assert client.is_current(tmp_path)
    assert old.stat().st_mode & 0o777 == 0o644


def test_whoever_puts_it_there_every_user_can_read_it(tmp_path):
    before = os.umask(0o077)
    try:
        client.install(tmp_path / "pipe")
        client.install(tmp_path / "pipe")
    finally:
        os.umask(before)
    (file,) = (tmp_path / "pipe").glob("*.py")
    assert (tmp_path / "pipe").stat().st_mode & 0o777 == 0o755
    assert file.stat().st_mode & 0o777 == 0o644
    file.chmod(0o600)
    client.install(tmp_path / "pipe")
    assert file.stat().st_mode & 0o777 == 0o644
    client.remove(tmp_path / "pipe")
    assert not (tmp_path / "pipe").exists()
