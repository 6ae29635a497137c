"""The directory's statements, and what their rows mean.

Each statement is made once, so that SQLAlchemy compiles it once. A reader turns all rows
of its statement into one record, None for no row. Removed aliases aren't seen here; the aliases of a
disabled account read as disabled.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    CompoundSelect,
    Select,
    and_,
    bindparam,
    case,
    literal,
    or_,
    select,
    union_all,
)

from postmask.directory import records
from postmask.directory.lookup import GONE, Gone
from postmask.directory.records import POLICY_NAMES, AliasState, BlockAction, ContactRule, MailboxState
from postmask.store.models import (
    Account,
    Alias,
    AliasMailbox,
    Contact,
    DkimKey,
    Domain,
    Mailbox,
    MailboxSender,
    PurgedReverseAlias,
    ReplayMark,
    ReverseAlias,
    SenderRule,
    SpamPolicy,
)
from postmask.store.vocabulary import Algorithm, AliasRowState, KeyState, RuleScope

Rows = Sequence[Any]
"""Row objects: their columns are known by name, not by type."""

_LABELS = 127
"""As many as a domain name can have; what has more is none, and no rule names it."""

_ALIAS_COLUMNS: tuple[Any, ...] = (
    Alias.id,
    Alias.account_id,
    Alias.address,
    Alias.domain,
    Alias.state,
    Alias.when_disabled,
    Alias.name,
    Account.disabled_at,
    Mailbox.id.label("mailbox_id"),
    Mailbox.address.label("mailbox"),
    Mailbox.written,
    Mailbox.confirmed_at,
    Mailbox.paused_at,
    Mailbox.login,
    Mailbox.allow_spf,
    MailboxSender.address.label("sender"),
)


_NOT_REMOVED = Alias.state != AliasRowState.REMOVED.value


def _with_mailboxes(aliases: Select[Any]) -> Select[Any]:
    """One row a mailbox and authorised sender of it; ordered, so that mailboxes stand together."""
    return (
        aliases.outerjoin(AliasMailbox, AliasMailbox.alias_id == Alias.id)
        .outerjoin(Mailbox, Mailbox.id == AliasMailbox.mailbox_id)
        .outerjoin(MailboxSender, MailboxSender.mailbox_id == Mailbox.id)
        .order_by(Mailbox.address, MailboxSender.address)
    )


_ALIASES = _with_mailboxes(
    select(*_ALIAS_COLUMNS).join(Account, Account.id == Alias.account_id).where(_NOT_REMOVED)
)


DOMAIN = select(Domain.id, Domain.name, Domain.account_id, Domain.postmaster).where(
    Domain.name == bindparam("name")
)

ALIAS = _ALIASES.where(Alias.address == bindparam("address"))

ALIAS_BY_ID = _ALIASES.where(Alias.id == bindparam("alias_id"))

REVERSE_ALIAS = _with_mailboxes(
    select(
        *_ALIAS_COLUMNS,
        ReverseAlias.token,
        Contact.address.label("contact"),
        Contact.written.label("contact_written"),
        Contact.name.label("contact_name"),
    )
    .select_from(ReverseAlias)
    .join(Contact, Contact.id == ReverseAlias.contact_id)
    .outerjoin(Alias, and_(Alias.id == Contact.alias_id, _NOT_REMOVED))
    .outerjoin(Account, Account.id == Alias.account_id)
    .where(ReverseAlias.token == bindparam("token"))
)
"""In one statement, that is as of one moment: whether it is known, and whether its alias is there."""

PURGED_REVERSE_ALIAS = select(PurgedReverseAlias.token).where(PurgedReverseAlias.token == bindparam("token"))

CONTACT = (
    select(Contact.alias_id, Contact.address, Contact.name, Contact.rule, Contact.token)
    .join(Alias, Alias.id == Contact.alias_id)
    .where(
        Contact.alias_id == bindparam("alias_id"),
        Contact.address == bindparam("address"),
        _NOT_REMOVED,
    )
)


@cache
def sender_rules(patterns: int) -> CompoundSelect[Any]:
    """The rules that could match, for so many patterns: pattern_0, pattern_1, …

    One statement for each number, since a list that is expanded at each execution costs more than the
    query.
    """
    wanted: list[BindParameter[str]] = [bindparam(f"pattern_{number}") for number in range(patterns)]
    rules = select(SenderRule.scope, SenderRule.pattern, SenderRule.action).where(
        SenderRule.pattern.in_(wanted),
        or_(
            SenderRule.scope == RuleScope.GLOBAL.value,
            SenderRule.domain_id == bindparam("domain_id"),
            SenderRule.account_id == bindparam("account_id"),
            SenderRule.alias_id == bindparam("alias_id"),
        ),
    )
    contacts = select(
        literal(records.CONTACT_SCOPE),
        Contact.address,
        case((Contact.rule == ContactRule.BLOCK.value, Contact.block_action), else_=None),
    ).where(
        and_(
            Contact.alias_id == bindparam("alias_id"),
            Contact.address == bindparam("sender"),
            Contact.rule != ContactRule.NONE.value,
        )
    )
    return union_all(rules, contacts)


SPAM_POLICIES = select(
    SpamPolicy.alias_id,
    SpamPolicy.account_id,
    SpamPolicy.mark,
    SpamPolicy.hold,
    SpamPolicy.discard,
    SpamPolicy.refuse,
    SpamPolicy.hold_replies,
    SpamPolicy.when_unscanned,
    SpamPolicy.dmarc_quarantine,
    SpamPolicy.subject_prefix,
).where(
    or_(
        SpamPolicy.alias_id == bindparam("alias_id"),
        SpamPolicy.account_id == bindparam("account_id"),
        SpamPolicy.domain_id == select(Domain.id).where(Domain.name == bindparam("domain")).scalar_subquery(),
    )
)

ACCOUNT_ADDRESSES = union_all(
    select(Mailbox.address).where(Mailbox.account_id == bindparam("account_id")),
    select(MailboxSender.address)
    .join(Mailbox, Mailbox.id == MailboxSender.mailbox_id)
    .where(Mailbox.account_id == bindparam("account_id")),
)

DKIM_KEYS = (
    select(DkimKey.domain, DkimKey.selector, DkimKey.algorithm, DkimKey.sealed)
    .where(DkimKey.domain == bindparam("domain"), DkimKey.state == KeyState.ACTIVE.value)
    .order_by(case((DkimKey.algorithm == Algorithm.RSA.value, 0), else_=1), DkimKey.created.desc())
)

REPLAY_MARK = select(ReplayMark.ledger_key).where(
    ReplayMark.mark == bindparam("mark"), ReplayMark.reverse_token == bindparam("token")
)

_NARROWNESS = {scope: rank for rank, scope in enumerate(records.SCOPES)}


def domain(rows: Rows) -> records.Domain | None:
    """From DOMAIN."""
    if not rows:
        return None
    row = rows[0]
    return records.Domain(row.id, row.name, row.account_id, row.postmaster)


def alias(rows: Rows) -> records.Alias | None:
    """From ALIAS and ALIAS_BY_ID; from REVERSE_ALIAS where the alias is there."""
    if not rows:
        return None
    row = rows[0]
    disabled = row.state == AliasRowState.DISABLED or row.disabled_at is not None
    return records.Alias(
        id=row.id,
        account_id=row.account_id,
        address=row.address,
        domain=row.domain,
        state=AliasState.DISABLED if disabled else AliasState.ACTIVE,
        when_disabled=records.WhenDisabled(row.when_disabled),
        name=row.name,
        mailboxes=_mailboxes(rows),
    )


def reverse_alias(rows: Rows) -> records.ReverseAlias | Gone | None:
    """From REVERSE_ALIAS; Gone: its alias was removed."""
    if rows and rows[0].id is None:
        return GONE
    behind = alias(rows)
    if behind is None:
        return None
    row = rows[0]
    return records.ReverseAlias(row.token, behind, row.contact, row.contact_name, row.contact_written)


def purged(rows: Rows) -> Gone | None:
    """From PURGED_REVERSE_ALIAS."""
    return GONE if rows else None


def contact(rows: Rows) -> records.Contact | None:
    """From CONTACT."""
    if not rows:
        return None
    row = rows[0]
    return records.Contact(row.alias_id, row.address, row.name, ContactRule(row.rule), row.token)


def sender_rule(rows: Rows) -> records.SenderRule | None:
    """From sender_rules: the narrowest scope, in it the longest pattern. An allowed contact is no rule."""
    if not rows:
        return None
    scope, pattern, action = min(rows, key=lambda row: (_NARROWNESS[row[0]], row[1][0] == "@", -len(row[1])))
    return records.SenderRule(BlockAction(action), scope, pattern) if action is not None else None


def spam_policies(rows: Rows) -> tuple[records.SpamPolicy, ...] | None:
    """From SPAM_POLICIES, or rows of the table, the narrowest first."""
    found = [
        records.SpamPolicy(_scope(row), **{name: getattr(row, name) for name in POLICY_NAMES}) for row in rows
    ]
    return tuple(sorted(found, key=lambda policy: _NARROWNESS[policy.scope])) or None


def _scope(row: Any) -> str:
    if row.alias_id is not None:
        return RuleScope.ALIAS.value
    return RuleScope.DOMAIN.value if row.account_id is None else RuleScope.ACCOUNT.value


def patterns(sender: str) -> list[str]:
    """What may stand in a rule that matches this sender: itself, its domain and every parent of that."""
    labels = sender.rpartition("@")[2].split(".")[-_LABELS:]
    return [sender, *("@" + ".".join(labels[start:]) for start in range(len(labels)))]


def account_addresses(rows: Rows) -> tuple[str, ...]:
    """From ACCOUNT_ADDRESSES."""
    return tuple(sorted({row[0] for row in rows}))


def dkim_keys(rows: Rows) -> tuple[records.DkimKey, ...]:
    """From DKIM_KEYS."""
    return tuple(records.DkimKey(row[0], row[1], row[2], bytes(row[3])) for row in rows)


def replay_mark(rows: Rows) -> bytes | None:
    """From REPLAY_MARK."""
    return bytes.fromhex(rows[0][0]) if rows else None


def _mailboxes(rows: Rows) -> tuple[records.Mailbox, ...]:
    senders: dict[int, list[str]] = {}
    first: dict[int, Any] = {}
    for row in rows:
        if row.mailbox_id is None:
            continue
        first.setdefault(row.mailbox_id, row)
        known = senders.setdefault(row.mailbox_id, [])
        if row.sender is not None:
            known.append(row.sender)
    return tuple(
        records.Mailbox(
            id=row.mailbox_id,
            account_id=row.account_id,
            address=row.mailbox,
            state=MailboxState.of(row.confirmed_at, row.paused_at),
            login=row.login,
            senders=tuple(senders[row.mailbox_id]),
            allow_spf=bool(row.allow_spf),
            written=row.written,
        )
        for row in first.values()
    )
