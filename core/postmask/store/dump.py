"""Copies of a Postgres truth by pg_dump, and bringing one back by pg_restore.

Both work with the rights of the database's owner, who is no superuser. A dump holds the tables, their
content and their functions, and no rights: roles belong to the server that it is put back on.

A restore is one transaction: until its end everybody sees what was there before, and after it nobody but
the owner may look, until in a second one the generation is raised and the nodes are admitted. By that
they know that what they have copied has to be copied anew.

DIAGNOSTICS
    StoreError: the file exists; the dump, or the database to be dumped, isn't ours or is of a newer schema.
    Refused: the URL leads to a pooler that would give what pg_restore sets for itself to others (PgBouncer's
    pool_mode = transaction); they would look for the tables in no schema.
    Unwritable: nothing can be made in the file's folder. StoreUnavailable: the server can't be reached, or
    pg_dump and pg_restore aren't there, or are older than the server. Nothing is changed then.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from psycopg2 import extensions
from sqlalchemy import Connection, inspect, update

from postmask.store import roles, schema, servers
from postmask.store.backup import demand_ours, new_file
from postmask.store.engine import parse_url
from postmask.store.errors import NoFile, Refused, StoreError, StoreUnavailable
from postmask.store.models import Base, Generation
from postmask.store.opening import opened, opened_engine

_SECRETS = ("password", "sslpassword")
"""Not in a command line, which everybody on the host can read."""

_LOCK_SECONDS = 60
"""For pg_dump, which waits for nobody but those who change the schema."""

_PATIENCE: Mapping[str, int] = MappingProxyType({"connect_timeout": 10, "tcp_user_timeout": 30_000})
"""Of pg_dump and pg_restore, which by themselves wait for hours for a server that is gone without a word."""

_LOOKS = 3
"""A pooler that is busy may have given the process away between two questions."""

_REVISION = re.compile(r"^COPY \S*alembic_version .*;\n(\w+)\n", re.MULTILINE)


def backup(url: str, path: Path) -> None:
    """Dump the database, as of one moment, to a new file, readable by its owner alone."""
    with new_file(path) as temporary:
        demand_ours(url)
        options = ("--format=custom", "--no-owner", "--no-privileges")
        _run(url, "pg_dump", *options, f"--lock-wait-timeout={_LOCK_SECONDS}s", f"--file={temporary}")


def restore(url: str, path: Path, node: tuple[str, str] | None) -> int:
    """Put a dump in place of what the database holds, brought up to date; returns the new generation.

    node: the nodes' role and its password; None: they use the owner's. Where tables have come since the dump
    that refer to those in it, the database must be empty.
    """
    if not path.exists():
        raise NoFile(f"there is no file {path}")
    revision = _revision_of(path)
    _demand_own_connection(url)
    _demand_free(url)
    before = schema.status(url)
    options = ("--single-transaction", "--clean", "--if-exists", "--no-owner", "--no-privileges")
    try:
        _run(url, "pg_restore", *options, str(path))
    except StoreUnavailable as error:
        if before.revision is None or before.revision == revision:
            raise
        raise StoreUnavailable(
            f"{error}; the dump has the schema {revision}, the database {before.revision}: if that is why,"
            " make an empty database in its place, and call it again"
        ) from error
    schema.upgrade(url)
    return _open(url, before.generation or 0, node)


def _demand_own_connection(url: str) -> None:
    """Raises Refused where one of the server's processes serves two connections that are open."""
    for _ in range(_LOOKS):
        with opened_engine(url) as engine, engine.connect() as one, engine.connect() as other:
            if len({_served_by(each) for each in (one, other)}) == 1:
                raise Refused(
                    "database.owner_url leads to a pooler that shares its connections to Postgres"
                    " (PgBouncer's pool_mode = transaction), which pg_restore would leave unusable: name"
                    " Postgres itself there"
                )


def _served_by(connection: Connection) -> int:
    """The process, between two transactions."""
    with connection.begin():
        return int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())


def _demand_free(url: str) -> None:
    """Raises StoreUnavailable when somebody has one of the tables in hand for long.

    pg_restore would wait for him without an end, whatever limit it is given, and all others behind it.
    """
    with opened(url) as connection:
        ours = sorted(set(inspect(connection).get_table_names()) & set(Base.metadata.tables))
        if ours:
            connection.exec_driver_sql(f"LOCK TABLE {', '.join(ours)} IN ACCESS EXCLUSIVE MODE")


def _open(url: str, before: int, node: tuple[str, str] | None) -> int:
    """The generation raised above both, and the nodes admitted."""
    with opened(url) as connection:
        generation = max(before, schema.generation(connection)) + 1
        connection.execute(update(Generation).values(number=generation))
        if node is not None:
            roles.admit(connection, *node)
    return generation


def _revision_of(path: Path) -> str:
    """Of the schema in a dump. Raises StoreError if it is none of ours, or newer than this program."""
    listed = _called("pg_restore", "--data-only", "--table=alembic_version", "--file=-", str(path))
    found = _REVISION.search(listed.stdout)
    if listed.returncode or not found:
        said = _said(listed) or "there is no schema of ours in it"
        raise StoreError(f"{path} is no dump of ours: {said}")
    if found[1] not in schema.known_revisions():
        raise StoreError(
            f"{path} has the schema {found[1]}, which is newer than this program; upgrade Postmask"
        )
    return found[1]


def _run(url: str, program: str, *arguments: str) -> None:
    """One of Postgres's programs on this database. Raises StoreUnavailable."""
    fields = servers.fields(parse_url(url))
    shown = {name: value for name, value in fields.items() if name not in _SECRETS}
    named: dict[str, Any] = {**_PATIENCE, **servers.KEEPALIVES, **shown}
    place = extensions.make_dsn(**named)
    done = _called(program, f"--dbname={place}", *arguments, password=fields.get("password"))
    if done.returncode:
        raise StoreUnavailable(f"{program} failed, nothing is changed: {_said(done)}")


def _called(program: str, *arguments: str, password: str | None = None) -> subprocess.CompletedProcess[str]:
    secret = {} if password is None else {"PGPASSWORD": password}
    environ = {**os.environ, **secret, "LC_ALL": "C"}
    command = [program, "--no-password", *arguments] if secret else [program, *arguments]
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environ,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError:
        raise StoreUnavailable(
            f"{program} isn't on this machine; it comes with Postgres's client, as new as the server:"
            " apt-get install postgresql-client"
        ) from None


def _said(done: subprocess.CompletedProcess[str]) -> str:
    return "; ".join(done.stderr.split("\n")[:3]).strip("; ")
