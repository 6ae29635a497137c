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
from postmask.directory.replica import Replica, ReplicaDirectory
from postmask.directory.truth import Asker
from postmask.spool import Spool
from postmask.store.directory import SqlDirectory
from postmask.store.engine import Use, make_engine, sqlite_path
from postmask.store.replica.folder import Folder


def open_directory(settings: Settings, spool: Spool | None, clock: Clock) -> Directory:
    """SQLite itself, or with Postgres the node's replica and Postgres for what that lacks.

    spool: for the contacts that this node met and the truth doesn't have yet; None: without them.
    """
    url = settings.database.url
    directory: Directory = SqlDirectory(make_engine(url, Use.DIRECTORY), clock)
    if sqlite_path(url) is None:
        replica = Replica(Folder(settings.replica.directory), clock)
        directory = ReplicaDirectory(replica, directory, Asker(clock), clock)
    return directory if spool is None else LocalDirectory(directory, spool)
