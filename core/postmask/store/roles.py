"""The nodes' role on Postgres: what a program in a message's way may do, and nothing else.

It reads the routing tables and what was deleted and purged from them, adds contacts, reverse aliases, replay
marks, events and bounces, counts, notes that its node is alive, pauses a mailbox, and has what is past
its time forgotten. It can't confirm a mailbox, read a confirmation code, change an alias, say what is
to be done with a contact, or see what happened before.
"""

from __future__ import annotations

from psycopg2 import extensions
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import ProgrammingError, SQLAlchemyError

from postmask.store.engine import NO_RIGHT, as_store_error, sqlstate
from postmask.store.errors import StoreError
from postmask.store.replica.tables import COPIED

LOCK = 0x706F73746D61736E
"""Of pg_advisory_xact_lock: whoever makes or changes the schema or the rights."""

_IDLE_SECONDS = 10
"""A transaction that a node leaves open would hold up whoever changes the schema."""

_READS = (
    *(table.name for table in COPIED if table.name != "mailbox"),
    "generation",
    "deletion",
    "purged_alias",
    "purged_reverse_alias",
    "alembic_version",
)

_MAILBOX_COLUMNS = ", ".join(next(table.columns for table in COPIED if table.name == "mailbox"))
"""All but those of the confirmation code."""

_NODE_COLUMNS = (
    "last_seen",
    "schema",
    "version",
    "keys",
    "replica_at",
    "drained_at",
    "drained_by",
    "waiting",
    "held",
    "done_at",
)
"""All but the name and the orders: those are its owner's."""

_GRANTS = (
    *(f"SELECT ON {table}" for table in _READS),
    f"SELECT ({_MAILBOX_COLUMNS}) ON mailbox",
    "UPDATE (paused_at, pause_reason) ON mailbox",
    "INSERT (id, alias_id, address, written, name, token, created) ON contact",
    "INSERT ON reverse_alias",
    "INSERT ON replay_mark",
    "INSERT, SELECT (id) ON event",
    "INSERT, SELECT (id) ON bounce",
    "SELECT, INSERT, UPDATE (count, last_at) ON counter",
    "SELECT ON node",
    "INSERT (name, last_seen, schema) ON node",
    f"UPDATE ({', '.join(_NODE_COLUMNS)}) ON node",
    "SELECT ON SEQUENCE change_number",
    "EXECUTE ON FUNCTION forget_past(integer)",
)


def grant_node_role(owner: Engine, role: str, password: str) -> None:
    """Make the role, or set its password anew, and give it a node's rights and no others.

    Raises StoreError: not Postgres, the role is the owner's own, or the owner may not make roles.
    """
    if owner.dialect.name != "postgresql":
        raise StoreError("SQLite has no roles; database.url and database.owner_url are the same there")
    try:
        with owner.begin() as connection:
            admit(connection, role, password)
    except SQLAlchemyError as error:
        raise as_store_error(error) from error


def demand_reading(connection: Connection) -> None:
    """Of a node's: raises SQLAlchemyError where it couldn't read what it has to."""
    for what in (f"{_MAILBOX_COLUMNS} FROM mailbox", *(f"FROM {table}" for table in _READS)):
        connection.exec_driver_sql(f"SELECT {what} LIMIT 0")


def take_turn(connection: Connection) -> None:
    """Be the only one who makes or changes the schema or the rights, to the end of the transaction."""
    if connection.dialect.name == "postgresql":  # with SQLite it writes, and is the only one by that
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")


def admit(connection: Connection, role: str, password: str) -> None:
    """The same in a transaction of the owner's. Raises SQLAlchemyError in place of most StoreErrors."""
    take_turn(connection)
    owner = str(connection.scalar(text("SELECT current_user")))
    if role == owner:
        raise StoreError(f'the nodes need a role of their own; "{role}" owns the tables')
    _make(connection, owner, role, password)
    _grant(connection, role)


def _make(connection: Connection, owner: str, role: str, password: str) -> None:
    """The password goes to the server as its SCRAM verifier: statements end up in logs."""
    raw = connection.connection.driver_connection
    verifier = extensions.encrypt_password(password, role, scope=raw, algorithm="scram-sha-256")
    known = connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role})
    name = _quoted(role)
    verb = "ALTER" if known else "CREATE"
    rights = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS" if not known else "LOGIN"
    try:
        _run(connection, f"{verb} ROLE {name} {rights} PASSWORD '{verifier}'")
    except ProgrammingError as error:
        if sqlstate(error) != NO_RIGHT:
            raise
        raise StoreError(_no_right(_quoted(owner), name, known=bool(known))) from error
    _run(connection, f"ALTER ROLE {name} SET idle_in_transaction_session_timeout = '{_IDLE_SECONDS}s'")


def _no_right(owner: str, role: str, *, known: bool) -> str:
    if known:
        return (
            f"{owner} may not set the password of the role {role}, which another one made, or a Postgres"
            " before 16 that was upgraded since: name a new one for the nodes, or have a superuser say"
            f" GRANT {role} TO {owner} WITH ADMIN OPTION"
        )
    return f"{owner} may not make the nodes' role: have a superuser say ALTER ROLE {owner} CREATEROLE"


def _grant(connection: Connection, role: str) -> None:
    name = _quoted(role)
    database = _quoted(str(connection.scalar(text("SELECT current_database()"))))
    schema = _quoted(str(connection.scalar(text("SELECT current_schema()"))))
    _run(connection, f"REVOKE CREATE, TEMPORARY ON DATABASE {database} FROM PUBLIC")
    _run(connection, f"REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC")
    _run(connection, f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {name}")
    _run(connection, f"GRANT CONNECT ON DATABASE {database} TO {name}")
    _run(connection, f"GRANT USAGE ON SCHEMA {schema} TO {name}")
    for grant in _GRANTS:
        _run(connection, f"GRANT {grant} TO {name}")


def _run(connection: Connection, statement: str) -> None:
    connection.execute(text(statement.replace(":", r"\:")))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
