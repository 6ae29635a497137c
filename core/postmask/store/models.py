"""The tables. The same models serve SQLite and Postgres; constraints stand here, in the database.

Conventions: ids are 48 bits, random or a keyed hash, never counted up, so that none is used twice
after a restore. Addresses stand in normal form (postmask.address.Address.key); where a local part's
case matters for delivery, `written` holds it as it was given. Times are seconds since the epoch,
UTC. What a person sees as `state` of a mailbox is derived from two columns, so that the nodes' role
may pause a mailbox without being able to confirm one.

Records of what happened (event, bounce, counter) refer to an alias or mailbox without a foreign key:
a message's outcome is recorded even when its alias is gone by then.

What the nodes keep a copy of is Tracked: on Postgres triggers number every change of a row, and
write down every deletion (migration 0002). On SQLite the numbers stay 0.
"""

from __future__ import annotations

import enum

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from postmask.directory.records import (
    BlockAction,
    ContactRule,
    DmarcQuarantine,
    MailboxState,
    WhenDisabled,
    WhenUnscanned,
)
from postmask.store.vocabulary import (
    Algorithm,
    AliasRowState,
    BounceOrigin,
    EventKind,
    KeyState,
    Phase,
    RuleScope,
)

MAX_ID = (1 << 48) - 1

Id = BigInteger().with_variant(Integer(), "sqlite")
"""An Integer primary key is SQLite's own row number: no second index for it."""

ADDRESS = 320
"""64 octets of local part, "@", 255 octets of domain (RFC 5321 §4.5.3.1)."""


