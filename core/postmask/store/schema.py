"""Making, upgrading and describing the database's schema.

Alembic's migrations lie inside this package and run here, in one transaction, never from a
command line of Alembic's own.

DIAGNOSTICS
    StoreError says what state the database is in and which command mends it. A schema newer than
    this program is never touched.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, inspect, select, text

from postmask import tokens
from postmask.clock import Clock
from postmask.store import models, whereabouts
from postmask.store.engine import sqlite_path
from postmask.store.errors import Refused, StoreError, StoreUnavailable, Unwritable
from postmask.store.fitness import OURS
from postmask.store.opening import opened
from postmask.store.roles import demand_reading, take_turn
from postmask.store.vocabulary import Phase
from postmask.store.whereabouts import Whereabouts

DEFAULT_ACCOUNT = "default"

_MIGRATIONS = Path(__file__).parent / "migrations"

_HALF_ON = """
SELECT 'ALTER TABLE ' || tgrelid::regclass || ' ENABLE ALWAYS TRIGGER ' || quote_ident(tgname)
FROM pg_catalog.pg_trigger JOIN pg_catalog.pg_class ON pg_class.oid = tgrelid
WHERE NOT tgisinternal AND tgenabled <> 'A' AND relname = ANY(%(tables)s)
      AND relnamespace = current_schema()::regnamespace
"""
"""What mends our triggers."""


class SchemaState(enum.StrEnum):
    """Where a database stands against this program."""

    MISSING = "missing"
    FOREIGN = "foreign"
    BEHIND = "behind"
    CURRENT = "current"
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """A node that carries its outbox here, and when it last did."""

    name: str
    last_seen: float
    schema: str


@dataclass(frozen=True, slots=True)
class Status:
    """database: "sqlite" or "postgresql". revision: the schema's; wanted: this program's.

    phase: whether it is the one in use; frozen: it is being moved now. elsewhere: where it was moved to or
    comes from, moved_at: when.
    clock: the database's own, seconds, UTC; None with SQLite, which has ours.
    read_only: a Postgres that takes no writes, from anybody.
    """

    database: str
    state: SchemaState
    revision: str | None
    wanted: str
    generation: int | None
    phase: Phase
    frozen: bool
    elsewhere: str | None
    moved_at: float | None
    nodes: tuple[NodeStatus, ...]
    clock: float | None
    read_only: bool

    @property
    def trouble(self) -> str:
        """Why this isn't the database in use; "" if it is."""
        return Whereabouts(self.phase, self.elsewhere, moved_at=self.moved_at).trouble()


def init(url: str, clock: Clock) -> bool:
    """Make the schema, the account "default" and generation 1. False: it was there and current already.

    An SQLite file is created, readable by its owner and group alone.
    """
    path = sqlite_path(url)
    if path is not None:
        make_file(path)
    with opened(url) as connection:
        take_turn(connection)
        match state_of(connection):
            case SchemaState.CURRENT:
                return False
            case SchemaState.MISSING:
                demand_utf8(connection)
                migrate(connection)
                _first_rows(connection, clock.now())
                return True
            case state:
                raise _not_ready(state)


def upgrade(url: str) -> tuple[str | None, str]:
    """Bring an older schema up to date; (revision before, revision after). Current stays as it is.

    What a restore by other means leaves half on is switched on again: `pg_restore --disable-triggers`, and
    with it Debian's pg_upgradecluster, has triggers fire no longer always, but as a new one does.
    """
    with opened(url) as connection:
        take_turn(connection)
        before = _revision(connection)
        state = state_of(connection)
        if state is SchemaState.BEHIND:
            migrate(connection)
        elif state is not SchemaState.CURRENT:
            raise _not_ready(state)
        _have_triggers_fire(connection)
        return before, OURS


