"""Where everything lies in a lab's folder, and whether the folder will do.

DIAGNOSTICS
    LabError 64 for a folder whose path is too long or can't stand in Postfix's configuration, 73 for one that
    holds something else or can't be made, 77 for one that Postfix's users can't reach, or that belongs to
    another user.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from postmask_postfix.instance import Instance
from postmask_postfix.lab.errors import LabError

_NAME = re.compile(r"/[A-Za-z0-9/._+=@-]*")
_LONGEST = 107 - len("/queue/public/postlog")
"""Octets of a folder's path. Postfix's programs reach their log daemon by an absolute path, and the path
of a Unix socket ends at 107 (unix(7)); all other sockets are reached in ways that don't depend on it."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The lab's paths. directory is absolute and resolved."""

    directory: Path

    @property
    def made(self) -> Path:
        return self.directory / "lab.json"

    @property
    def config(self) -> Path:
        return self.directory / "postmask.toml"

    @property
    def keys(self) -> Path:
        return self.directory / "keys"

    @property
    def database(self) -> Path:
        return self.directory / "postmask.db"

    @property
    def spool(self) -> Path:
        return self.directory / "spool.db"

    @property
    def replica(self) -> Path:
        return self.directory / "directory"

    @property
    def pipe(self) -> Path:
        return self.directory / "pipe"

    @property
    def sink(self) -> Path:
        return self.directory / "sink"

    @property
    def run(self) -> Path:
        return self.directory / "run"

    @property
    def log(self) -> Path:
        return self.directory / "log"

    @property
    def sockets(self) -> Path:
        return self.instance.queue / "postmask"

    @property
    def reinject(self) -> Path:
        return self.instance.queue / "public" / "postmask-reinject"

    @property
    def hold(self) -> Path:
        return self.instance.queue / "public" / "postmask-hold"

    @property
    def instance(self) -> Instance:
        return Instance(self.directory)

    def socket_paths(self) -> dict[str, str]:
        """name → path of every socket that Postmask has to do with."""
        ours = {name: str(self.sockets / f"{name}.sock") for name in ("alias", "gate", "scan", "forwarder")}
        return {**ours, "reinject": str(self.reinject), "hold": str(self.hold)}


def at(directory: Path) -> Layout:
    """The layout of a lab in this folder, which need not exist."""
    absolute = Path(os.path.realpath(directory))
    if not _NAME.fullmatch(str(absolute)):
        raise LabError(
            f"{absolute}: a lab's path may have letters, digits and /._+=@- in it, nothing else", os.EX_USAGE
        )
    if len(str(absolute)) > _LONGEST:
        excess = len(str(absolute)) - _LONGEST
        raise LabError(
            f"{absolute}: too long by {excess}; for Postfix a lab's path has {_LONGEST} characters at most",
            os.EX_USAGE,
        )
    _demand_ours(directory, absolute)
    return Layout(absolute)


@contextlib.contextmanager
def prepared(layout: Layout) -> Iterator[None]:
    """The folders made. Where the block fails those that are new go again, unless something is in them."""
    folder = layout.directory
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        prepare(layout)
        yield
    except BaseException:
        for path in new:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


def prepare(layout: Layout) -> None:
    """Make the folders, after making sure that they will do."""
    directory = layout.directory
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _demand_ours(directory)
        if not layout.made.exists() and any(directory.iterdir()):
            raise LabError(f"{directory} isn't empty and isn't a lab; give a new folder", os.EX_CANTCREAT)
        directory.chmod(0o755)
        _reachable(directory)
        for folder in (layout.run, layout.log, layout.sink, layout.pipe):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)
    except OSError as error:
        raise LabError(f"{error.filename or directory}: {error.strerror}", os.EX_CANTCREAT) from error


def put(file: Path, text: str) -> None:
    """Put a file in its place whole; only root may read it."""
    temporary = file.with_name(f".{file.name}.new")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=0o600)
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(file)


def _demand_ours(*paths: Path) -> None:
    """Whose folder it is, or the link to it, could have root run anything; in /tmp anybody may make one."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            owner = path.lstat().st_uid
            if owner not in {0, os.geteuid()}:
                raise LabError(
                    f"{path} belongs to another user (uid {owner}), who could have root run anything; give a"
                    " new folder",
                    os.EX_NOPERM,
                )


def _reachable(directory: Path) -> None:
    """Postfix's own user and nobody must get there: each folder above needs x for others."""
    for folder in directory.parents:
        if not folder.stat().st_mode & stat.S_IXOTH:
            raise LabError(
                f"other users can't pass through {folder}, but Postfix's daemons and the pipe client (nobody)"
                " must; give a folder elsewhere, in /tmp or /var/tmp for instance",
                os.EX_NOPERM,
            )
