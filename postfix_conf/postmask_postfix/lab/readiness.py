"""Waits until programs say that they are ready.

Each program is given a NOTIFY_SOCKET of its own, in the abstract namespace, so that a long path of the
lab's folder doesn't matter.

STANDARDS
    sd_notify(3): datagrams of NAME=value lines; READY=1 is the one waited for.
"""

from __future__ import annotations

import os
import secrets
import socket
from types import TracebackType


class Notified:
    """The socket of one program. A context manager."""

    def __init__(self) -> None:
        self.address = f"@postmask-lab-{os.getpid()}-{secrets.token_hex(6)}"
        self.ready = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind("\0" + self.address[1:])

    def __enter__(self) -> Notified:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def check(self) -> bool:
        """Whether READY=1 has come; never waits."""
        while not self.ready:
            try:
                message = self._socket.recv(4096)
            except BlockingIOError:
                break
            self.ready = b"READY=1" in message.split(b"\n")
        return self.ready


def answers(path: str) -> bool:
    """Whether a Unix socket accepts a connection. Any length of path will do."""
    folder, _, name = path.rpartition("/")
    try:
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(1.0)
            connection.connect(f"/proc/self/fd/{directory}/{name}")
            return True
    except OSError:
        return False
    finally:
        os.close(directory)
