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
from pathlib import Path
from types import TracebackType

from postmask.daemon import connect_unix


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
    """Whether a Unix socket accepts a connection."""
    try:
        connect_unix(Path(path), 1.0).close()
    except OSError:
        return False
    return True
