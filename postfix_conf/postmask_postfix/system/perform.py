"""Does what was planned, on this host or in the tree of one below another root folder.

As root, in folders that less privileged users may write to: no symbolic link is followed to a folder or
file that changes hands.

DIAGNOSTICS
    HostError with the action that failed and why. What was done before it stays; the same call goes on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from postmask import keys
from postmask.clock import Clock
from postmask_postfix import client, commands
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
from postmask_postfix.system.host import HostError, accounts, within

_SECONDS = 120


def perform(root: Path, actions: Iterable[Action], clock: Clock, done: Callable[[Action], None]) -> None:
    """Each in its turn; `done` is told of it afterwards."""
    doing = _Doing(root, clock)
    for action in actions:
        try:
            doing.do(action)
        except (OSError, keys.KeyFileError, client.ClientError) as error:
            raise HostError(f"{action.text}: {error}") from error
        done(action)


class _Doing:
    def __init__(self, root: Path, clock: Clock) -> None:
        self._root = root
        self._clock = clock

    def do(self, action: Action) -> None:
        match action:
            case Run(command, rooted):
                self._run(command, rooted)
            case DropUser(name):
                self._drop_user(name)
            case Make():
                self._make(action)
            case Write(path, content, group, mode):
                self._write(path, content, group, mode)
            case Restrict(path, group, mode):
                os.close(self._given(self._at(path), os.O_RDONLY, "root", group, mode))
            case NewKeys(path, group, mode):
                keys.init(self._at(path), self._clock)
                os.close(self._given(self._at(path), os.O_RDONLY, "root", group, mode))
            case NewDatabase(path, owner):
                self._new_database(path, owner)
            case PutClient(folder):
                client.install(self._at(folder))
            case DropClient(folder):
                client.remove(self._at(folder))
            case Delete(path):
                self._delete(self._at(path))

    def _at(self, path: Path) -> Path:
        return within(self._root, path)

    def _run(self, command: tuple[str, ...], rooted: str) -> None:
        program, *words = command
        elsewhere = [rooted, str(self._root)] if self._root != Path("/") else []
        _succeed([program, *elsewhere, *words])

    def _drop_user(self, name: str) -> None:
        self._run(("userdel", name), "--prefix")
        if name in accounts(self._root)[1]:  # most systems remove it with the user
            self._run(("groupdel", name), "--prefix")

    def _make(self, action: Make) -> None:
        path = self._at(action.path)
        if not path.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
            path.mkdir(mode=0o700)
        folder = self._given(path, os.O_RDONLY | os.O_DIRECTORY, action.owner, action.group, action.mode)
        try:
            if action.contents:
                owner, group = self._ids(action.owner, action.group)
                for _, folders, files, descriptor in os.fwalk(".", dir_fd=folder):
                    for name in (*folders, *files):
                        os.chown(name, owner, group, dir_fd=descriptor, follow_symlinks=False)
        finally:
            os.close(folder)

    def _write(self, path: Path, content: str, group: str, mode: int) -> None:
        target = self._at(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.new")
        draft.unlink(missing_ok=True)
        file = self._given(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, "root", group, mode)
        with os.fdopen(file, "w", encoding="utf-8") as writer:
            writer.write(content)
        draft.replace(target)

    def _new_database(self, path: Path, owner: str) -> None:
        # Here and not above: `postmask --help` must not load SQLAlchemy.
        from postmask.store import schema
        from postmask.store.errors import StoreError

        try:
            schema.init(f"sqlite:///{self._at(path)}", self._clock)
        except StoreError as error:
            raise HostError(f"the database can't be made: {error}") from error
        os.close(self._given(self._at(path), os.O_RDONLY, owner, owner, 0o660))

    def _given(self, path: Path, flags: int, owner: str, group: str, mode: int) -> int:
        """The path opened, with this owner, group and mode."""
        opened = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.fchown(opened, *self._ids(owner, group))
            os.fchmod(opened, mode)
        except BaseException:
            os.close(opened)
            raise
        return opened

    def _ids(self, owner: str, group: str) -> tuple[int, int]:
        users, groups = accounts(self._root)
        return users[owner].uid, groups[group].gid

    def _delete(self, path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _succeed(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
            env={**os.environ, "PATH": commands.path()},
        )
    except FileNotFoundError as error:
        raise HostError(f"{command[0]} isn't installed") from error
    except subprocess.TimeoutExpired as error:
        raise HostError(f"{command[0]} did not end within {_SECONDS} seconds") from error
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}"
        raise HostError(f"{' '.join(command[:4])} failed: {said}")
