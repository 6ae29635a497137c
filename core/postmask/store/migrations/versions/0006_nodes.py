"""Nodes: what each says of itself, and the order to be drained or to take mail again.

All of it may be missing: an older program, which writes none, works beside a newer one.

Revision ID: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody has said anything yet."""
    for name, kind in (
        ("version", sa.String(32)),
        ("keys", sa.Text()),
        ("replica_at", sa.Double()),
        ("drained_at", sa.Double()),
        ("drained_by", sa.Text()),
        ("waiting", sa.Integer()),
        ("held", sa.Integer()),
        ("order_at", sa.Double()),
        ("order_by", sa.Text()),
        ("order_drain", sa.Boolean()),
        ("done_at", sa.Double()),
    ):
        op.add_column("node", sa.Column(name, kind))
