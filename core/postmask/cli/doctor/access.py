"""What others than root can reach: our sockets, /proc and the pipe client, tried as the users who need them.

Each is tried by a program of the system's own Python that runs as that user, in Postfix's queue directory,
as Postfix's daemons do. Without root nothing can be tried.
"""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from collections.abc import Iterator
from pathlib import Path

from postmask.cli.programs import listening
from postmask.cli.runtime import Runtime
from postmask.doctor import node as codes
from postmask.doctor.finding import Finding

_SECONDS = 20.0
_CONNECT = """
import socket, sys
one = socket.socket(socket.AF_UNIX)
one.settimeout(5)
try:
    one.connect(sys.argv[1])
except (FileNotFoundError, ConnectionRefusedError, TimeoutError):
    pass
"""
"""That nobody listens there is a finding of its own."""
_PARENT = "import os; open('/proc/%d/stat' % os.getppid(), 'rb').read(64)"
_CLIENT = "import sys; sys.path.insert(0, sys.argv[1]); import postmask_pipe"


def sockets(runtime: Runtime) -> Iterator[Finding]:
    """Whether Postfix's daemons, and pipe(8)'s user, reach the programs that listen."""
    settings = runtime.settings
    queue = settings.sockets.directory.parent
    owner, client = settings.postfix.mail_owner, settings.postfix.pipe_user
    door = client if settings.postfix.door == "pipe" else owner
    if os.geteuid() != 0:
        return
    for program in listening(settings.sockets):
        path = program.path
        user = door if path == settings.sockets.forwarder else owner
        # That there is no such user is another finding.
        if is_user(user) and (trouble := tried(user, queue, _CONNECT, str(path.relative_to(queue)))):
            yield codes.SOCKET_RIGHTS.at(f"{path.name}, {user}", f"{user} can't reach {path}: {trouble}")


def client(runtime: Runtime) -> Iterator[Finding]:
    """Whether the pipe client is there, can be run by its user, and sees pipe(8) in /proc."""
    from postmask_postfix.client import is_current

    settings = runtime.settings.postfix
    if settings.door != "pipe" or not is_user(settings.pipe_user):
        return
    if not is_current(settings.pipe_folder):
        yield codes.PIPE_CLIENT.at("version", f"{settings.pipe_folder} hasn't the client of this version")
    if os.geteuid() != 0:
        return
    if trouble := tried(settings.pipe_user, Path("/"), _CLIENT, str(settings.pipe_folder)):
        yield codes.PIPE_CLIENT.at("rights", f"{settings.pipe_user} can't run it: {trouble}")
    else:
        yield from hidden(runtime)


def hidden(runtime: Runtime) -> Iterator[Finding]:
    """Whether pipe(8) is hidden from the pipe client in /proc. For root, who can be that user."""
    settings = runtime.settings.postfix
    if settings.door == "pipe" and (trouble := tried(settings.pipe_user, Path("/"), _PARENT)):
        yield codes.PROC.at("/proc", f"{settings.pipe_user} can't read of its parent: {trouble}")


def is_user(name: str) -> bool:
    """Whether there is such a user; the group behind a colon may be missing."""
    try:
        pwd.getpwnam(name.partition(":")[0])
    except KeyError:
        return False
    return True


def tried(user: str, folder: Path, script: str, *words: str) -> str:
    """Run a script as a user ("user" or "user:group"), in a folder: the end of its complaint, or ""."""
    from postmask_postfix.client import PYTHON

    name, _, group = user.partition(":")
    entry = pwd.getpwnam(name)
    number = grp.getgrnam(group).gr_gid if group else entry.pw_gid
    done = subprocess.run(
        [PYTHON, "-I", "-S", "-B", "-c", script, *words],
        cwd=folder,
        user=entry.pw_uid,
        group=number,
        extra_groups=[number] if group else os.getgrouplist(name, entry.pw_gid),
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_SECONDS,
    )
    if not done.returncode:
        return ""
    return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
