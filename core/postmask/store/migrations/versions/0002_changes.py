"""Change numbers: what the nodes' replicas follow.

On Postgres each change of a tracked row draws a number from one sequence, and each deletion is
written down with one. The numbers are drawn under a lock that is held to the end of the transaction,
so that whoever sees a number has seen all below it. The triggers fire always, also for changes under
session_replication_role = replica, and do their work in the rights of the tables' owner.

On SQLite there is the same shape, and nothing that fills it: the truth is beside its readers there.

Revision ID: 0002
"""

# ruff: noqa: S608 - what is put into the statements are names of our own schema

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

LOCK = 0x706F73746D61736B
"""Of pg_advisory_xact_lock: "postmask" in ASCII."""

KEPT_SECONDS = 14 * 86_400
"""Deletions are kept for so long; replicas are copied in full every day."""

TRACKED = {
    "account": ("id",),
    "domain": ("id",),
    "mailbox": ("id",),
    "mailbox_sender": ("mailbox_id", "address"),
    "alias": ("id",),
    "alias_mailbox": ("alias_id", "mailbox_id"),
    "contact": ("id",),
    "reverse_alias": ("token",),
    "sender_rule": ("id",),
    "dkim_key": ("domain", "selector"),
    "replay_mark": ("mark", "reverse_token"),
}
"""Table → primary key."""


def upgrade() -> None:
    """Number the changes from here on."""
    for table in TRACKED:
        column = sa.Column("change", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
        op.add_column(table, column)
        op.create_index(op.f(f"ix_{table}_change"), table, ["change"], unique=False)
    reader = sa.Column("reader", sa.String(length=32), server_default=sa.text("'0002'"), nullable=False)
    op.add_column("generation", reader)
    op.create_table(
        "deletion",
        sa.Column("change", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("relation", sa.String(length=63), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("change", name=op.f("pk_deletion")),
    )
    op.create_index(op.f("ix_deletion_at"), "deletion", ["at"], unique=False)
    if op.get_bind().dialect.name == "postgresql":
        _number_changes()


def _number_changes() -> None:
    schema = _quoted(str(op.get_bind().scalar(sa.text("SELECT current_schema()"))))
    database = _quoted(str(op.get_bind().scalar(sa.text("SELECT current_database()"))))
    _run(f"CREATE SEQUENCE {schema}.change_number")
    for function in _functions(schema):
        _run(function)
    for table, key in TRACKED.items():
        for trigger in (*_stamping(table), *_forgetting(table, key), _refusing(table)):
            _trigger(table, *trigger)
        _trigger(table, "change_90_tell", _telling("INSERT OR UPDATE OR DELETE", table))
    _trigger("generation", "change_90_tell", _telling("INSERT OR UPDATE OR DELETE", "generation"))
    # A writer that was forgotten in the middle would hold up all others.
    _run(f"ALTER ROLE CURRENT_USER IN DATABASE {database} SET idle_in_transaction_session_timeout = '60s'")


def _functions(schema: str) -> tuple[str, ...]:
    head = "RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp"
    return (
        f"""CREATE FUNCTION {schema}.change_lock() {head} AS $$
        BEGIN
            PERFORM pg_advisory_xact_lock({LOCK});
            RETURN NULL;
        END $$""",
        f"""CREATE FUNCTION {schema}.change_stamp() {head} AS $$
        BEGIN
            NEW.change := nextval('{schema}.change_number');
            RETURN NEW;
        END $$""",
        f"""CREATE FUNCTION {schema}.change_forget() {head} AS $$
        BEGIN
            INSERT INTO {schema}.deletion (change, relation, key, at)
            SELECT nextval('{schema}.change_number'), TG_TABLE_NAME,
                   json_object_agg(part, to_json(OLD) -> part), extract(epoch FROM clock_timestamp())
            FROM unnest(TG_ARGV) AS part;
            RETURN NULL;
        END $$""",
        f"""CREATE FUNCTION {schema}.change_tell() {head} AS $$
        BEGIN
            IF TG_OP = 'DELETE' THEN
                DELETE FROM {schema}.deletion
                WHERE at < extract(epoch FROM clock_timestamp()) - {KEPT_SECONDS};
            END IF;
            PERFORM pg_notify('postmask_change', '');
            RETURN NULL;
        END $$""",
        f"""CREATE FUNCTION {schema}.change_refuse() {head} AS $$
        BEGIN
            RAISE EXCEPTION 'the nodes would not learn of a TRUNCATE of %: use DELETE', TG_TABLE_NAME;
        END $$""",
    )


def _stamping(table: str) -> tuple[tuple[str, str], ...]:
    """The lock before any row is touched: rows first and the lock afterwards could be a deadlock."""
    return (
        (
            "change_10_lock",
            f"BEFORE INSERT OR UPDATE OR DELETE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION change_lock()",
        ),
        (
            "change_20_stamp",
            f"BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION change_stamp()",
        ),
    )


def _forgetting(table: str, key: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """A row whose primary key is changed is gone under the old one."""
    named = ", ".join(f"'{part}'" for part in key)
    other = " OR ".join(f"OLD.{part} IS DISTINCT FROM NEW.{part}" for part in key)
    forget = f"FOR EACH ROW EXECUTE FUNCTION change_forget({named})"
    renamed = forget.replace("EXECUTE", f"WHEN ({other}) EXECUTE")
    return (
        ("change_30_forget", f"AFTER DELETE ON {table} {forget}"),
        ("change_31_rename", f"AFTER UPDATE ON {table} {renamed}"),
    )


def _refusing(table: str) -> tuple[str, str]:
    return (
        "change_00_refuse",
        f"BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION change_refuse()",
    )


def _telling(operations: str, table: str) -> str:
    return f"AFTER {operations} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION change_tell()"


def _trigger(table: str, name: str, what: str) -> None:
    _run(f"CREATE TRIGGER {name} {what}")
    _run(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")


def _run(statement: str) -> None:
    op.execute(sa.text(statement.replace(":", r"\:")))


def _quoted(name: str) -> str:
    return op.get_bind().dialect.identifier_preparer.quote_identifier(name)
