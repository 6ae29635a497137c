"""Tells a Postfix that Postmask is attached to which domains are ours.

    sync_domains(config_dir, domains)

Only our own parameters are changed (postmask_domains…, postmask_generation); the maps and
restrictions that refer to them were written when Postmask was attached. Every new value is asked with
`postmap -q` before `postconf -e` writes it, for one faulty table makes Postfix defer all mail of the
host. It returns when Postfix works by the new values: the re-injection listener, which only root and
our programs reach, greets with their generation. If it doesn't, the old values are put back.

DIAGNOSTICS
    NotAttached: this Postfix knows nothing of Postmask. SyncError: a Postfix command failed, a value
    doesn't do what it should, or Postfix doesn't take it up; nothing is changed then.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from postmask.daemon import connect_unix
from postmask_postfix.domains import alternations, parameters
from postmask_postfix.instance import cool
from postmask_postfix.settings import DOMAINS, GENERATION

_PROBE = "postmask-probe"
_FOREIGN = ("postmask-probe@foreign.invalid", "postmask-probe@invalid", "postmask-probe@", "postmask-probe")
_COMMAND_SECONDS = 60


class SyncError(Exception):
    """Postfix's settings could not be changed; the message says why."""


class NotAttached(SyncError):  # noqa: N818 (a state rather than an error)
    """Postmask isn't attached to this Postfix."""


def attached(config_dir: Path) -> bool:
    """Whether Postmask is attached to the Postfix with this configuration directory."""
    return DOMAINS in _settings(config_dir)


def ours(config_dir: Path) -> re.Pattern[str]:
    """Matches the end of an address in one of the domains that this Postfix takes for ours.

    Raises NotAttached, SyncError.
    """
    settings = _settings(config_dir)
    if DOMAINS not in settings:
        raise NotAttached(f"Postmask isn't attached to the Postfix in {config_dir}")
    parts = [value for name, value in settings.items() if name.startswith(f"{DOMAINS}_")]
    return re.compile(f"@(?:{'|'.join(parts or [settings[DOMAINS]])})$", re.IGNORECASE)


def sync_domains(config_dir: Path, domains: Iterable[str], patience: float = 20.0) -> bool:
    """Make exactly these domains (lower-case A-labels) ours in Postfix; needs root.

    Returns whether anything was changed. patience: seconds that a running Postfix gets to take it up.
    """
    names = sorted(set(domains))
    with _lock(config_dir):
        before = _settings(config_dir)
        if DOMAINS not in before:
            raise NotAttached(f"Postmask isn't attached to the Postfix in {config_dir}")
        parts = alternations(names)
        wanted = parameters(parts)
        wanted[GENERATION] = _generation(wanted)
        running = _is_running(config_dir)
        if before == wanted and (not running or _in_force(config_dir, wanted[GENERATION])):
            return False
        _ask(config_dir, parts, names)
        _write(config_dir, wanted, before)
        if running:
            _take_up(config_dir, wanted, before, patience)
        return True


def _settings(config_dir: Path) -> dict[str, str]:
    """Our parameters as main.cf has them."""
    found = {}
    for line in _run("postconf", "-c", str(config_dir), "-n").splitlines():
        name, separator, value = line.partition(" =")
        if separator and (name in (GENERATION, DOMAINS) or name.startswith(f"{DOMAINS}_")):
            found[name] = value.strip()
    return found


def _generation(values: Mapping[str, str]) -> str:
    """A short name for these values."""
    text = "\n".join(f"{name}={value}" for name, value in sorted(values.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _ask(config_dir: Path, parts: tuple[str, ...], names: list[str]) -> None:
    """Make sure that the parts together match our domains, each once, and nothing else."""
    keys = [f"{_PROBE}@{name}" for name in names]
    found: list[str] = []
    said = ""
    for part in parts:
        table = f"regexp:{{ {{/@({part})$/ ours}} }}"
        # What it says is for the message only: a site's main.cf may make every command say something.
        asked = _command(
            ["postmap", "-c", str(config_dir), "-q", "-", table], "\n".join([*keys, *_FOREIGN, ""])
        )
        found += [line.split("\t", 1)[0] for line in asked.stdout.splitlines()]
        said += asked.stderr
    if sorted(found) != sorted(keys):
        odd = ", ".join(sorted(set(found) ^ set(keys))[:3])
        raise SyncError(f"Postfix would not take exactly our domains for ours (see {odd}): {said.strip()}")


def _write(config_dir: Path, wanted: Mapping[str, str], before: Mapping[str, str]) -> None:
    """Set our parameters, all in one rename of main.cf; then drop those that aren't used any more."""
    _run("postconf", "-c", str(config_dir), "-e", *(f"{name} = {value}" for name, value in wanted.items()))
    unused = [name for name in before if name not in wanted]
    if unused:
        _run("postconf", "-c", str(config_dir), "-X", *unused)
    cool(config_dir / "main.cf")


def _take_up(config_dir: Path, wanted: Mapping[str, str], before: Mapping[str, str], patience: float) -> None:
    """Reload, and wait for the new values to be in force; else put the old ones back."""
    try:
        _run("postfix", "-c", str(config_dir), "reload")
        give_up = time.monotonic() + patience
        while not _in_force(config_dir, wanted[GENERATION]):
            if time.monotonic() > give_up:
                raise SyncError(f"Postfix did not take up the new domains within {patience:.0f} seconds")
            time.sleep(0.02)
    except SyncError:
        _write(config_dir, before, wanted)
        _run("postfix", "-c", str(config_dir), "reload")
        raise


def _in_force(config_dir: Path, generation: str) -> bool:
    """Whether smtpd processes that start now work by these values."""
    return generation in _greeting(
        Path(_run("postconf", "-c", str(config_dir), "-h", "queue_directory").strip())
    )


def _greeting(queue: Path) -> list[str]:
    """The words of the re-injection listener's greeting; none when it doesn't answer."""
    try:
        with connect_unix(queue / "public" / "postmask-reinject", 5.0) as connection:
            line = connection.makefile("rb").readline(1024)
            connection.sendall(b"QUIT\r\n")
            return line.decode("ascii", errors="replace").split()
    except OSError:
        return []


def _is_running(config_dir: Path) -> bool:
    return _command(["postfix", "-c", str(config_dir), "status"]).returncode == 0


@contextlib.contextmanager
def _lock(config_dir: Path) -> Iterator[None]:
    """One change at a time."""
    try:
        folder = os.open(config_dir, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise SyncError(f"{config_dir}: {error.strerror}") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _run(*command: str) -> str:
    """Run a Postfix command that must succeed; its output."""
    done = _command(list(command))
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}"
        raise SyncError(f"{' '.join(command[:4])} failed: {said}")
    return done.stdout


def _command(command: list[str], stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    # Users' shells often leave out the folders in which Postfix's commands lie.
    environ = {**os.environ, "PATH": os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"}
    try:
        return subprocess.run(
            command,
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_COMMAND_SECONDS,
            env=environ,
        )
    except FileNotFoundError as error:
        raise SyncError(f"{command[0]} isn't installed") from error
    except subprocess.TimeoutExpired as error:
        raise SyncError(f"{command[0]} did not end within {_COMMAND_SECONDS} seconds") from error
