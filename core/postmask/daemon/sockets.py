"""Unix sockets: listened on, connected to, and who is at the other end.

A path may be longer than the 107 octets that the kernel takes: the folder is opened, and the socket
is named through the open folder. A socket gets its name only when it is ready: mode and group are
right before anybody can connect, and a predecessor's stale socket is replaced without a gap.

DIAGNOSTICS
    SocketError names the path and says what to do: somebody answers there, what lies there is no
    socket, there is no such folder, we may not write to it. Nothing that was there is touched.

STANDARDS
    unix(7).
"""

from __future__ import annotations

import errno
import grp
import os
import secrets
import socket
import stat
import struct
from collections.abc import Mapping
from pathlib import Path

from postmask.daemon.systemd import inherited_socket
from postmask.disk import locked

_CREDENTIALS = struct.Struct("3i")
_TIMEVAL = struct.Struct("ll")


class SocketError(OSError):
    """A socket can't be listened on; the text names it and says what to do."""

    def __init__(self, number: int, path: Path, problem: str) -> None:
        super().__init__(number, problem, str(path))
        self._text = f"{path}: {problem}"

    def __str__(self) -> str:
        return self._text


def listen_unix(
    path: Path,
    mode: int = 0o660,
    group: str | None = None,
    backlog: int = 128,
    environ: Mapping[str, str] = os.environ,
) -> socket.socket:
    """A listening stream socket at the path, with this mode and group.

    One that systemd has opened under the path's last component is taken as it is. Raises SocketError.
    """
    inherited = inherited_socket(path.name, environ)
    if inherited is not None:
        return inherited
    owner = _group_id(path, group) if group is not None else -1
    try:
        # Two programs that start at once must not both find it free.
        with locked(path.parent) as folder:
            _refuse_live_or_foreign(path, folder)
            return _bound(folder, path.name, mode, owner, backlog)
    except SocketError:
        raise
    except FileNotFoundError:
        raise SocketError(errno.ENOENT, path, f"there is no folder {path.parent}; create it") from None
    except OSError as error:
        raise SocketError(error.errno or 0, path, f"can't be listened on: {error.strerror}") from None


def connect_unix(path: Path, timeout: float) -> socket.socket:
    """A stream socket connected to the path; the time-out (seconds) holds for its later use as well.

    Raises TimeoutError if its backlog stays full, or there is no time at all, OSError otherwise.
    """
    if timeout <= 0:  # to the kernel that would be no end
        raise TimeoutError(errno.ETIMEDOUT, "no time was left to connect", str(path))
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # A non-blocking connect fails at once on a full backlog; the kernel's own time-out waits.
        _set_send_timeout(connection, timeout)
        # Postfix's folder lets its group pass through and not look in: it is opened as a path alone.
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            connection.connect(_within(folder, path.name))
        finally:
            os.close(folder)
        connection.settimeout(timeout)
    except BlockingIOError:
        connection.close()
        raise TimeoutError(errno.ETIMEDOUT, "nobody took the connection in time", str(path)) from None
    except BaseException:
        connection.close()
        raise
    return connection


def _set_send_timeout(connection: socket.socket, timeout: float) -> None:
    """The kernel's own, which counts as long as the socket blocks. 0 would be none."""
    microseconds = max(1, round(timeout * 1_000_000))
    connection.setsockopt(
        socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL.pack(*divmod(microseconds, 1_000_000))
    )


def peer_uid(connection: socket.socket) -> int:
    """The user who connected (the effective uid at connect)."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(raw)[1])


def _bound(folder: int, name: str, mode: int, owner: int, backlog: int) -> socket.socket:
    """Bound under a name that nobody knows, made ready, then given its own name."""
    draft = f".{secrets.token_hex(6)}"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(_within(folder, draft))
        try:
            os.chown(draft, -1, owner, dir_fd=folder)
            os.chmod(draft, mode, dir_fd=folder)
            listener.listen(backlog)
            os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            os.unlink(draft, dir_fd=folder)
            raise
    except BaseException:
        listener.close()
        raise
    return listener


def _refuse_live_or_foreign(path: Path, folder: int) -> None:
    """Return if the path is free or holds a socket that nobody listens on."""
    try:
        status = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise SocketError(errno.EEXIST, path, "is no socket; remove it")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(_within(folder, path.name))
        except ConnectionRefusedError:
            return
        except BlockingIOError:
            pass  # its backlog is full: somebody is there
    raise SocketError(errno.EADDRINUSE, path, "another program is listening there; stop it first")


def _within(folder: int, name: str) -> str:
    return f"/proc/self/fd/{folder}/{name}"


def _group_id(path: Path, group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise SocketError(
            errno.EINVAL, path, f"is to belong to the group {group}, which does not exist"
        ) from None
