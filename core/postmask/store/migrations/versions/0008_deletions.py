"""Old deletions are forgotten by the agents.

Every statement that deleted something looked through all of `deletion` for what is past its time: the more
was deleted by those before it, the longer it took, and half a million aliases of a domain took hours. Now
change_tell (0002) only tells, and forget_past (0003) takes a piece of the old deletions too.

Revision ID: 0008
"""

# ruff: noqa: S608 - what is put into the statements are names of our own schema

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

LOCK = 0x706F73746D61736C
"""Of pg_try_advisory_xact_lock: one node at a time is enough."""

REPLAY_SECONDS = 6 * 86_400
"""How long a used signature is remembered: longer than the five days for which one proves anything."""

DELETION_SECONDS = 14 * 86_400
"""Replicas are copied in full every day."""

PIECE = 20_000
"""Rows of a table."""


def upgrade() -> None:
    """The same functions, for whoever may call them already. On SQLite there are none."""
    if op.get_bind().dialect.name != "postgresql":
        return
    name = str(op.get_bind().scalar(sa.text("SELECT current_schema()")))
    schema = op.get_bind().dialect.identifier_preparer.quote_identifier(name)
    _run(f"""CREATE OR REPLACE FUNCTION {schema}.change_tell() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        BEGIN
            PERFORM pg_notify('postmask_change', '');
            RETURN NULL;
        END $$""")
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
