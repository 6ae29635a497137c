"""Looks at a host, or at the tree of one below another root folder. Nothing is changed.

Users and groups are those of its own etc/passwd and etc/group.

DIAGNOSTICS
    HostError: no Postfix is installed there, or something lies where Postmask's ought to be; exit_code 69.
"""

from __future__ import annotations

import enum
import os
import shutil
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from postmask_postfix import client, commands
from postmask_postfix.system.wanted import COMMENT, Postfix, Wanted

UNITS = Path("/etc/systemd/system")
"""Where the administrator's units lie."""

_HIDDEN = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))  # noqa: S108 - nothing is put there


class HostError(Exception):
    """The host isn't as it must be; the message says what to do."""

    exit_code = os.EX_UNAVAILABLE


class Systemd(enum.StrEnum):
    """How far there is one. IDLE: installed, but it isn't what runs this host now."""

    NONE = "none"
    IDLE = "idle"
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Account:
    """A user. ours: made by us, hence ours to remove."""

    uid: int
    gid: int
    ours: bool


@dataclass(frozen=True, slots=True)
class Group:
    """A group, with the users that belong to it besides those whose first one it is."""

    gid: int
    members: frozenset[str]


@dataclass(frozen=True, slots=True)
class Found:
    """A file or folder. content: of a unit, to be compared. link: symbolic; its target is the site's."""

    owner: str
    group: str
    mode: int
    content: str | None = None
    link: bool = False


@dataclass(frozen=True, slots=True)
class Host:
    """What there is. client: None, or whether the pipe client is this version's."""

    users: Mapping[str, Account]
    groups: Mapping[str, Group]
    found: Mapping[Path, Found]
    client: bool | None
    systemd: Systemd
    enabled: frozenset[str] = frozenset()
    active: frozenset[str] = frozenset()


def within(root: Path, path: Path) -> Path:
    """Where a path of the host lies, seen from here."""
    return root / path.relative_to("/")


def look(root: Path, wanted: Wanted) -> Host:
    """The host below this root folder, as far as it matters."""
    users, groups = accounts(root)
    paths = [*(folder.path for folder in wanted.folders), wanted.config, wanted.keys]
    if wanted.database is not None:
        paths.append(wanted.database)
    names = {"users": {user.uid: name for name, user in users.items()}}
    names["groups"] = {group.gid: name for name, group in groups.items()}
    found = {path: seen for path in paths if (seen := _found(within(root, path), names))}
    for folder in wanted.folders:
        if folder.path in found and not stat.S_ISDIR(within(root, folder.path).lstat().st_mode):
            raise HostError(f"{folder.path} is no folder; remove it")
    units = within(root, UNITS)
    for name in wanted.units:
        if seen := _found(units / name, names, read=True):
            found[UNITS / name] = seen
    systemd = _systemd(root)
    installed = within(root, wanted.client)
    return Host(
        users,
        groups,
        found,
        client.is_current(installed) if client.lies_in(installed) else None,
        systemd,
        enabled=frozenset(link.name for link in units.glob("*.wants/*") if link.name in wanted.units),
        active=_active(tuple(wanted.units)) if systemd is Systemd.RUNNING else frozenset(),
    )


def accounts(root: Path) -> tuple[dict[str, Account], dict[str, Group]]:
    """Users and groups by name."""
    users = {
        name: Account(int(uid), int(gid), comment == COMMENT)
        for name, _, uid, gid, comment, *_ in _entries(root, "passwd", 7)
        if uid.isdecimal() and gid.isdecimal()
    }
    groups = {
        name: Group(int(gid), frozenset(filter(None, members.split(","))))
        for name, _, gid, members in _entries(root, "group", 4)
        if gid.isdecimal()
    }
    return users, groups


def postfix(root: Path, config_dir: Path, owner: str) -> Postfix:
    """What its Postfix says of itself; where there is no postconf to ask, what is usual."""
    users, groups = accounts(root)
    directory = within(root, config_dir)
    try:
        said = commands.values(directory, "mail_owner", "setgid_group", "queue_directory")
    except commands.PostfixError:
        said = {"mail_owner": owner, "setgid_group": "postdrop", "queue_directory": "/var/spool/postfix"}
    user = users.get(said["mail_owner"])
    if user is None or said["setgid_group"] not in groups:
        raise HostError("Postfix isn't installed here; install it first, then run this again")
    group = next((name for name, group in groups.items() if group.gid == user.gid), said["mail_owner"])
    return Postfix(said["mail_owner"], group, said["setgid_group"], said["queue_directory"])


def check_programs(root: Path, folder: Path) -> None:
    """Make sure that units can start the programs in this folder, which the units' user must reach."""
    for path in {folder, Path(os.path.realpath(within(root, folder) / "python3")).parent}:
        if any(path.is_relative_to(hidden) for hidden in _HIDDEN) and root == Path("/"):
            raise HostError(
                f"the programs can't be started from {path}, which units and other users don't see; install"
                " Postmask elsewhere, into a virtual environment in /opt/postmask for instance"
            )
    program = within(root, folder) / "postmask-agent"
    if not program.is_file():
        raise HostError(f"there is no {folder / program.name}; name the folder of the programs: --programs")
    for above in program.relative_to(root).parents:
        if not (root / above).stat().st_mode & stat.S_IXOTH:
            raise HostError(f"other users can't pass through {Path('/') / above}; chmod o+x it")


def _entries(root: Path, name: str, fields: int) -> list[list[str]]:
    try:
        lines = within(root, Path("/etc", name)).read_text("utf-8", "surrogateescape").splitlines()
    except FileNotFoundError:
        raise HostError(f"{root} isn't the root folder of a host: there is no etc/{name}") from None
    return [entry for line in lines if len(entry := line.split(":")) == fields]


def _found(path: Path, names: Mapping[str, Mapping[int, str]], read: bool = False) -> Found | None:
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Found(
        names["users"].get(status.st_uid, str(status.st_uid)),
        names["groups"].get(status.st_gid, str(status.st_gid)),
        stat.S_IMODE(status.st_mode),
        path.read_text("utf-8", "replace") if read and stat.S_ISREG(status.st_mode) else None,
        stat.S_ISLNK(status.st_mode),
    )


def _systemd(root: Path) -> Systemd:
    installed = any((root / folder / "systemd/systemd").exists() for folder in ("usr/lib", "lib"))
    if not installed or shutil.which("systemctl") is None:
        return Systemd.NONE
    runs = root == Path("/") and Path("/run/systemd/system").is_dir()
    return Systemd.RUNNING if runs else Systemd.IDLE


def _active(units: tuple[str, ...]) -> frozenset[str]:
    """Those that run, are about to, or failed and are tried again."""
    told = subprocess.run(["systemctl", "is-active", *units], capture_output=True, text=True, check=False)
    states = zip(units, told.stdout.split(), strict=False)
    return frozenset(name for name, state in states if state in ("active", "activating", "reloading"))
