"""A small file in which a node keeps a word for all its programs: JSON, replaced as a whole.

Whoever looks does so with one stat(2), and reads only when the file is another one: so a word takes effect
in all programs at once, without a restart, and whatever state they are in.

DIAGNOSTICS
    OSError from `write`, `remove` and `locked`. A file that can't be read, or isn't JSON, holds nothing.
    Whatever lies there, `content` doesn't raise.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from postmask.disk import at_once, locked, sync_folder

_MOST = 65_536


class NodeFile:
    """Shared by threads. The folder need not exist for reading. most: octets that are read."""

    def __init__(self, folder: Path, name: str, *, most: int = _MOST) -> None:
        self._folder = folder
        self._most = most
        self._file = folder / name
        self._read: tuple[tuple[int, int, int], object] = ((0, 0, 0), None)

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._file

    def content(self) -> object:
        """What it holds, numbers as floats; None for nothing."""
        try:
            found = self._file.stat()
            mark = (found.st_mtime_ns, found.st_ino, found.st_size)
            if self._read[0] != mark:
                with open(self._file, "rb", opener=at_once) as file:
                    self._read = mark, _parsed(file.read(self._most) or b"")
        except OSError:
            return None
        return self._read[1]

    def there(self) -> bool:
        """Whether there is a file, whatever it holds."""
        return self._file.exists()

    def write(self, content: object) -> None:
        """For good: it is on the disk on return, and a power cut before that leaves the old file or this."""
        draft = self._file.with_name(f".{self._file.name}.{secrets.token_hex(4)}")
        try:
            with draft.open("w", encoding="ascii") as file:
                file.write(json.dumps(content))
                file.flush()
                # Not by its name: the folder may be another user's than the one who writes.
                os.fchmod(file.fileno(), 0o644)
                os.fsync(file.fileno())
            draft.replace(self._file)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._file)) from error  # nobody knows the draft
        finally:
            draft.unlink(missing_ok=True)
        sync_folder(self._folder)

    def remove(self) -> None:
        """At once; it need not be there."""
        self._file.unlink(missing_ok=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """With nobody else changing one of the folder's files by what it held before."""
        with locked(self._folder):
            yield


def _parsed(content: bytes) -> object:
    try:
        parsed: object = json.loads(content, parse_int=float)
    except (ValueError, RecursionError):
        return None
    return parsed
