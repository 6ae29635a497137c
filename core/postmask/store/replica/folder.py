"""Where a node's replicas lie.

    directory                the pointer: the name of the current file
    directory.<number>.db    a replica; the current one, the last one, perhaps one in the making
    damaged.<number>         a reader's word that this file is damaged
    state.json               the agent's word on how current all of it is
    domains                  our domains, a name a line: written only when their set changes
    domains.untold           a mark: Postfix is to be told of them. Root's systemd waits for it, and takes it
                             away before the truth is asked what there is to tell

A new replica is a new file, and the pointer is exchanged atomically: renaming one WAL database over
another would let SQLite replay the old log onto the new file.

DIAGNOSTICS
    OSError, as the file system gives it; a pointer or state that can't be read is None.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from postmask.disk import lock, sync_folder
from postmask.store.errors import StoreUnavailable
from postmask.store.replica.file import remove

_NAME = re.compile(r"directory\.([0-9]{1,12})\.db")

Stamp = tuple[int, int]
"""Changes whenever the pointer does."""


@dataclass(frozen=True, slots=True)
class State:
    """How current the replica is. synced_at: when it last had all of the truth; times in seconds, UTC.

    trouble: why it isn't current; "" if it is.
    """

    file: str
    change: int
    copied_at: float
    synced_at: float
    trouble: str


class Folder:
    """The folder. It need not exist for reading."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pointer = path / "directory"

    def current(self) -> Path | None:
        """The file that the pointer names."""
        try:
            name = self._pointer.read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return None
        return self.path / name if _NAME.fullmatch(name) else None

    def stamp(self) -> Stamp | None:
        """To see by that the pointer was exchanged. None: there is none."""
        try:
            status = self._pointer.stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns

    def next(self) -> Path:
        """The name for a new replica: a number that none had before."""
        numbers = [int(match[1]) for match in map(_NAME.fullmatch, self._names()) if match]
        named = self.current()
        if named is not None and (match := _NAME.fullmatch(named.name)):
            numbers.append(int(match[1]))
        return self.path / f"directory.{max(numbers, default=0) + 1}.db"

    def point(self, path: Path) -> None:
        """Make this file the current one, for good."""
        self._replace(self._pointer, f"{path.name}\n", lasting=True)

    def tidy(self, *kept: Path | None) -> None:
        """Remove all replicas but these, and readers' words about others."""
        names = {path.name for path in kept if path is not None}
        for name in self._names():
            if _NAME.fullmatch(name) and name not in names:
                remove(self.path / name)
            elif name.startswith("damaged.") and f"directory.{name.removeprefix('damaged.')}.db" not in names:
                (self.path / name).unlink(missing_ok=True)

    def complain(self, path: Path) -> None:
        """Say that a file is damaged: its writer looks here."""
        with contextlib.suppress(OSError):
            self._complaint(path).touch(mode=0o660)

    def complained(self, path: Path) -> bool:
        """Whether a reader said so."""
        return self._complaint(path).exists()

    def settle(self, path: Path) -> None:
        """The complaint was looked into."""
        self._complaint(path).unlink(missing_ok=True)

    def write_domains(self, names: Sequence[str], *, anew: bool) -> bool:
        """Write our domains, sorted, unless the file says the same already; whether it was written.

        Then, and where it is to be told anew, the mark is left: first, lest it be forgotten.
        """
        path = self.path / "domains"
        untold = self.path / "domains.untold"
        text = "".join(f"{name}\n" for name in names)
        with contextlib.suppress(OSError, ValueError):
            if path.read_text(encoding="ascii") == text:
                if anew:
                    untold.touch()
                return False
        untold.touch()
        self._replace(path, text, lasting=True)
        return True

    def write_state(self, state: State) -> None:
        """What `postmask status` says."""
        self._replace(self.path / "state.json", json.dumps(asdict(state)) + "\n", lasting=False)

    def read_state(self) -> State | None:
        """What the agent said last."""
        try:
            state = State(**json.loads((self.path / "state.json").read_text(encoding="utf-8")))
            return replace(state, copied_at=float(state.copied_at), synced_at=float(state.synced_at))
        except (OSError, ValueError, TypeError):
            return None

    @contextlib.contextmanager
    def owned(self) -> Iterator[None]:
        """Make the folder, and be its only writer. Raises StoreUnavailable."""
        try:
            self.path.mkdir(mode=0o750, exist_ok=True)
            folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise StoreUnavailable(f"{self.path} can't be used: {error.strerror}") from error
        try:
            if not lock(folder, 0.0):
                raise StoreUnavailable(f"another postmask-agent keeps the replica in {self.path}")
            yield
        finally:
            os.close(folder)

    def _complaint(self, path: Path) -> Path:
        match = _NAME.fullmatch(path.name)
        return self.path / f"damaged.{match[1] if match else path.name}"

    def _names(self) -> list[str]:
        return [path.name for path in self.path.iterdir()] if self.path.is_dir() else []

    def _replace(self, path: Path, text: str, *, lasting: bool) -> None:
        temporary = path.with_name(f".{path.name}.new")
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
        if lasting:
            sync_folder(self.path)
