"""What makes a change on the disk last, and keeps others from making one at the same time.

DIAGNOSTICS
    OSError: the folder can't be opened, or the disk has failed. TimeoutError: another process holds a lock.

STANDARDS
    fsync(2): a file that is written, renamed or removed for good is so only with its folder. flock(2).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

_LOCK_SECONDS = 10.0
"""For which another process's lock on a folder is waited for."""

_PAUSE = 0.01


def sync_folder(folder: Path) -> None:
    """On return the names in the folder are on the disk as they are now."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def as_owner(folder: Path) -> Iterator[None]:
    """Root, for that long, with no more rights than whoever the folder belongs to. Nothing for others.

    Of the whole process: only where it has no other thread. A folder that isn't there is left to whoever
    needs it: the message is better there.
    """
    owner = folder.stat() if folder.exists() else None
    if owner is None or os.geteuid() != 0 or owner.st_uid == 0:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    try:
        os.setgroups([])
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[int]:
    """The folder, opened, with nobody else who asks for its lock. Raises TimeoutError, OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not lock(descriptor, _LOCK_SECONDS):
            problem = f"another process has locked it for {_LOCK_SECONDS:g} s"
            raise TimeoutError(errno.ETIMEDOUT, problem, str(folder))
        yield descriptor
    finally:
        os.close(descriptor)


def at_once(path: str, flags: int) -> int:
    """For open(opener=…): a fifo that somebody has put in a file's place is empty, and isn't waited for."""
    return os.open(path, flags | os.O_NONBLOCK)


def lock(file: int, seconds: float) -> bool:
    """Take the lock, which goes with the descriptor; False: whoever else may open the file holds it all
    that time."""
    until = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(_PAUSE)
        else:
            return True
