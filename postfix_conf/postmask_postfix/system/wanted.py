"""What Postmask is to be on a host, as values: made from the settings, nothing is looked at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from postmask_postfix.system import units

if TYPE_CHECKING:
    from postmask.config import Settings

USER = "postmask"
"""The user of agent, milters and forwarder."""

COMMENT = "Postmask"
"""Stands in the user database at each user that is ours to remove."""

_FIRST_CONFIGURATION = """\
# Postmask on this node. Each setting is told in postmask.toml(5); what isn't set here has its default.
# postmask config show    prints all of them, and where each value comes from
# postmask config check   tells what is wrong
"""


@dataclass(frozen=True, slots=True)
class User:
    """A system user with a group of the same name. groups: further ones, without which it is of no use."""

    name: str
    home: Path
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that is to be there. contents: all that lies in it belongs to the owner as well."""

    path: Path
    owner: str
    group: str
    mode: int
    contents: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """Everything that is to be there. folders: from the root down. database: None unless it is SQLite."""

    users: tuple[User, ...]
    folders: tuple[Folder, ...]
    config: Path
    keys: Path
    database: Path | None
    sockets: Path
    client: Path
    units: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Postfix:
    """What of the host's Postfix we must know. submitters: its setgid_group, which reaches the re-injection
    socket."""

    owner: str
    group: str
    submitters: str
    queue: str


def first_configuration(postfix: Postfix) -> str:
    """The text of a postmask.toml for a host that has none: what of the defaults isn't right there."""
    text = _FIRST_CONFIGURATION
    if postfix.owner != "postfix":
        text += f"\n[postfix]\nmail_owner = {json.dumps(postfix.owner)}\n"
    if postfix.queue != "/var/spool/postfix":
        text += f"\n[sockets]\ndirectory = {json.dumps(f'{postfix.queue}/postmask')}\n"
        public = f"{postfix.queue}/public/postmask"
        text += f"\n[reinject]\nsocket = {json.dumps(f'{public}-reinject')}\n"
        text += f"hold_socket = {json.dumps(f'{public}-hold')}\n"
    return text


def wanted(settings: Settings, database: Path | None, programs: PurePath, postfix: Postfix) -> Wanted:
    """By these settings. programs: the folder of Postmask's programs on the host."""
    sockets = settings.sockets.directory
    data = _data(settings, database)
    client = settings.postfix.pipe_user
    folders = [
        Folder(settings.file.parent, "root", USER, 0o750),
        *(Folder(path, USER, USER, 0o750, contents=True) for path in data),
        # Not to be opened by others: a lock that one holds on it would keep the programs from starting.
        Folder(sockets, USER, USER, 0o711),
        # The client leaves its stamp there, the forwarder takes it away.
        Folder(sockets / "pipe", client, USER, 0o775),
    ]
    values = {
        "user": USER,
        "postfix_group": postfix.group,
        "programs": str(programs),
        "config": str(settings.file),
        "credential": f"{settings.keys.file.name}:{settings.keys.file}",
        "sockets": str(sockets),
        "untold": str(settings.replica.directory / "domains.untold"),
        "postfix": str(settings.postfix.config_dir),
    }
    return Wanted(
        users=(
            User(USER, settings.spool.folder, (postfix.group, postfix.submitters)),
            User(client, Path("/nonexistent")),
        ),
        folders=tuple(sorted(folders, key=lambda folder: folder.path)),
        config=settings.file,
        keys=settings.keys.file,
        database=database,
        sockets=sockets,
        client=settings.postfix.pipe_folder,
        units=units.rendered(values, [*map(str, data)]),
    )


def ours(path: Path) -> bool:
    """Whether a folder is Postmask's alone, by its name, and not one that it shares with others."""
    return "postmask" in path.parts


def _data(settings: Settings, database: Path | None) -> list[Path]:
    """The folders that the programs write to, none within another."""
    folders = {settings.spool.folder, settings.replica.directory, settings.spam.directory}
    if database is not None:
        folders.add(database.parent)
    return sorted(path for path in folders if not folders.intersection(path.parents))
