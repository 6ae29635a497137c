"""What a service and its manager tell each other: readiness, and sockets that were opened for it.

DIAGNOSTICS
    Without systemd nothing happens. A notification that can't be sent is logged and forgotten: the
    mail doesn't depend on it.

STANDARDS
    sd_notify(3), sd_listen_fds(3).
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping

_FIRST_DESCRIPTOR = 3

_log = logging.getLogger(__name__)


def notify(state: str, environ: Mapping[str, str] = os.environ) -> None:
    """Tell the service manager, if there is one: "READY=1", "STOPPING=1", "STATUS=…"."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):  # Linux's abstract name space
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.connect(address)
            sender.sendall(state.encode())
    except OSError as error:
        _log.warning("the service manager can't be told %s: %s", state, error.strerror)


def inherited_socket(name: str, environ: Mapping[str, str] = os.environ) -> socket.socket | None:
    """The listening socket that systemd has opened for us under this name (FileDescriptorName=)."""
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    if name not in names:
        return None
    descriptor = _FIRST_DESCRIPTOR + names.index(name)
    os.set_inheritable(descriptor, False)
    return socket.socket(fileno=descriptor)
