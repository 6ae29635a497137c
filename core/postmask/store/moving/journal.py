"""The note of a move that isn't finished: where the truth was to go.

It lies beside the configuration file, for it holds the new database's URLs with their passwords, and is
there from before the first thing is copied until the configuration names the new database. Whoever finds
it, and nobody at work, finishes the move or undoes it.

DIAGNOSTICS
    StoreError: the note can't be read. OSError: it can't be written or removed.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

from postmask.config import toml
from postmask.disk import sync_folder
from postmask.store.errors import StoreError

_HEAD = "# An unfinished move of the database: `postmask db status` finishes or undoes it.\n"


@dataclass(frozen=True, slots=True)
class Destination:
    """The new database, as its owner and as the nodes open it."""

    owner_url: str
    url: str


class Journal:
    """The note of one node. beside: its configuration file."""

    def __init__(self, beside: Path) -> None:
        real = Path(os.path.realpath(beside))
        self.path = real.with_name(f".{real.name}.moving")

    def read(self) -> Destination | None:
        """None: no move is unfinished."""
        try:
            noted = tomllib.loads(self.path.read_text(encoding="utf-8"))
            return Destination(str(noted["owner_url"]), str(noted["url"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError) as error:
            raise StoreError(
                f"{self.path} notes an unfinished move of the database, but can't be read: {error}"
            ) from error

    def write(self, destination: Destination) -> None:
        """Readable by nobody else, and on the disk on return."""
        self.path.unlink(missing_ok=True)
        file = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(file, "w", encoding="utf-8") as writing:
            urls = f"owner_url = {toml(destination.owner_url)}\nurl = {toml(destination.url)}\n"
            writing.write(_HEAD + urls)
            writing.flush()
            os.fsync(file)
        sync_folder(self.path.parent)

    def remove(self) -> None:
        """The move is finished, or undone."""
        self.path.unlink(missing_ok=True)
