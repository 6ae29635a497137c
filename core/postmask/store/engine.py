"""Connections to the truth: one place that knows how SQLite and Postgres want to be opened.

Four uses, which differ in patience and rights:
    ADMIN      the CLI and migrations: waits for locks, writes in one immediate transaction
    INTAKE     the agent carrying the outbox: as ADMIN, under the nodes' role
    FEED       the agent copying the directory: read-only, one connection that stays
    DIRECTORY  look-ups in a message's way: autocommit, read-only, gives up within a second

A URL is sqlite:////var/lib/postmask/postmask.db or postgresql://user:password@host/database, with all
that libpq knows behind it (postmask.store.servers). For Postgres psycopg2 is always the driver.

Nothing waits for ever: the server ends a statement after the use's time, and sooner when somebody else
keeps locked what it needs.

DIAGNOSTICS
    An SQLite file that doesn't exist is an error here (StoreUnavailable on use), never made by
    accident; schema.make_file makes it. `explain` words any SQLAlchemy error for a person, without the
    password or the SQL.
"""

from __future__ import annotations

import enum
import re
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import NullPool, QueuePool

from postmask import wal
from postmask.store import servers, waiting
from postmask.store.errors import Moved, StoreError, StoreUnavailable

LOOKUP_SECONDS = 1.0
"""What a look-up may take in all (gate and milter answer within Postfix's 2 s)."""

READ_ONLY = "postmask_read_only"
"""Execution option of a connection whose SQLite transaction takes no write lock."""

TIME_LIMIT = "postmask_time_limit"
"""Execution option of an engine whose transactions must not hang: seconds for a whole one."""

WAIT = "postmask_wait"
"""Execution option of an engine: seconds for which a change waits while the database is being moved."""

TURNS = "postmask_turns"
"""Execution option of an engine on Postgres: whether its changes take turns with all others from their first
look on, as on SQLite, so that what was found is so still when it is changed."""

FILE = "postmask_file"
"""Execution option of an engine on SQLite: the file's path."""

_INTAKE_SECONDS = 20.0
_MOVE_SECONDS = 10.0
_POOL = 8

_STATEMENT = re.compile(r"^LINE \d+: .*\n *\^$", re.MULTILINE)
"""Where in it the fault is, as Postgres shows it."""
_LOCKED = ("55P03", "40P01")
_CANCELED = "57014"
_NO_TABLE = "42P01"
_REFUSED = "PM001"
"""SQLSTATEs: lock_timeout and deadlock_detected, statement_timeout, undefined_table, and of a database that
isn't in use (migration 0004)."""

NO_RIGHT = "42501"
"""Likewise, insufficient_privilege."""


class Use(enum.StrEnum):
    """What the connections are for."""

    ADMIN = "admin"
    INTAKE = "intake"
    FEED = "feed"
    DIRECTORY = "directory"


_READ_ONLY_USES = frozenset({Use.FEED, Use.DIRECTORY})

_PATIENCE: Mapping[Use, tuple[float, float]] = MappingProxyType(
    {
        Use.ADMIN: (waiting.SILENCE_SECONDS - 10.0, 10.0),
        Use.INTAKE: (15.0, 5.0),
        Use.FEED: (20.0, 20.0),
        Use.DIRECTORY: (LOOKUP_SECONDS, LOOKUP_SECONDS),
    }
)
"""Seconds for a statement on Postgres, and for a lock within that. Whoever waits to change a table keeps
from it all who come after."""


def parse_url(url: str) -> URL:
    """A database URL with its driver made certain.

    Raises StoreError for anything but SQLite (a file) and Postgres; the message hides the password.
    """
    if url.partition(":")[0].partition("+")[0] in ("postgresql", "postgres"):
        return servers.read(url)
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StoreError(servers.UNREADABLE) from None
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise StoreError("SQLite needs a file: sqlite:////path/to/postmask.db")
        return parsed.set(drivername="sqlite+pysqlite")
    raise StoreError(f"{backend} is no database we know; use sqlite or postgresql")


def sqlite_path(url: str) -> Path | None:
    """The file of an SQLite URL; None for Postgres."""
    parsed = parse_url(url)
    return Path(str(parsed.database)) if parsed.get_backend_name() == "sqlite" else None


def make_engine(url: str, use: Use = Use.ADMIN) -> Engine:
    """An engine for this use. Nothing is opened yet."""
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite_engine(Path(str(parsed.database)), use)
    return _postgres_engine(parsed, use)


def _sqlite_engine(path: Path, use: Use) -> Engine:
    patience = LOOKUP_SECONDS if use is Use.DIRECTORY else 30.0
    address = f"{path.absolute().as_uri()}?mode=rw"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            address,
            uri=True,
            timeout=patience,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        try:
            _prepare_sqlite(connection, use)
        except BaseException:
            connection.close()
            raise
        return connection

    pooled = use is Use.DIRECTORY
    engine = create_engine(
        "sqlite+pysqlite://",
        creator=connect,
        poolclass=QueuePool if pooled else NullPool,
        execution_options={FILE: path, WAIT: _wait(use)},
        isolation_level="AUTOCOMMIT" if pooled else None,
        pool_reset_on_return=None if pooled else "rollback",
        **({"pool_size": _POOL, "max_overflow": -1} if pooled else {}),
    )
    if not pooled:
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _wait(use: Use) -> float:
    """The agent has other things to do, and comes again."""
    return _MOVE_SECONDS if use is Use.ADMIN else 0.0


