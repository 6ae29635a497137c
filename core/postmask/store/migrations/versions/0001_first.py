"""The first schema.

Revision ID: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "account",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("disabled_at", sa.Double(), nullable=True),
        sa.CheckConstraint("name <> ''", name=op.f("ck_account_name")),
        sa.CheckConstraint("id BETWEEN 1 AND 281474976710655", name=op.f("ck_account_id_range")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("name", name=op.f("uq_account_name")),
    )
    op.create_table(
        "bounce",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("node", sa.String(length=255), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("alias_id", ID, nullable=False),
        sa.Column("contact_token", sa.String(length=16), nullable=False),
        sa.Column("mailbox_id", ID, nullable=False),
        sa.Column("kind", sa.String(length=7), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=True),
        sa.Column("status", sa.String(length=11), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('forward', 'reply', 'notice')", name=op.f("ck_bounce_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bounce")),
    )
    op.create_index(op.f("ix_bounce_at"), "bounce", ["at"], unique=False)
    op.create_index(op.f("ix_bounce_mailbox_id_at"), "bounce", ["mailbox_id", "at"], unique=False)
    op.create_table(
        "counter",
        sa.Column("alias_id", ID, autoincrement=False, nullable=False),
        sa.Column("node", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=9), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.Double(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('forwarded', 'replied', 'refused', 'held', 'discarded', 'bounced', 'deferred')",
            name=op.f("ck_counter_kind"),
        ),
        sa.CheckConstraint("count > 0", name=op.f("ck_counter_count")),
        sa.PrimaryKeyConstraint("alias_id", "node", "kind", name=op.f("pk_counter")),
    )
    op.create_table(
        "event",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("node", sa.String(length=255), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("account_id", ID, nullable=True),
        sa.Column("alias_id", ID, nullable=True),
        sa.Column("kind", sa.String(length=9), nullable=False),
        sa.Column("contact", sa.Text(), nullable=True),
        sa.Column("mailbox_id", ID, nullable=True),
        sa.Column("status", sa.String(length=11), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("queue_id", sa.String(length=64), nullable=True),
        sa.CheckConstraint(
            "kind IN ('forwarded', 'replied', 'refused', 'held', 'discarded', 'bounced', 'deferred')",
            name=op.f("ck_event_kind"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
    )
    op.create_index(op.f("ix_event_alias_id_at"), "event", ["alias_id", "at"], unique=False)
    op.create_index(op.f("ix_event_at"), "event", ["at"], unique=False)
    op.create_table(
        "generation",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_generation_single")),
        sa.CheckConstraint("number >= 1", name=op.f("ck_generation_number")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_generation")),
    )
    op.create_table(
        "node",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("last_seen", sa.Double(), nullable=False),
        sa.Column("schema", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_node")),
    )
    op.create_table(
        "replay_mark",
        sa.Column("mark", sa.String(length=128), nullable=False),
        sa.Column("reverse_token", sa.String(length=24), nullable=False),
        sa.Column("ledger_key", sa.String(length=128), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("mark", "reverse_token", name=op.f("pk_replay_mark")),
    )
    op.create_index(op.f("ix_replay_mark_at"), "replay_mark", ["at"], unique=False)
    op.create_table(
        "domain",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("postmaster", sa.String(length=320), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.CheckConstraint(
            "name = lower(name) AND name LIKE '_%._%' AND name NOT LIKE '%@%'",
            name=op.f("ck_domain_name_form"),
        ),
        sa.CheckConstraint("postmaster LIKE '_%@_%'", name=op.f("ck_domain_postmaster_form")),
        sa.CheckConstraint("id BETWEEN 1 AND 281474976710655", name=op.f("ck_domain_id_range")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_domain_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_domain")),
        sa.UniqueConstraint("name", name=op.f("uq_domain_name")),
    )
    op.create_index(op.f("ix_domain_account_id"), "domain", ["account_id"], unique=False)
    op.create_table(
        "mailbox",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.Column("written", sa.String(length=320), nullable=False),
        sa.Column("login", sa.String(length=255), nullable=True),
        sa.Column("allow_spf", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("confirmed_at", sa.Double(), nullable=True),
        sa.Column("paused_at", sa.Double(), nullable=True),
        sa.Column("pause_reason", sa.Text(), nullable=True),
        sa.Column("code_mac", sa.LargeBinary(), nullable=True),
        sa.Column("code_made", sa.Double(), nullable=True),
        sa.Column("code_expires", sa.Double(), nullable=True),
        sa.Column("code_attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("address LIKE '_%@_%'", name=op.f("ck_mailbox_address_form")),
        sa.CheckConstraint("written LIKE '_%@_%'", name=op.f("ck_mailbox_written_form")),
        sa.CheckConstraint("(code_mac IS NULL) = (code_expires IS NULL)", name=op.f("ck_mailbox_code")),
        sa.CheckConstraint("code_attempts >= 0", name=op.f("ck_mailbox_code_attempts")),
        sa.CheckConstraint("id BETWEEN 1 AND 281474976710655", name=op.f("ck_mailbox_id_range")),
        sa.CheckConstraint("paused_at IS NOT NULL OR pause_reason IS NULL", name=op.f("ck_mailbox_pause")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_mailbox_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mailbox")),
        sa.UniqueConstraint("account_id", "address", name=op.f("uq_mailbox_account_id_address")),
        sa.UniqueConstraint("id", "account_id", name=op.f("uq_mailbox_id_account_id")),
    )
    op.create_index(op.f("ix_mailbox_address"), "mailbox", ["address"], unique=False)
    op.create_table(
        "tombstone",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_tombstone_account_id")),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_tombstone")),
    )
    op.create_index(op.f("ix_tombstone_account_id"), "tombstone", ["account_id"], unique=False)
    op.create_table(
        "alias",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("when_disabled", sa.String(length=7), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("removed_at", sa.Double(), nullable=True),
        sa.CheckConstraint("(state = 'removed') = (removed_at IS NOT NULL)", name=op.f("ck_alias_removed")),
        sa.CheckConstraint(
            "length(address) > length(domain) + 1 AND "
            "substr(address, length(address) - length(domain)) = '@' || domain",
            name=op.f("ck_alias_address_in_domain"),
        ),
        sa.CheckConstraint("state IN ('active', 'disabled', 'removed')", name=op.f("ck_alias_state")),
        sa.CheckConstraint(
            "when_disabled IN ('reject', 'unknown', 'defer', 'discard')", name=op.f("ck_alias_when_disabled")
        ),
        sa.CheckConstraint("id BETWEEN 1 AND 281474976710655", name=op.f("ck_alias_id_range")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_alias_account_id")),
        sa.ForeignKeyConstraint(["domain"], ["domain.name"], name=op.f("fk_alias_domain")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alias")),
        sa.UniqueConstraint("address", name=op.f("uq_alias_address")),
        sa.UniqueConstraint("id", "account_id", name=op.f("uq_alias_id_account_id")),
    )
    op.create_index(op.f("ix_alias_account_id"), "alias", ["account_id"], unique=False)
    op.create_index(op.f("ix_alias_domain"), "alias", ["domain"], unique=False)
    op.create_table(
        "dkim_key",
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("selector", sa.String(length=63), nullable=False),
        sa.Column("algorithm", sa.String(length=7), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("public", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=7), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.CheckConstraint("algorithm IN ('rsa', 'ed25519')", name=op.f("ck_dkim_key_algorithm")),
        sa.CheckConstraint("state IN ('active', 'retired')", name=op.f("ck_dkim_key_state")),
        sa.ForeignKeyConstraint(
            ["domain"], ["domain.name"], name=op.f("fk_dkim_key_domain"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("domain", "selector", name=op.f("pk_dkim_key")),
    )
    op.create_table(
        "mailbox_sender",
        sa.Column("mailbox_id", ID, nullable=False),
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.CheckConstraint("address LIKE '_%@_%'", name=op.f("ck_mailbox_sender_address_form")),
        sa.ForeignKeyConstraint(
            ["mailbox_id"], ["mailbox.id"], name=op.f("fk_mailbox_sender_mailbox_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("mailbox_id", "address", name=op.f("pk_mailbox_sender")),
    )
    op.create_table(
        "alias_mailbox",
        sa.Column("alias_id", ID, autoincrement=False, nullable=False),
        sa.Column("mailbox_id", ID, autoincrement=False, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["alias_id", "account_id"],
            ["alias.id", "alias.account_id"],
            name=op.f("fk_alias_mailbox_alias_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["mailbox_id", "account_id"],
            ["mailbox.id", "mailbox.account_id"],
            name=op.f("fk_alias_mailbox_mailbox_id"),
        ),
        sa.PrimaryKeyConstraint("alias_id", "mailbox_id", name=op.f("pk_alias_mailbox")),
    )
    op.create_index(op.f("ix_alias_mailbox_mailbox_id"), "alias_mailbox", ["mailbox_id"], unique=False)
    op.create_table(
        "contact",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("alias_id", ID, nullable=False),
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.Column("written", sa.String(length=320), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("rule", sa.String(length=5), server_default=sa.text("'none'"), nullable=False),
        sa.Column("block_action", sa.String(length=7), server_default=sa.text("'reject'"), nullable=False),
        sa.Column("token", sa.String(length=24), nullable=False),
        sa.Column("replacement", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.CheckConstraint("address LIKE '_%@_%'", name=op.f("ck_contact_address_form")),
        sa.CheckConstraint("block_action IN ('reject', 'discard')", name=op.f("ck_contact_block_action")),
        sa.CheckConstraint("rule IN ('none', 'allow', 'block')", name=op.f("ck_contact_rule")),
        sa.CheckConstraint("id BETWEEN 1 AND 281474976710655", name=op.f("ck_contact_id_range")),
        sa.CheckConstraint("length(token) = 24", name=op.f("ck_contact_token")),
        sa.CheckConstraint("replacement >= 0", name=op.f("ck_contact_replacement")),
        sa.ForeignKeyConstraint(
            ["alias_id"], ["alias.id"], name=op.f("fk_contact_alias_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact")),
        sa.UniqueConstraint("alias_id", "address", name=op.f("uq_contact_alias_id_address")),
    )
    op.create_table(
        "sender_rule",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("scope", sa.String(length=7), nullable=False),
        sa.Column("alias_id", ID, nullable=True),
        sa.Column("account_id", ID, nullable=True),
        sa.Column("domain_id", ID, nullable=True),
        sa.Column("pattern", sa.String(length=320), nullable=False),
        sa.Column("action", sa.String(length=7), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.CheckConstraint(
            "(scope = 'alias') = (alias_id IS NOT NULL) AND "
            "(scope = 'account') = (account_id IS NOT NULL) AND "
            "(scope = 'domain') = (domain_id IS NOT NULL)",
            name=op.f("ck_sender_rule_target"),
        ),
        sa.CheckConstraint("action IN ('reject', 'discard')", name=op.f("ck_sender_rule_action")),
        sa.CheckConstraint("pattern LIKE '%@_%'", name=op.f("ck_sender_rule_pattern_form")),
        sa.CheckConstraint(
            "scope IN ('alias', 'account', 'domain', 'global')", name=op.f("ck_sender_rule_scope")
        ),
        sa.CheckConstraint("id BETWEEN 1 AND 281474976710655", name=op.f("ck_sender_rule_id_range")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_sender_rule_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["alias_id"], ["alias.id"], name=op.f("fk_sender_rule_alias_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["domain_id"], ["domain.id"], name=op.f("fk_sender_rule_domain_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sender_rule")),
        sa.UniqueConstraint("account_id", "pattern", name=op.f("uq_sender_rule_account_id_pattern")),
        sa.UniqueConstraint("alias_id", "pattern", name=op.f("uq_sender_rule_alias_id_pattern")),
        sa.UniqueConstraint("domain_id", "pattern", name=op.f("uq_sender_rule_domain_id_pattern")),
    )
    op.create_index(op.f("ix_sender_rule_pattern"), "sender_rule", ["pattern"], unique=False)
    op.create_index(
        "uq_sender_rule_global",
        "sender_rule",
        ["pattern"],
        unique=True,
        sqlite_where=sa.text("scope = 'global'"),
        postgresql_where=sa.text("scope = 'global'"),
    )
    op.create_table(
        "reverse_alias",
        sa.Column("token", sa.String(length=24), nullable=False),
        sa.Column("contact_id", ID, nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.CheckConstraint(
            "length(token) = 24 AND token = lower(token)", name=op.f("ck_reverse_alias_token")
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contact.id"], name=op.f("fk_reverse_alias_contact_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_reverse_alias")),
    )
    op.create_index(op.f("ix_reverse_alias_contact_id"), "reverse_alias", ["contact_id"], unique=False)
