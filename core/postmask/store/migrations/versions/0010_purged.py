"""What was purged: the ids of aliases, for good, and for some time their reverse aliases.

By the ids the nodes forget the contacts in their spools; by the reverse aliases what is sent there is
refused. Agents forget these with what else is past its time (forget_past, 0008).

Who may read the routing tables may read these: nodes that run already need no new rights. A dump of before
that is put in place of a database which has them leaves them there, and what they say isn't so in it: they go
first.

Revision ID: 0010
"""

# ruff: noqa: S608 - what is put into the statements are names of our own schema

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TABLES = ("purged_alias", "purged_reverse_alias")

LOCK = 0x706F73746D61736C
"""Of pg_try_advisory_xact_lock: one node at a time is enough."""

REPLAY_SECONDS = 6 * 86_400
"""How long a used signature is remembered: longer than the five days for which one proves anything."""

DELETION_SECONDS = 14 * 86_400
"""Replicas are copied in full every day."""

PURGED_SECONDS = 30 * 86_400

PIECE = 20_000
"""Rows of a table."""


def upgrade() -> None:
    """The tables, empty; on Postgres guarded like the others (0004)."""
    for table in TABLES:
        _run(f"DROP TABLE IF EXISTS {table}")
    op.create_table(
        "purged_alias",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.CheckConstraint("id BETWEEN 1 AND 281474976710655", name=op.f("ck_purged_alias_id_range")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_purged_alias")),
    )
    op.create_table(
        "purged_reverse_alias",
        sa.Column("token", sa.String(length=24), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_purged_reverse_alias")),
    )
    op.create_index(op.f("ix_purged_reverse_alias_at"), "purged_reverse_alias", ["at"], unique=False)
    if op.get_bind().dialect.name == "postgresql":
        for table in TABLES:
            _run(
                f"CREATE TRIGGER move_00_refuse BEFORE INSERT OR UPDATE OR DELETE ON {table}"
                " FOR EACH STATEMENT EXECUTE FUNCTION move_refuse()"
            )
            _run(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER move_00_refuse")
        _grant()
        _forget()


def _grant() -> None:
    """SELECT to whoever has it on a routing table."""
    readers = op.get_bind().scalars(
        sa.text(
            "SELECT DISTINCT grantee::regrole::text FROM pg_class, aclexplode(relacl)"
            " WHERE oid = 'sender_rule'::regclass AND privilege_type = 'SELECT'"
            " AND grantee NOT IN (0, relowner)"
        )
    )
    for reader in readers.all():
        _run(f"GRANT SELECT ON {', '.join(TABLES)} TO {reader}")


def _forget() -> None:
    """The same function, for whoever may call it already."""
    name = str(op.get_bind().scalar(sa.text("SELECT current_schema()")))
    schema = op.get_bind().dialect.identifier_preparer.quote_identifier(name)
    pieces = "\n".join(
        f"""
            DELETE FROM {schema}.{table} WHERE ctid = ANY (ARRAY (
                SELECT ctid FROM {schema}.{table} WHERE at < now - {seconds} ORDER BY at LIMIT {PIECE}));
            GET DIAGNOSTICS deleted = ROW_COUNT;
            gone := gone + deleted;"""
        for table, seconds in (
            ("event", "days * 86400.0"),
            ("bounce", "days * 86400.0"),
            ("replay_mark", str(REPLAY_SECONDS)),
            ("deletion", str(DELETION_SECONDS)),
            ("purged_reverse_alias", str(PURGED_SECONDS)),
        )
    )
    _run(f"""CREATE OR REPLACE FUNCTION {schema}.forget_past(days integer) RETURNS integer
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        DECLARE
            now double precision := extract(epoch FROM clock_timestamp());
            deleted integer;
            gone integer := 0;
        BEGIN
            IF days IS NULL OR days < 1 THEN
                RAISE EXCEPTION 'events are kept for a day at least';
            END IF;
            IF NOT pg_try_advisory_xact_lock({LOCK}) THEN
                RETURN 0;
            END IF;{pieces}
            RETURN gone;
        END $$""")


def _run(statement: str) -> None:
    op.execute(sa.text(statement.replace(":", r"\:")))