def _prepare_sqlite(connection: sqlite3.Connection, use: Use) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    if use is Use.DIRECTORY:
        connection.execute("PRAGMA query_only = ON")
        return
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(wal.LIMIT)
    if use is Use.ADMIN:
        # SQLite's own knows ASCII alone: no search would find what has a capital outside it.
        connection.create_function("lower", 1, _lower, deterministic=True)


def _lower(text: str | None) -> str | None:
    return text and text.lower()


def _begin_sqlite(connection: Connection) -> None:
    """A transaction that will write takes the lock at once: upgrading later can fail at any statement."""
    read_only = connection.get_execution_options().get(READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _postgres_engine(url: URL, use: Use) -> Engine:
    waiting.install()
    settings: dict[str, Any] = {
        "application_name": f"postmask-{use}",
        "client_encoding": "UTF8",
        "connect_timeout": 2,
        "tcp_user_timeout": 1000,
        **servers.KEEPALIVES,
    }
    statement, lock = (int(seconds * 1000) for seconds in _PATIENCE[use])
    read_only = use in _READ_ONLY_USES
    # Ours last, for then they hold.
    options = [url.query.get("options"), f"-c statement_timeout={statement} -c lock_timeout={lock}"]
    if read_only:
        options.append("-c default_transaction_read_only=on")
    settings["options"] = " ".join(str(option) for option in options if option)
    lookup = use is Use.DIRECTORY
    return create_engine(
        "postgresql+psycopg2://",
        creator=servers.Servers(url, settings, read_only=read_only).connect,
        execution_options={WAIT: _wait(use), TURNS: use is Use.ADMIN}
        | ({TIME_LIMIT: _INTAKE_SECONDS} if use is Use.INTAKE else {}),
        isolation_level="AUTOCOMMIT" if lookup else None,
        pool_reset_on_return=None if lookup else "rollback",
        poolclass=QueuePool if lookup else NullPool,
        **({"pool_size": _POOL, "max_overflow": 0, "pool_timeout": LOOKUP_SECONDS} if lookup else {}),
    )


def explain(error: SQLAlchemyError) -> str:
    """One line for a person: what the database said, without SQL, parameters or password."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        return " ".join(_STATEMENT.sub("", str(error.orig)).split())
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def sqlstate(error: Exception) -> str | None:
    """Postgres's code for what was wrong; None where there is none, as with SQLite."""
    return getattr(getattr(error, "orig", None), "pgcode", None)


def is_locked(error: SQLAlchemyError) -> bool:
    """Whether somebody else's change was waited for in vain."""
    return sqlstate(error) in _LOCKED or explain(error) == "database is locked"


def lacks_table(error: Exception) -> bool:
    """Whether a table isn't there that was asked."""
    return sqlstate(error) == _NO_TABLE or str(getattr(error, "orig", error)).startswith("no such table")


def as_store_error(error: SQLAlchemyError) -> StoreError:
    """The StoreError that an operation raises in place of this one."""
    if isinstance(error, IntegrityError):
        return StoreError(f"the database refused a change that would break its rules: {explain(error)}")
    hint = ""
    text = explain(error)
    state = sqlstate(error)
    if state == _REFUSED:
        return Moved(text.partition(" CONTEXT:")[0])
    if is_locked(error):
        return StoreUnavailable(
            "somebody else is changing the database and hasn't finished; nothing was changed, try again"
            f" (the database says: {text})"
        )
    if state == _CANCELED:
        return StoreUnavailable(f"the database took too long; nothing was changed, try again ({text})")
    if lacks_table(error):
        hint = "; has it been made? (postmask db init, postmask db upgrade)"
    elif "unable to open database file" in text:
        hint = "; is the path right, is it made (postmask db init), may this user read and write it?"
    elif "readonly database" in text:
        hint = "; may this user write to it, and into its folder?"
    elif "does not match host name" in text:
        hint = "; the host in its URL is to be one that the server's certificate names"
    elif "SSL error" in text or "certificate" in text:
        hint = "; has the server's certificate expired, does sslrootcert in its URL name its authority?"
    elif "unsupported startup parameter" in text:
        hint = "; is that PgBouncer? ignore_startup_parameters = options there, or Postgres itself in the URL"
    elif "statement pooling" in text:
        hint = "; PgBouncer's pool_mode must be another one, or the URL name Postgres itself"
    elif "password authentication failed" in text:
        hint = "; is that in its URL right? postmask db upgrade gives the nodes' role the one in database.url"
    elif state == NO_RIGHT:
        hint = (
            "; changes need the owner's URL (database.owner_url), and with it postmask db upgrade gives the "
            "nodes' role its rights anew"
        )
    return StoreUnavailable(f"the database can't be used: {text}{hint}")
