"""Spam policies: what is set of the spam check for an alias, an account or a domain.

A table of its own, so that programs of before read all others as ever. Its changes are numbered
like those of the other routing tables (0002), it is guarded like them (0004), and who may read those
may read it: nodes that run already need no new rights.

Revision ID: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OWNERS = ("alias", "account", "domain")

TRIGGERS = {
    "change_00_refuse": "BEFORE TRUNCATE ON spam_policy FOR EACH STATEMENT EXECUTE FUNCTION change_refuse()",
    "change_10_lock": "BEFORE INSERT OR UPDATE OR DELETE ON spam_policy"
    " FOR EACH STATEMENT EXECUTE FUNCTION change_lock()",
    "change_20_stamp": "BEFORE INSERT OR UPDATE ON spam_policy FOR EACH ROW EXECUTE FUNCTION change_stamp()",
    "change_30_forget": "AFTER DELETE ON spam_policy FOR EACH ROW EXECUTE FUNCTION change_forget('id')",
    "change_31_rename": "AFTER UPDATE ON spam_policy FOR EACH ROW"
    " WHEN (OLD.id IS DISTINCT FROM NEW.id) EXECUTE FUNCTION change_forget('id')",
    "change_90_tell": "AFTER INSERT OR UPDATE OR DELETE ON spam_policy"
    " FOR EACH STATEMENT EXECUTE FUNCTION change_tell()",
    "move_00_refuse": "BEFORE INSERT OR UPDATE OR DELETE ON spam_policy"
    " FOR EACH STATEMENT EXECUTE FUNCTION move_refuse()",
}


def upgrade() -> None:
    """The table, empty."""
    op.create_table(
        "spam_policy",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        *(sa.Column(f"{owner}_id", ID, nullable=True) for owner in OWNERS),
        *(
            sa.Column(name, sa.Double(), nullable=True)
            for name in ("mark", "hold", "discard", "refuse", "hold_replies")
        ),
        sa.Column("when_unscanned", sa.String(length=5), nullable=True),
        sa.Column("dmarc_quarantine", sa.String(length=4), nullable=True),
        sa.Column("subject_prefix", sa.String(length=60), nullable=True),
        sa.Column("change", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("id BETWEEN 1 AND 281474976710655", name=op.f("ck_spam_policy_id_range")),
        sa.CheckConstraint(
            "CASE WHEN alias_id IS NULL THEN 0 ELSE 1 END + CASE WHEN account_id IS NULL THEN 0 ELSE 1 END "
            "+ CASE WHEN domain_id IS NULL THEN 0 ELSE 1 END = 1",
            name=op.f("ck_spam_policy_target"),
        ),
        sa.CheckConstraint(
            "mark > 0 AND hold > 0 AND discard > 0 AND refuse > 0 AND hold_replies > 0",
            name=op.f("ck_spam_policy_ratios"),
        ),
        sa.CheckConstraint(
            "when_unscanned IN ('tag', 'hold', 'defer')", name=op.f("ck_spam_policy_when_unscanned")
        ),
        sa.CheckConstraint(
            "dmarc_quarantine IN ('mark', 'hold')", name=op.f("ck_spam_policy_dmarc_quarantine")
        ),
        *(
            sa.ForeignKeyConstraint(
                [f"{owner}_id"], [f"{owner}.id"], name=op.f(f"fk_spam_policy_{owner}_id"), ondelete="CASCADE"
            )
            for owner in OWNERS
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spam_policy")),
        *(sa.UniqueConstraint(f"{owner}_id", name=op.f(f"uq_spam_policy_{owner}_id")) for owner in OWNERS),
    )
    op.create_index(op.f("ix_spam_policy_change"), "spam_policy", ["change"], unique=False)
    if op.get_bind().dialect.name == "postgresql":
        for name, what in TRIGGERS.items():
            _run(f"CREATE TRIGGER {name} {what}")
            _run(f"ALTER TABLE spam_policy ENABLE ALWAYS TRIGGER {name}")
        _grant()


def _grant() -> None:
    """SELECT to whoever has it on the table beside it."""
    readers = op.get_bind().scalars(
        sa.text(
            "SELECT DISTINCT grantee::regrole::text FROM pg_class, aclexplode(relacl)"
            " WHERE oid = 'sender_rule'::regclass AND privilege_type = 'SELECT'"
            " AND grantee NOT IN (0, relowner)"
        )
    )
    for reader in readers.all():
        _run(f"GRANT SELECT ON spam_policy TO {reader}")


def _run(statement: str) -> None:
    op.execute(sa.text(statement.replace(":", r"\:")))
