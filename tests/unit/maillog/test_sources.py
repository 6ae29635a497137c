"""Where the log is read from."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from postmask.maillog import sources


def test_what_is_being_compressed_is_read_once(tmp_path: Path) -> None:
    """Else each delivery in it counts twice, or the half that is there can't be read."""
    (tmp_path / "mail.log.2.gz").write_bytes(gzip.compress(b"two\n"))
    (tmp_path / "mail.log.1").write_text("one\n")
    (tmp_path / "mail.log.1.gz").write_bytes(gzip.compress(b"one\n")[:-4])
    (tmp_path / "mail.log").write_text("now\n")
    assert sorted(sources.read([], str(tmp_path / "mail.log"), 0.0)) == ["now\n", "one\n", "two\n"]


def test_what_logrotate_compresses_is_unpacked(tmp_path: Path) -> None:
    """Whatever octets are in it."""
    log = tmp_path / "mail.log"
    log.write_bytes(b"\xff now\n")
    for suffix, pack in ((".gz", gzip.compress), (".xz", lzma.compress), (".bz2", bz2.compress)):
        log.with_name(f"mail.log.1{suffix}").write_bytes(pack(b"\xff %s\n" % suffix.encode()))
    told = sorted(sources.read([], str(log), 0.0))
    assert told == [f"\N{REPLACEMENT CHARACTER} {name}\n" for name in (".bz2", ".gz", ".xz", "now")]


def test_what_is_too_old_or_no_file_is_not_opened(tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    log.write_text("now\n")
    log.with_name("mail.log.d").mkdir()
    old = log.with_name("mail.log.9.zst")
    old.touch()
    os.utime(old, (1_000.0, 1_000.0))
    assert list(sources.read([], str(log), 1_001.0)) == ["now\n"]


def test_what_cannot_be_unpacked_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    log.write_text("now\n")
    packed = log.with_name("mail.log.1.zst")
    packed.write_bytes(b"\x28\xb5\x2f\xfd")
    with pytest.raises(sources.LogError, match=rf"unpack it first: zstd -d {packed}"):
        list(sources.read([], str(log), 0.0))
    packed.with_suffix("").write_text("one\n")
    assert sorted(sources.read([], str(log), 0.0)) == ["now\n", "one\n"]


def test_what_is_rotated_while_it_is_read_is_read_once_and_whole(tmp_path: Path) -> None:
    """Else today's deliveries are missing, and yesterday's there twice."""
    log, older = tmp_path / "mail.log", tmp_path / "mail.log.1"
    log.write_text("today\n")
    older.write_text("yesterday\n")
    lines = sources.read([], str(log), 0.0)
    read = [next(lines)]
    older.rename(tmp_path / "mail.log.2")
    log.rename(older)
    assert [*read, *lines] == ["yesterday\n", "today\n"]


@pytest.mark.parametrize(
    ("suffix", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress), (".bz2", bz2.compress)]
)
def test_what_is_damaged_is_named(suffix: str, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    """Wherever in the file: its head, its middle or its end."""
    whole = pack(b"".join(b"%d\n" % number**9 for number in range(2_000)))
    packed = tmp_path / f"mail.log.1{suffix}"
    for damaged in (
        b"0" + whole[1:],
        bytes(octet ^ 0x5A if 2_000 < at < 2_040 else octet for at, octet in enumerate(whole)),
        whole[:-9],
    ):
        packed.write_bytes(damaged)
        with pytest.raises(sources.LogError, match=rf"^{packed} can't be read: "):
            list(sources.read([packed], "", 0.0))


def test_a_log_that_was_rotated_and_not_made_again_yet_is_read(tmp_path: Path) -> None:
    """The journal knows nothing of a Postfix that writes by itself: every message would be missing there."""
    log = tmp_path / "mail.log"
    with pytest.raises(sources.LogError, match="isn't there"):
        sources.read([], str(log), 0.0)
    log.with_name("mail.log.1").write_text("one\n")
    assert list(sources.read([], str(log), 0.0)) == ["one\n"]


@pytest.mark.parametrize(
    ("behind", "status", "expected"), [(30, 0, "file"), (600, 0, "journal"), (600, 1, "file")]
)
def test_a_file_that_syslog_left_behind_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behind: int, status: int, expected: str
) -> None:
    """Where rsyslog was removed it lies there for ever, and every message since would be missing in it.

    One whose last line is as new as the journal's is the log; so is any, where there is no journal.
    """
    log, newest = tmp_path / "mail.log", 1_800_000_000
    log.write_text("file\n")
    os.utime(log, (newest - behind, newest - behind))
    journal = tmp_path / "journalctl"
    journal.write_text(
        "#!/bin/sh\nfor word; do case $word in --since=@*) since=${word#*@} ;; esac; done\n"
        f"[ {status} != 0 ] || [ $since -gt {newest} ] || echo journal\nexit {status}\n"
    )
    journal.chmod(0o755)
    monkeypatch.setattr(sources, "SYSLOG", log)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert list(sources.read([], "", 0.0)) == [f"{expected}\n"]
    assert list(sources.read([], str(log), 0.0)) == ["file\n"]


@pytest.mark.parametrize("status", [0, 1])
def test_a_journal_that_complains_at_length_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """With its words in a pipe that nobody reads it would wait, and we for it."""
    journal = tmp_path / "journalctl"
    journal.write_text(
        f"#!/bin/sh\nhead -c 200000 /dev/zero | tr '\\0' x >&2\necho damaged >&2\necho line\nexit {status}\n"
    )
    journal.chmod(0o755)
    monkeypatch.setattr(sources, "SYSLOG", tmp_path / "mail.log")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    lines = sources.read([], "", 0.0)
    assert next(lines) == "line\n"
    if status:
        with pytest.raises(sources.LogError, match=r"^the journal can't be read: x+damaged$"):
            next(lines)
    assert list(lines) == []
