"""Postfix's own commands, run on one configuration directory.

DIAGNOSTICS
    PostfixError: the command isn't there, failed, or didn't end; the message holds what it said.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from postmask import disk
from postmask_postfix import processes

_SECONDS = 60
_LOCK_SECONDS = 300.0


class PostfixError(Exception):
    """Postfix's configuration could not be read or changed; the message says why."""


def run(*command: str) -> str:
    """Run a command that must succeed; its output."""
    done = finished(list(command))
    if done.returncode:
        raise _failure(command, done.stderr.strip() or done.stdout, done.returncode)
    return done.stdout


def finished(
    command: list[str], stdin: str = "", folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command, in a folder if need be, whatever its exit status."""
    done = _completed(command, stdin.encode("utf-8", "surrogateescape"), folder)
    words = (done.stdout, done.stderr)
    return subprocess.CompletedProcess(command, done.returncode, *map(_text, words))


def octets(*command: str) -> bytes:
    """Run a command that must succeed; its output as it is, line ends and all."""
    done = _completed(list(command), b"", None)
    if done.returncode:
        raise _failure(command, _text(done.stderr), done.returncode)
    return done.stdout


def _text(octets: bytes) -> str:
    """Addresses are UTF-8 (RFC 6531), whatever the locale."""
    return octets.decode("utf-8", "surrogateescape")


def _failure(command: tuple[str, ...], said: str, status: int) -> PostfixError:
    return PostfixError(f"{' '.join(command[:4])} failed: {said.strip() or f'exit status {status}'}")


def _completed(command: list[str], stdin: bytes, folder: Path | None) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            timeout=_SECONDS,
            env={**os.environ, "PATH": path()},
            cwd=folder,
        )
    except FileNotFoundError as error:
        raise PostfixError(f"{command[0]} isn't installed") from error
    except subprocess.TimeoutExpired as error:
        raise PostfixError(f"{command[0]} did not end within {_SECONDS} seconds") from error


def path() -> str:
    """PATH with the folders in which Postfix's commands lie, which users' shells often leave out."""
    return os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"


def values(config_dir: Path, *names: str) -> dict[str, str]:
    """Parameters as they are in force, with what they refer to filled in."""
    return pairs(run("postconf", "-c", str(config_dir), "-x", *names))


def pairs(text: str) -> dict[str, str]:
    """What postconf(1) writes, by name."""
    lines = (line.partition("=") for line in text.splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}


def queue_directory(config_dir: Path) -> Path:
    """Where this Postfix has its queue."""
    return Path(values(config_dir, "queue_directory")["queue_directory"])


def is_running(config_dir: Path) -> bool:
    """Whether this Postfix runs. Raises PostfixError where no process is to be had to find out."""
    command = ("postfix", "-c", str(config_dir), "status")
    done = finished(list(command))
    if done.returncode and "fork" in done.stderr:  # the shell's word: its status is that of a stopped Postfix
        raise _failure(command, done.stderr, done.returncode)
    return done.returncode == 0


def reload(config_dir: Path) -> None:
    """Let a running Postfix read its configuration again. Returns when master(8) has done so.

    `postfix reload` only sends a signal. A connection that a daemon takes while master(8) sees to it may stay
    unknown to that (it renews the pipes by which it is told): for it the daemon is free then, and nobody
    serves that daemon's socket until the connection ends.
    """
    run("postfix", "-c", str(config_dir), "reload")
    if master := processes.master(queue_directory(config_dir)):
        processes.await_seen(master, signal.SIGHUP)


@contextlib.contextmanager
def lock(config_dir: Path) -> Iterator[None]:
    """One change of ours at a time. Raises PostfixError where another takes too long."""
    try:
        folder = os.open(config_dir, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise PostfixError(f"{config_dir}: {error.strerror}") from error
    try:
        if not disk.lock(folder, _LOCK_SECONDS):  # any user of the host may hold it as long as he likes
            raise PostfixError(
                f"another process has locked {config_dir} for {_LOCK_SECONDS:.0f} s, perhaps for a "
                f"change that goes on; see who it is (fuser -v {quote(str(config_dir))}), then try again"
            )
        yield
    finally:
        os.close(folder)
