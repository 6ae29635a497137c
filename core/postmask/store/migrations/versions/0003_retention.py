"""Forgetting what is past its time, by the nodes.

A node may delete nothing. On Postgres it calls a function that works in the rights of the tables'
owner and by the database's clock, so that a node whose own clock is wrong, or that fell into strange
hands, forgets nothing before its time.

Revision ID: 0003
"""

# ruff: noqa: S608 - what is put into the statements are names of our own schema

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

LOCK = 0x706F73746D61736C
"""Of pg_try_advisory_xact_lock: one node at a time is enough."""

REPLAY_SECONDS = 6 * 86_400
"""How long a used signature is remembered: longer than the five days for which one proves anything."""


def upgrade() -> None:
    """On SQLite the agent owns the tables and needs no function."""
    if op.get_bind().dialect.name != "postgresql":
        return
    name = str(op.get_bind().scalar(sa.text("SELECT current_schema()")))
    schema = op.get_bind().dialect.identifier_preparer.quote_identifier(name)
    _run(f"""CREATE FUNCTION {schema}.forget_past(days integer) RETURNS integer
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
            END IF;
            DELETE FROM {schema}.event WHERE at < now - days * 86400.0;
            GET DIAGNOSTICS deleted = ROW_COUNT;
            gone := gone + deleted;
            DELETE FROM {schema}.bounce WHERE at < now - days * 86400.0;
            GET DIAGNOSTICS deleted = ROW_COUNT;
            gone := gone + deleted;
            DELETE FROM {schema}.replay_mark WHERE at < now - {REPLAY_SECONDS};
            GET DIAGNOSTICS deleted = ROW_COUNT;
            RETURN gone + deleted;
        END $$""")
    _run(f"REVOKE EXECUTE ON FUNCTION {schema}.forget_past(integer) FROM PUBLIC")


def _run(statement: str) -> None:
    op.execute(sa.text(statement.replace(":", r"\:")))
