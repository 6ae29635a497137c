"""What is to be done, from what is wanted and what there is. Nothing is looked at or touched.

A folder that other things may lie in (none of its path's names is "postmask") is made where it is
missing, and otherwise left as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from postmask_postfix.system.actions import (
    Action,
    Delete,
    DropClient,
    DropUser,
    Make,
    NewDatabase,
    NewKeys,
    PutClient,
    Restrict,
    Run,
    Write,
)
from postmask_postfix.system.host import UNITS, Found, Host, Systemd
from postmask_postfix.system.wanted import COMMENT, USER, Folder, User, Wanted, ours


def install(wanted: Wanted, host: Host, configuration: str) -> list[Action]:
    """What makes the host as it is wanted; nothing if it is. configuration: the text of a first one."""
    return [
        *(action for user in wanted.users for action in _user(user, host)),
        *(action for folder in wanted.folders for action in _folder(folder, host)),
        *_files(wanted, host, configuration),
        *([] if host.client else [PutClient(wanted.client)]),
        *(_units(wanted, host) if host.systemd is not Systemd.NONE else []),
    ]


def remove(wanted: Wanted, host: Host, *, purge: bool) -> list[Action]:
    """What takes Postmask away. What was configured and kept stays unless it is to be purged."""
    return [
        *_without_units(wanted, host),
        *([] if host.client is None else [DropClient(wanted.client)]),
        *([Delete(wanted.sockets)] if ours(wanted.sockets) and wanted.sockets in host.found else []),
        *_without_data(wanted, host, purge=purge),
        *(DropUser(user.name) for user in wanted.users if _is_ours(user, host)),
    ]


def left(wanted: Wanted, host: Host, *, purge: bool) -> list[Path]:
    """The folders and files that `remove` leaves."""
    folders = [
        folder.path for folder in wanted.folders if wanted.sockets not in (folder.path, folder.path.parent)
    ]
    paths = [path for path in (*folders, *kept(wanted)) if path in host.found]
    outermost = [path for path in paths if not {*paths}.intersection(path.parents)]
    return [path for path in outermost if not (purge and ours(path))]


def kept(wanted: Wanted) -> list[Path]:
    """The files that are made once, and on whose content everything depends."""
    return [wanted.config, wanted.keys, *([wanted.database] if wanted.database else [])]


def _user(user: User, host: Host) -> Iterator[Action]:
    missing = [name for name in user.groups if user.name not in _members(name, host)]
    if user.name not in host.users:
        group = ("--gid", user.name) if user.name in host.groups else ("--user-group",)
        further = ("--groups", ",".join(user.groups)) if user.groups else ()
        words = ("--system", *group, *further, "--comment", COMMENT, "--home-dir", str(user.home))
        yield Run(
            ("useradd", *words, "--no-create-home", "--shell", "/usr/sbin/nologin", user.name), "--prefix"
        )
    elif missing:
        yield Run(("usermod", "--append", "--groups", ",".join(missing), user.name), "--prefix")


def _members(group: str, host: Host) -> frozenset[str]:
    return host.groups[group].members if group in host.groups else frozenset()


def _folder(folder: Folder, host: Host) -> Iterator[Action]:
    found = host.found.get(folder.path)
    if found is None:
        yield Make(folder.path, folder.owner, folder.group, folder.mode)
    elif ours(folder.path) and found != Found(folder.owner, folder.group, folder.mode):
        contents = folder.contents and found.owner != folder.owner
        yield Make(folder.path, folder.owner, folder.group, folder.mode, contents)


def _files(wanted: Wanted, host: Host, configuration: str) -> Iterator[Action]:
    config = host.found.get(wanted.config)
    if config is None:
        yield Write(wanted.config, configuration, USER, 0o640)
    elif (config.owner, config.group) == ("root", "root") and not config.link:
        yield Restrict(wanted.config, USER, 0o640)
    # systemd hands the secrets to the programs that need them; without it the group reads the file.
    access = (USER, 0o640) if host.systemd is Systemd.NONE else ("root", 0o600)
    keys = host.found.get(wanted.keys)
    if keys is None:
        yield NewKeys(wanted.keys, *access)
    elif keys in (Found("root", "root", 0o600), Found("root", USER, 0o640)) and keys != Found(
        "root", *access
    ):
        yield Restrict(wanted.keys, *access)
    if wanted.database is not None and wanted.database not in host.found:
        yield NewDatabase(wanted.database, USER)


def _units(wanted: Wanted, host: Host) -> Iterator[Action]:
    changed = [name for name, text in wanted.units.items() if not _is_written(name, text, host)]
    names = _started(wanted)
    disabled = [name for name in names if name not in host.enabled]
    running = [name for name in names if name in host.active]
    # Whoever listened in a folder that is gone hears nobody any more.
    anew = bool(changed) or wanted.sockets not in host.found
    if anew and running:
        yield _systemctl("stop", *running)
    yield from (Write(UNITS / name, wanted.units[name], "root", 0o644) for name in changed)
    if changed and host.systemd is Systemd.RUNNING:
        yield _systemctl("daemon-reload")
    if disabled:
        yield _systemctl("enable", *disabled)
    if host.systemd is Systemd.RUNNING and (anew or len(running) < len(names)):
        yield _systemctl("start", *names)


def _started(wanted: Wanted) -> list[str]:
    """The units that are started by themselves, and not by others."""
    return [name for name, text in wanted.units.items() if "[Install]" in text]


def _without_units(wanted: Wanted, host: Host) -> Iterator[Action]:
    there = [name for name in wanted.units if UNITS / name in host.found]
    if host.active:
        yield _systemctl("stop", *(name for name in wanted.units if name in host.active))
    if host.enabled:
        yield _systemctl("disable", *(name for name in wanted.units if name in host.enabled))
    yield from (Delete(UNITS / name) for name in there)
    if there and host.systemd is Systemd.RUNNING:
        yield _systemctl("daemon-reload")


def _without_data(wanted: Wanted, host: Host, *, purge: bool) -> Iterator[Action]:
    """Gone, or for root alone: the numbers of users and groups may become somebody else's."""
    for path in (wanted.config, wanted.keys):
        if path in host.found and host.found[path].group == USER and not (purge and ours(path.parent)):
            yield Restrict(path, "root", 0o600)
    for path in left(wanted, host, purge=False):
        if not ours(path):
            continue
        if purge:
            yield Delete(path)
        elif host.found[path] != Found("root", "root", 0o700):
            yield Make(path, "root", "root", 0o700)


def _is_written(name: str, text: str, host: Host) -> bool:
    return host.found.get(UNITS / name) == Found("root", "root", 0o644, text)


def _is_ours(user: User, host: Host) -> bool:
    return user.name in host.users and host.users[user.name].ours


def _systemctl(*words: str) -> Run:
    return Run(("systemctl", *words), "--root")
