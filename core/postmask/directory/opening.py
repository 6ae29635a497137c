"""The directory as every program of a node opens it.

DIAGNOSTICS
    StoreError: the database's URL can't be used. A database or a replica that isn't there is found out
    by the first look-up.
"""

from __future__ import annotations

from postmask.clock import Clock
from postmask.config import Settings
from postmask.directory.local import LocalDirectory
from postmask.directory.records import Directory
from postmask.directory.succession import Succession
from postmask.spool import Spool


def open_directory(settings: Settings, spool: Spool | None, clock: Clock) -> Directory:
    """SQLite itself, or with Postgres the node's replica and Postgres for what that lacks.

    spool: for the contacts that this node met and the truth doesn't have yet; None: without them.
    """
    directory = Succession(settings, clock)
    return directory if spool is None else LocalDirectory(directory, spool)
