"""The database that the truth is moved to: whether it will do, filled, taken into use, or emptied again.

It is filled in one transaction: before its end there is nothing. From then until the move is settled it
is marked as arriving, and takes no changes.

DIAGNOSTICS
    StoreError: it won't do, and why. Nothing is changed then.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import URL, Connection, insert, select, update

from postmask.store import roles, schema, whereabouts
from postmask.store.engine import parse_url
from postmask.store.errors import Refused, StoreError
from postmask.store.models import Base, Generation
from postmask.store.moving import copying, freeze
from postmask.store.moving.copying import Sum
from postmask.store.opening import opened
from postmask.store.schema import SchemaState
from postmask.store.vocabulary import Phase

_FUNCTIONS = (
    "change_lock()",
    "change_stamp()",
    "change_forget()",
    "change_tell()",
    "change_refuse()",
    "forget_past(integer)",
    "move_refuse()",
)
"""What the migrations make beside the tables."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a copy comes from: in words, and its `identity`."""

    label: str
    identity: str


def label(url: str) -> str:
    """A database in words: nothing of it is secret."""
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return f"the file {parsed.database}"
    return f"{parsed.database} on {_servers(parsed)}"


def check(connection: Connection, origin: Origin) -> None:
    """Whether the truth can be moved here. Raises StoreError."""
    if whereabouts.identity(connection) == origin.identity:
        raise Refused("that is the database in use; name another one")
    schema.demand_utf8(connection)
    if connection.exec_driver_sql("SELECT current_schema()").scalar() is None:
        raise Refused("the new database has no schema that this role may use")
    if schema.state_of(connection) is not SchemaState.MISSING and not _is_left_over(connection, origin):
        raise Refused("the new database isn't empty: there is a schema in it; make an empty one")


def fill(
    source: Connection, connection: Connection, origin: Origin, node: tuple[str, str] | None, now: float
) -> dict[str, Sum]:
    """Copy, verify, and admit the nodes' role (its name and password), in the transaction of the check.

    What an earlier attempt left is replaced.
    """
    freeze.stay(connection)
    freeze.claim(connection)
    empty(connection, origin)
    schema.migrate(connection)
    sums = copying.copy(source, connection)
    copying.verify(connection, sums)
    before = source.execute(select(Generation)).mappings().one()
    arriving = {
        **before,
        "number": before["number"] + 1,
        "phase": Phase.ARRIVING,
        "elsewhere": origin.label,
        "elsewhere_id": origin.identity,
        "moved_at": now,
    }
    connection.execute(insert(Generation).values(arriving))
    if node is not None:
        roles.admit(connection, *node)
    return sums


def take_into_use(url: str) -> None:
    """It is the truth from now on. Doing it again changes nothing."""
    with opened(url) as connection:
        connection.execute(
            update(Generation)
            .where(Generation.phase == Phase.ARRIVING)
            .values(phase=Phase.CURRENT, elsewhere=None, elsewhere_id=None, moved_at=None)
        )


def empty(connection: Connection, origin: Origin) -> None:
    """Remove an unfinished copy of this origin, if there is one."""
    if not _is_left_over(connection, origin):
        return
    connection.exec_driver_sql(f"DROP TABLE {', '.join(Base.metadata.tables)}, alembic_version")
    connection.exec_driver_sql("DROP SEQUENCE change_number")
    connection.exec_driver_sql(f"DROP FUNCTION {', '.join(_FUNCTIONS)}")


def _is_left_over(connection: Connection, origin: Origin) -> bool:
    if schema.state_of(connection) is not SchemaState.CURRENT:
        return False
    found = whereabouts.of(connection)
    return found.phase is Phase.ARRIVING and found.elsewhere_id == origin.identity


def demand_postgres(url: str) -> None:
    """Raises StoreError."""
    if parse_url(url).get_backend_name() != "postgresql":
        raise StoreError("only Postgres can be moved to; name it postgresql://owner:password@host/database")


def _servers(url: URL) -> str:
    """Hosts with their ports, as libpq reads a URL: of the address, or of the query."""
    hosts = url.query.get("host") or url.host or "this machine"
    ports = url.query.get("port") or (str(url.port) if url.port else "")
    listed = hosts if isinstance(hosts, str) else ",".join(hosts)
    numbered = ports if isinstance(ports, str) else ",".join(ports)
    return f"{listed} port {numbered}" if numbered else listed
