"""What can be done to a host, as values, each with the line by which it is shown."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Run:
    """A command that must succeed. rooted: the option by which it works below another root folder."""

    command: tuple[str, ...]
    rooted: str

    @property
    def text(self) -> str:
        return shlex.join(self.command)


@dataclass(frozen=True, slots=True)
class DropUser:
    """A user and the group of the same name."""

    name: str

    @property
    def text(self) -> str:
        return shlex.join(("userdel", self.name))


@dataclass(frozen=True, slots=True)
class Make:
    """A folder, which may be there already. contents: give all that lies in it to the owner too."""

    path: Path
    owner: str
    group: str
    mode: int
    contents: bool = False

    @property
    def text(self) -> str:
        more = " with all that is in it" if self.contents else ""
        return f"folder {self.path} ({_access(self.owner, self.group, self.mode)}){more}"


@dataclass(frozen=True, slots=True)
class Write:
    """A file, whole. A predecessor is replaced."""

    path: Path
    content: str
    group: str
    mode: int

    @property
    def text(self) -> str:
        return f"write {self.path} ({_access('root', self.group, self.mode)})"


@dataclass(frozen=True, slots=True)
class Restrict:
    """A file that is there gets this group and mode, and belongs to root."""

    path: Path
    group: str
    mode: int

    @property
    def text(self) -> str:
        return f"restrict {self.path} ({_access('root', self.group, self.mode)})"


@dataclass(frozen=True, slots=True)
class NewKeys:
    """The file of master secrets with its first one."""

    path: Path
    group: str
    mode: int

    @property
    def text(self) -> str:
        return f"new master secret in {self.path} ({_access('root', self.group, self.mode)})"


@dataclass(frozen=True, slots=True)
class NewDatabase:
    """An SQLite database with its schema and first account."""

    path: Path
    owner: str

    @property
    def text(self) -> str:
        return f"new database {self.path} ({_access(self.owner, self.owner, 0o660)})"


@dataclass(frozen=True, slots=True)
class PutClient:
    """The pipe client of this version, where pipe(8)'s user can read it."""

    folder: Path

    @property
    def text(self) -> str:
        return f"pipe client into {self.folder}"


@dataclass(frozen=True, slots=True)
class DropClient:
    """The pipe client, and its folder if nothing else is in it."""

    folder: Path

    @property
    def text(self) -> str:
        return f"remove the pipe client from {self.folder}"


@dataclass(frozen=True, slots=True)
class Delete:
    """A file, or a folder with all that is in it."""

    path: Path

    @property
    def text(self) -> str:
        return f"remove {self.path}"


Action: TypeAlias = (
    Run | DropUser | Make | Write | Restrict | NewKeys | NewDatabase | PutClient | DropClient | Delete
)


def _access(owner: str, group: str, mode: int) -> str:
    return f"{owner}:{group} {mode:04o}"