class Base(DeclarativeBase):
    """Names every constraint, so that migrations can speak of it."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        }
    )


def _one_of(column: str, values: type[enum.StrEnum]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def _id_range() -> CheckConstraint:
    return CheckConstraint(f"id BETWEEN 1 AND {MAX_ID}", name="id_range")


def _address(column: str) -> CheckConstraint:
    return CheckConstraint(f"{column} LIKE '_%@_%'", name=f"{column}_form")


class Tracked:
    """A table that the nodes' replicas follow. change: the number of the row's last change."""

    change: Mapped[int] = mapped_column(BigInteger, server_default=text("0"), index=True, sort_order=100)


class Account(Tracked, Base):
    """An owner. A single-user installation has one, made by init."""

    __tablename__ = "account"
    __table_args__ = (_id_range(), CheckConstraint("name <> ''", name="name"))

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    created: Mapped[float] = mapped_column(Double)
    disabled_at: Mapped[float | None] = mapped_column(Double)

    @property
    def state(self) -> str:
        """Active or disabled."""
        return "active" if self.disabled_at is None else "disabled"


class Domain(Tracked, Base):
    """A domain of ours. account: who looks after it; any account may have aliases in it."""

    __tablename__ = "domain"
    __table_args__ = (
        _id_range(),
        CheckConstraint("name = lower(name) AND name LIKE '_%._%' AND name NOT LIKE '%@%'", name="name_form"),
        _address("postmaster"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(255), unique=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    postmaster: Mapped[str] = mapped_column(String(ADDRESS))
    created: Mapped[float] = mapped_column(Double)

    account: Mapped[Account] = relationship()


class Mailbox(Tracked, Base):
    """A real mailbox. Confirmed and not paused is active; a code confirms it."""

    __tablename__ = "mailbox"
    __table_args__ = (
        _id_range(),
        UniqueConstraint("account_id", "address"),
        UniqueConstraint("id", "account_id"),
        _address("address"),
        _address("written"),
        CheckConstraint("(code_mac IS NULL) = (code_expires IS NULL)", name="code"),
        CheckConstraint("code_attempts >= 0", name="code_attempts"),
        CheckConstraint("paused_at IS NOT NULL OR pause_reason IS NULL", name="pause"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    address: Mapped[str] = mapped_column(String(ADDRESS), index=True)
    written: Mapped[str] = mapped_column(String(ADDRESS))
    login: Mapped[str | None] = mapped_column(String(255))
    allow_spf: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    created: Mapped[float] = mapped_column(Double)
    confirmed_at: Mapped[float | None] = mapped_column(Double)
    paused_at: Mapped[float | None] = mapped_column(Double)
    pause_reason: Mapped[str | None] = mapped_column(Text)
    code_mac: Mapped[bytes | None] = mapped_column(LargeBinary)
    code_made: Mapped[float | None] = mapped_column(Double)
    code_expires: Mapped[float | None] = mapped_column(Double)
    code_attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"), default=0)

    account: Mapped[Account] = relationship()
    senders: Mapped[list[MailboxSender]] = relationship(
        order_by="MailboxSender.address", cascade="all, delete-orphan", passive_deletes=True
    )

    @property
    def state(self) -> str:
        """Of MailboxState."""
        return MailboxState.of(self.confirmed_at, self.paused_at).value


class MailboxSender(Tracked, Base):
    """A further From address that may reply as the mailbox."""

    __tablename__ = "mailbox_sender"
    __table_args__ = (_address("address"),)

    mailbox_id: Mapped[int] = mapped_column(ForeignKey("mailbox.id", ondelete="CASCADE"), primary_key=True)
    address: Mapped[str] = mapped_column(String(ADDRESS), primary_key=True)


class Alias(Tracked, Base):
    """An alias. Removed, it keeps all that `alias restore` needs, and its address stays taken."""

    __tablename__ = "alias"
    __table_args__ = (
        _id_range(),
        UniqueConstraint("id", "account_id"),
        _one_of("state", AliasRowState),
        _one_of("when_disabled", WhenDisabled),
        CheckConstraint("(state = 'removed') = (removed_at IS NOT NULL)", name="removed"),
        CheckConstraint(
            "length(address) > length(domain) + 1 "
            "AND substr(address, length(address) - length(domain)) = '@' || domain",
            name="address_in_domain",
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    address: Mapped[str] = mapped_column(String(ADDRESS), unique=True)
    domain: Mapped[str] = mapped_column(ForeignKey("domain.name"), index=True)
    state: Mapped[str] = mapped_column(String(8))
    when_disabled: Mapped[str] = mapped_column(String(7))
    name: Mapped[str | None] = mapped_column(Text)
    note: Mapped[str | None] = mapped_column(Text)
    created: Mapped[float] = mapped_column(Double)
    removed_at: Mapped[float | None] = mapped_column(Double)

    account: Mapped[Account] = relationship()
    mailboxes: Mapped[list[Mailbox]] = relationship(
        secondary="alias_mailbox", order_by="Mailbox.address", viewonly=True
    )


class AliasMailbox(Tracked, Base):
    """Where an alias's mail goes. account_id makes the database refuse another account's mailbox."""

    __tablename__ = "alias_mailbox"
    __table_args__ = (
        ForeignKeyConstraint(
            ["alias_id", "account_id"], ["alias.id", "alias.account_id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(["mailbox_id", "account_id"], ["mailbox.id", "mailbox.account_id"]),
    )

    alias_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    mailbox_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False, index=True)
    account_id: Mapped[int] = mapped_column(Id)


class Contact(Tracked, Base):
    """Somebody who wrote to an alias, or is written to. token: the current reverse alias's."""

    __tablename__ = "contact"
    __table_args__ = (
        _id_range(),
        UniqueConstraint("alias_id", "address"),
        _address("address"),
        _one_of("rule", ContactRule),
        _one_of("block_action", BlockAction),
        CheckConstraint("length(token) = 24", name="token"),
        CheckConstraint("replacement >= 0", name="replacement"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    alias_id: Mapped[int] = mapped_column(ForeignKey("alias.id", ondelete="CASCADE"))
    address: Mapped[str] = mapped_column(String(ADDRESS))
    written: Mapped[str] = mapped_column(String(ADDRESS))
    name: Mapped[str | None] = mapped_column(Text)
    rule: Mapped[str] = mapped_column(String(5), server_default=text("'none'"))
    block_action: Mapped[str] = mapped_column(String(7), server_default=text("'reject'"))
    token: Mapped[str] = mapped_column(String(24))
    replacement: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    created: Mapped[float] = mapped_column(Double)

    alias: Mapped[Alias] = relationship()


class ReverseAlias(Tracked, Base):
    """What a token stands for. Rows are only ever added: an address once given out stays good."""

    __tablename__ = "reverse_alias"
    __table_args__ = (CheckConstraint("length(token) = 24 AND token = lower(token)", name="token"),)

    token: Mapped[str] = mapped_column(String(24), primary_key=True)
    contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id", ondelete="CASCADE"), index=True)
    created: Mapped[float] = mapped_column(Double)


class SenderRule(Tracked, Base):
    """A block of envelope senders: an address, or "@domain", which covers its subdomains too."""

    __tablename__ = "sender_rule"
    __table_args__ = (
        _id_range(),
        _one_of("scope", RuleScope),
        _one_of("action", BlockAction),
        CheckConstraint("pattern LIKE '%@_%'", name="pattern_form"),
        CheckConstraint(
            "(scope = 'alias') = (alias_id IS NOT NULL) AND (scope = 'account') = (account_id IS NOT NULL) "
            "AND (scope = 'domain') = (domain_id IS NOT NULL)",
            name="target",
        ),
        UniqueConstraint("alias_id", "pattern"),
        UniqueConstraint("account_id", "pattern"),
        UniqueConstraint("domain_id", "pattern"),
        Index(
            "uq_sender_rule_global",
            "pattern",
            unique=True,
            sqlite_where=text("scope = 'global'"),
            postgresql_where=text("scope = 'global'"),
        ),
        Index(None, "pattern"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    scope: Mapped[str] = mapped_column(String(7))
    alias_id: Mapped[int | None] = mapped_column(ForeignKey("alias.id", ondelete="CASCADE"))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    domain_id: Mapped[int | None] = mapped_column(ForeignKey("domain.id", ondelete="CASCADE"))
    pattern: Mapped[str] = mapped_column(String(ADDRESS))
    action: Mapped[str] = mapped_column(String(7))
    created: Mapped[float] = mapped_column(Double)


class SpamPolicy(Tracked, Base):
    """What is set of the spam check for one alias, account or domain. NULL: as elsewhere."""

    __tablename__ = "spam_policy"
    __table_args__ = (
        _id_range(),
        CheckConstraint(
            "CASE WHEN alias_id IS NULL THEN 0 ELSE 1 END + CASE WHEN account_id IS NULL THEN 0 ELSE 1 END "
            "+ CASE WHEN domain_id IS NULL THEN 0 ELSE 1 END = 1",
            name="target",
        ),
        CheckConstraint(
            "mark > 0 AND hold > 0 AND discard > 0 AND refuse > 0 AND hold_replies > 0", name="ratios"
        ),
        _one_of("when_unscanned", WhenUnscanned),
        _one_of("dmarc_quarantine", DmarcQuarantine),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    alias_id: Mapped[int | None] = mapped_column(ForeignKey("alias.id", ondelete="CASCADE"), unique=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), unique=True)
    domain_id: Mapped[int | None] = mapped_column(ForeignKey("domain.id", ondelete="CASCADE"), unique=True)
    mark: Mapped[float | None] = mapped_column(Double)
    hold: Mapped[float | None] = mapped_column(Double)
    discard: Mapped[float | None] = mapped_column(Double)
    refuse: Mapped[float | None] = mapped_column(Double)
    hold_replies: Mapped[float | None] = mapped_column(Double)
    when_unscanned: Mapped[str | None] = mapped_column(String(5))
    dmarc_quarantine: Mapped[str | None] = mapped_column(String(4))
    subject_prefix: Mapped[str | None] = mapped_column(String(60))


class DkimKey(Tracked, Base):
    """A domain's signing key. sealed: the private key; public: the TXT record's value."""

    __tablename__ = "dkim_key"
    __table_args__ = (_one_of("algorithm", Algorithm), _one_of("state", KeyState))

    domain: Mapped[str] = mapped_column(ForeignKey("domain.name", ondelete="CASCADE"), primary_key=True)
    selector: Mapped[str] = mapped_column(String(63), primary_key=True)
    algorithm: Mapped[str] = mapped_column(String(7))
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    public: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(7))
    created: Mapped[float] = mapped_column(Double)


class Event(Base):
    """What became of one message for one alias. id: the outbox entry's, which makes it idempotent."""

    __tablename__ = "event"
    __table_args__ = (_one_of("kind", EventKind), Index(None, "alias_id", "at"), Index(None, "at"))

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    node: Mapped[str] = mapped_column(String(255))
    at: Mapped[float] = mapped_column(Double)
    account_id: Mapped[int | None] = mapped_column(Id)
    alias_id: Mapped[int | None] = mapped_column(Id)
    kind: Mapped[str] = mapped_column(String(9))
    contact: Mapped[str | None] = mapped_column(Text)
    mailbox_id: Mapped[int | None] = mapped_column(Id)
    status: Mapped[str | None] = mapped_column(String(11))
    reason: Mapped[str | None] = mapped_column(Text)
    queue_id: Mapped[str | None] = mapped_column(String(64))


class Counter(Base):
    """How often a kind of event happened to an alias on a node: outlives the events themselves."""

    __tablename__ = "counter"
    __table_args__ = (_one_of("kind", EventKind), CheckConstraint("count > 0", name="count"))

    alias_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    node: Mapped[str] = mapped_column(String(255), primary_key=True)
    kind: Mapped[str] = mapped_column(String(9), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
    last_at: Mapped[float] = mapped_column(Double)


class Bounce(Base):
    """A bounce that came home. contact_token: the first 8 octets of the reverse token, in hex."""

    __tablename__ = "bounce"
    __table_args__ = (_one_of("kind", BounceOrigin), Index(None, "mailbox_id", "at"), Index(None, "at"))

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    node: Mapped[str] = mapped_column(String(255))
    at: Mapped[float] = mapped_column(Double)
    alias_id: Mapped[int] = mapped_column(Id)
    contact_token: Mapped[str] = mapped_column(String(16))
    mailbox_id: Mapped[int] = mapped_column(Id)
    kind: Mapped[str] = mapped_column(String(7))
    action: Mapped[str | None] = mapped_column(String(32))
    status: Mapped[str | None] = mapped_column(String(11))
    reason: Mapped[str | None] = mapped_column(Text)


class ReplayMark(Tracked, Base):
    """A DKIM signature that has proved a reply to this reverse alias, and for which message."""

    __tablename__ = "replay_mark"

    mark: Mapped[str] = mapped_column(String(128), primary_key=True)
    reverse_token: Mapped[str] = mapped_column(String(24), primary_key=True)
    ledger_key: Mapped[str] = mapped_column(String(128))
    at: Mapped[float] = mapped_column(Double, index=True)


class Node(Base):
    """A machine that carries its outbox here, what it says of itself, and what it is told to do.

    keys: the fingerprint of its master secrets. replica_at: when its replica had all of the truth.
    drained_at, drained_by: since when and on whose word it is drained. waiting, held: messages of ours in
    its Postfix's queue while it is drained. order_at is an order's number too, done_at that of the last one
    that it has carried out.
    """

    __tablename__ = "node"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    last_seen: Mapped[float] = mapped_column(Double)
    schema: Mapped[str] = mapped_column(String(32))
    version: Mapped[str | None] = mapped_column(String(32))
    keys: Mapped[str | None] = mapped_column(Text)
    replica_at: Mapped[float | None] = mapped_column(Double)
    drained_at: Mapped[float | None] = mapped_column(Double)
    drained_by: Mapped[str | None] = mapped_column(Text)
    waiting: Mapped[int | None] = mapped_column(Integer)
    held: Mapped[int | None] = mapped_column(Integer)
    order_at: Mapped[float | None] = mapped_column(Double)
    order_by: Mapped[str | None] = mapped_column(Text)
    order_drain: Mapped[bool | None] = mapped_column(Boolean)
    done_at: Mapped[float | None] = mapped_column(Double)


class Generation(Base):
    """Raised by a restore and a move: whatever was copied from an earlier one has to be copied anew.

    reader: the oldest schema revision whose programs can still read this database's directory.
    phase, elsewhere, moved_at: whether this database is the one in use, and if not, where that is (see
    store.moving). elsewhere_id: how to know that again.
    """

    __tablename__ = "generation"
    __table_args__ = (
        CheckConstraint("id = 1", name="single"),
        CheckConstraint("number >= 1", name="number"),
        _one_of("phase", Phase),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(Integer)
    reader: Mapped[str] = mapped_column(String(32), server_default=text("'0002'"))
    phase: Mapped[str] = mapped_column(String(8), server_default=text("'current'"))
    elsewhere: Mapped[str | None] = mapped_column(Text)
    elsewhere_id: Mapped[str | None] = mapped_column(Text)
    moved_at: Mapped[float | None] = mapped_column(Double)


class Deletion(Base):
    """A row that is gone from a tracked table. key: its primary key, a JSON object."""

    __tablename__ = "deletion"

    change: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    relation: Mapped[str] = mapped_column(String(63))
    key: Mapped[str] = mapped_column(Text)
    at: Mapped[float] = mapped_column(Double, index=True)


class PurgedAlias(Base):
    """The id of an alias that was purged: the nodes know its contacts by it. It is never given out again."""

    __tablename__ = "purged_alias"
    __table_args__ = (_id_range(),)

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    at: Mapped[float] = mapped_column(Double)


class PurgedReverseAlias(Base):
    """A reverse alias of an alias that was purged: what is sent there is refused, for some time."""

    __tablename__ = "purged_reverse_alias"

    token: Mapped[str] = mapped_column(String(24), primary_key=True)
    at: Mapped[float] = mapped_column(Double, index=True)


class Tombstone(Base):
    """A keyed hash of an address that was purged: it is never given to another account.

    account_id: whose it was, who may be gone.
    """

    __tablename__ = "tombstone"

    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    account_id: Mapped[int] = mapped_column(Id, index=True)
    at: Mapped[float] = mapped_column(Double)
