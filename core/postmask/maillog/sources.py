"""Where the log is read from: files, rotated ones too, or systemd's journal.

DIAGNOSTICS
    LogError: there is no log, or it can't be read; the message says what to do.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import itertools
import lzma
import os
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import IO, Any

SYSLOG = Path("/var/log/mail.log")

_PROGRAMS = ("postmask-milter", "postmask-forwarder", "postmask-agent")
_OURS = ("forwarder.log", "milter-alias.log", "milter-scan.log", "agent.log")
_JOURNAL = "journalctl"
_MAIL = "SYSLOG_FACILITY=2"
_BEHIND = 60.0
"""Seconds by which syslog's file may be behind the journal."""
_OPENED_BY: Mapping[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
_UNPACKED_BY = {".zst": "zstd -d", ".lz4": "lz4 -d"}
"""What we can't read; it is passed over once the unpacked file lies beside it."""
_COMPRESSED = frozenset({*_OPENED_BY, *_UNPACKED_BY})


class LogError(Exception):
    """There is nothing to read."""

    exit_code = os.EX_NOINPUT


def read(named: Sequence[Path], maillog_file: str, since: float, *, ours: bool = False) -> Iterator[str]:
    """The lines of the log that may be younger than `since` (seconds since the epoch), oldest first.

    named: files to read, and no others. maillog_file: where Postfix writes by itself, or "". ours: with
    what our programs said, where that is kept apart. Raises LogError.
    """
    if named:
        return _files(named)
    own = Path(maillog_file) if maillog_file else SYSLOG
    # Postfix makes its own again with the next line that it writes, which may be long after a rotation.
    files = [*_rotated(own, since), *([own] if own.exists() else [])]
    if (maillog_file and files) or (own in files and not _is_abandoned(own)):
        lines = _files(files)
        return itertools.chain(lines, _apart(own, since)) if ours else lines
    if not maillog_file and shutil.which(_JOURNAL):
        return _journal(since, [_MAIL, *(_said_by(_PROGRAMS, lead="+") if ours else ())])
    raise LogError(f"{own} isn't there, nor a journal; name the log of Postfix: --log FILE")


def _is_abandoned(file: Path) -> bool:
    """Whether syslog's file is one of old: the journal has had lines of mail since. rsyslog is gone, say."""
    if not shutil.which(_JOURNAL):
        return False
    with contextlib.closing(_journal(file.stat().st_mtime + _BEHIND, ["--lines=1", _MAIL])) as newer:
        try:
            return any(newer)
        except LogError:
            return False


def _apart(own: Path, since: float) -> Iterator[str]:
    """What our programs said: beside Postfix's log, as in a lab, or in the journal."""
    beside = [own.with_name(name) for name in _OURS if own.with_name(name).exists()]
    if beside:
        return _files(beside)
    return _journal(since, list(_said_by(_PROGRAMS))) if shutil.which(_JOURNAL) else iter(())


def _said_by(programs: Iterable[str], lead: str = "") -> Iterator[str]:
    for program in programs:
        if lead:
            yield lead
        yield f"SYSLOG_IDENTIFIER={program}"


def _rotated(path: Path, since: float) -> list[Path]:
    """mail.log.1, mail.log.2.gz, mail.log-20260131 and the like that were written to since then."""
    found = [p for p in path.parent.glob(f"{path.name}[.-]*") if p.is_file() and p.stat().st_mtime >= since]
    # What is being compressed is there twice for a while, and the second isn't whole.
    whole = [p for p in found if p.suffix not in _COMPRESSED or not p.with_suffix("").exists()]
    return sorted(whole, key=lambda p: p.stat().st_mtime)


def _files(paths: Iterable[Path]) -> Iterator[str]:
    """All are open before the first is read: meanwhile logrotate may give its name to another."""
    with contextlib.ExitStack() as stack:
        for path, file in [(path, stack.enter_context(_opened(path))) for path in paths]:
            try:
                yield from file
            except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
                raise LogError(f"{path} can't be read: {error}") from error


def _opened(path: Path) -> IO[str]:
    if unpacker := _UNPACKED_BY.get(path.suffix):
        raise LogError(
            f"{path} can't be read as it is packed; unpack it first: {unpacker} {quote(str(path))}"
        )
    try:
        file: IO[str] = _OPENED_BY.get(path.suffix, open)(path, "rt", encoding="utf-8", errors="replace")
    except OSError as error:
        raise LogError(f"{path} can't be read: {error.strerror}") from error
    return file


def _journal(since: float, matches: Sequence[str]) -> Generator[str, None, None]:
    how = ["--quiet", "--no-pager", "--output=short-iso-precise", f"--since=@{int(since)}"]
    command = [_JOURNAL, *how, *matches]
    # Into a file: what it has to say may be more than a pipe takes, which nobody reads meanwhile.
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=said, encoding="utf-8", errors="replace"
        ) as journal,
    ):
        assert journal.stdout is not None
        yield from journal.stdout
        journal.wait()
        said.seek(0)
        complaint = said.read().decode(errors="replace").strip()
    if journal.returncode:
        raise LogError(f"the journal can't be read: {complaint}")