def _have_triggers_fire(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        tables = {"tables": list(models.Base.metadata.tables)}
        for statement in connection.exec_driver_sql(_HALF_ON, tables).scalars().all():
            connection.exec_driver_sql(statement)


def status(url: str) -> Status:
    """Where this database stands. Raises StoreUnavailable when it can't be asked."""
    with opened(url, read_only=True) as connection:
        state = state_of(connection)
        readable = state in (SchemaState.CURRENT, SchemaState.AHEAD, SchemaState.BEHIND)
        found = whereabouts.of(connection) if readable else Whereabouts()
        return Status(
            database=connection.dialect.name,
            state=state,
            revision=_revision(connection),
            wanted=OURS,
            generation=generation(connection) if readable else None,
            phase=found.phase,
            frozen=found.frozen,
            elsewhere=found.elsewhere,
            moved_at=found.moved_at,
            nodes=_nodes(connection) if readable else (),
            clock=clock(connection),
            read_only=_is_read_only(connection),
        )


def read_only_to_nodes(url: str) -> bool:
    """Whether this Postgres takes no writes by the nodes' URL. Raises StoreError: nor lets them read."""
    with opened(url, read_only=True) as connection:
        demand_reading(connection)
        return _is_read_only(connection)


def generation(connection: Connection) -> int:
    """The database's generation: raised by each restore and move."""
    return int(connection.execute(select(models.Generation.number)).scalar_one())


def make_file(path: Path) -> None:
    """The database file itself, so that its rights are narrow from the first moment."""
    try:
        path.touch(mode=0o660)
    except OSError as error:
        raise Unwritable(f"{path} can't be made: {error.strerror}") from error


def demand_utf8(connection: Connection) -> None:
    """Raises Refused where there are names that the database can't hold: it would take no word of them."""
    if connection.dialect.name == "postgresql":
        encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
        if encoding != "UTF8":
            raise Refused(f"the database's encoding is {encoding}; make one with UTF8")


def state_of(connection: Connection) -> SchemaState:
    """Where its schema stands against this program."""
    revision = _revision(connection)
    if revision is None:
        tables = set(inspect(connection).get_table_names())
        return SchemaState.FOREIGN if tables & set(models.Base.metadata.tables) else SchemaState.MISSING
    if revision == OURS:
        return SchemaState.CURRENT
    return SchemaState.BEHIND if revision in known_revisions() else SchemaState.AHEAD


def known_revisions() -> frozenset[str]:
    """Those that this program can bring up to date, and its own."""
    return frozenset(script.revision for script in ScriptDirectory(str(_MIGRATIONS)).walk_revisions())


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _nodes(connection: Connection) -> tuple[NodeStatus, ...]:
    # The columns that any schema has.
    node = models.Node
    rows = connection.execute(select(node.name, node.last_seen, node.schema).order_by(node.name))
    return tuple(NodeStatus(row.name, row.last_seen, row.schema) for row in rows)


def clock(connection: Connection) -> float | None:
    """The database's own, seconds, UTC; None with SQLite, which has ours."""
    if connection.dialect.name == "sqlite":
        return None
    return float(connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())


def _is_read_only(connection: Connection) -> bool:
    """As a standby is, or a server of which somebody said so."""
    if connection.dialect.name == "sqlite":
        return False
    question = "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean"
    return bool(connection.execute(text(question)).scalar_one())


def migrate(connection: Connection) -> None:
    """Bring the schema from wherever it is to this program's, in the caller's transaction."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _first_rows(connection: Connection, now: float) -> None:
    connection.execute(insert(models.Generation).values(id=1, number=1))
    connection.execute(
        insert(models.Account).values(id=tokens.random_id(), name=DEFAULT_ACCOUNT, created=now)
    )


def _not_ready(state: SchemaState) -> StoreError:
    match state:
        case SchemaState.MISSING:
            return StoreUnavailable("there is no schema in this database yet; make it: postmask db init")
        case SchemaState.FOREIGN:
            return StoreError("this database has tables of our names that are not ours; use another database")
        case SchemaState.BEHIND:
            return StoreUnavailable(
                "the schema is older than this program; bring it up to date: postmask db upgrade"
            )
        case _:
            return StoreUnavailable("the schema is newer than this program; upgrade Postmask on this machine")
