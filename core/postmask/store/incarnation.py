"""Which truth this is: another one once it was restored, moved, made anew, or its standby promoted.

What a node told the one before may be missing in it: whatever came after the copy, or hadn't reached the
standby. The generation alone doesn't say so of a Postgres that was lost: restored onto a new server, it may
have the number of the one that is gone. Nor does anything in it of one whose files, or whose machine, were
put back as they were earlier: so a Postgres that was started anew is taken for another one too.

DIAGNOSTICS
    SQLAlchemyError: the database can't be asked, or isn't one of ours.
"""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from postmask.store import schema
from postmask.store.models import Account

IDENTITY = """
(SELECT system_identifier FROM pg_control_system()),
CASE WHEN pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_control_checkpoint())
     ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::integer END,
(SELECT oid FROM pg_database WHERE datname = current_database()),
'alias'::regclass::oid,
extract(epoch FROM pg_postmaster_start_time())::double precision
"""
"""What Postgres says: system, timeline, database, table, and since when the server runs.

A promoted standby's timeline stands in its log's names at once, in its control file only later.
"""

_QUESTION = f"SELECT {IDENTITY}"


def incarnation(connection: Connection) -> str:
    """The same as long as it is the same truth."""
    generation = schema.generation(connection)
    if connection.dialect.name == "sqlite":
        # One that was made anew begins with the same generation, and with an account of its own.
        return f"sqlite:{generation}:{connection.scalar(select(func.min(Account.created)))}"
    return ":".join(map(str, ("postgresql", *connection.exec_driver_sql(_QUESTION).one(), generation)))
