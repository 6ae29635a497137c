"""A tombstone outlives the account whose address it keeps.

Revision ID: 0009
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The number alone says whose it was: none is used twice."""
    with op.batch_alter_table("tombstone") as table:
        table.drop_constraint(op.f("fk_tombstone_account_id"), type_="foreignkey")
