"""Moves: a database says whether it is the one in use.

On Postgres it says so itself, to every program and every version: a statement that would change one
that was moved away, or that isn't complete yet, is refused. On SQLite the programs look before they
write, in the same transaction.

Revision ID: 0004
"""

# ruff: noqa: S608 - what is put into the statements are names of our own schema

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

REFUSED = "PM001"
"""The SQLSTATE of a refusal."""

GUARDED = (
    "account",
    "domain",
    "mailbox",
    "mailbox_sender",
    "alias",
    "alias_mailbox",
    "contact",
    "reverse_alias",
    "sender_rule",
    "dkim_key",
    "replay_mark",
    "event",
    "counter",
    "bounce",
    "node",
    "deletion",
    "tombstone",
)


def upgrade() -> None:
    """A database that was there before is in use."""
    # With the constraint at the column, which SQLite can add without copying the table.
    _run(
        "ALTER TABLE generation ADD COLUMN phase VARCHAR(8) DEFAULT 'current' NOT NULL"
        " CONSTRAINT ck_generation_phase CHECK (phase IN ('current', 'arriving', 'moved'))"
    )
    op.add_column("generation", sa.Column("elsewhere", sa.Text(), nullable=True))
    op.add_column("generation", sa.Column("elsewhere_id", sa.Text(), nullable=True))
    op.add_column("generation", sa.Column("moved_at", sa.Double(), nullable=True))
    if op.get_bind().dialect.name == "postgresql":
        _guard()


def _guard() -> None:
    name = str(op.get_bind().scalar(sa.text("SELECT current_schema()")))
    schema = op.get_bind().dialect.identifier_preparer.quote_identifier(name)
    _run(f"""CREATE FUNCTION {schema}.move_refuse() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        DECLARE
            now record;
        BEGIN
            SELECT phase, elsewhere INTO now FROM {schema}.generation;
            IF now.phase = 'moved' THEN
                RAISE EXCEPTION 'the database was moved to %', now.elsewhere USING ERRCODE = '{REFUSED}';
            ELSIF now.phase = 'arriving' THEN
                RAISE EXCEPTION 'the database is an unfinished copy of %', now.elsewhere
                    USING ERRCODE = '{REFUSED}';
            END IF;
            RETURN NULL;
        END $$""")
    for table in GUARDED:
        _run(
            f"CREATE TRIGGER move_00_refuse BEFORE INSERT OR UPDATE OR DELETE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION move_refuse()"
        )
        _run(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER move_00_refuse")


def _run(statement: str) -> None:
    op.execute(sa.text(statement.replace(":", r"\:")))
