"""Blocks of envelope senders: for an alias, an account, a domain, or everybody."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from postmask import address as addresses
from postmask import tokens
from postmask.directory.records import BlockAction
from postmask.store.admin import accounts, aliases, domains
from postmask.store.admin.views import RuleView
from postmask.store.batches import batched
from postmask.store.errors import Duplicate, NotFound, Refused
from postmask.store.models import Account, Alias, Domain, SenderRule
from postmask.store.vocabulary import RuleScope


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a rule protects: at most one of the three; none of them: everybody."""

    alias: str | None = None
    account: str | None = None
    domain: str | None = None


EVERYBODY = Target()


def add(
    session: Session,
    pattern: str,
    *,
    target: Target = EVERYBODY,
    action: BlockAction = BlockAction.REJECT,
    now: float,
) -> RuleView:
    """Block a sender. pattern: an address, or "@domain" for a domain and all below it.

    Raises AddressError, NotFound (the target), Duplicate, Refused.
    """
    normal = _pattern(pattern)
    if "*" in normal:
        raise Refused('a block has no wildcards; "@domain" blocks a domain and all below it')
    scope, where, columns = _resolve(session, target)
    if session.scalars(select(SenderRule.id).where(SenderRule.pattern == normal, where)).first() is not None:
        raise Duplicate(f"{normal} is blocked there already; see: postmask block list")
    rule = SenderRule(
        id=tokens.random_id(), scope=scope.value, pattern=normal, action=action.value, created=now, **columns
    )
    session.add(rule)
    session.flush()
    return _views(session, [rule])[0]


def listing(session: Session, *, target: Target | None = None, pattern: str | None = None) -> list[RuleView]:
    """All blocks, or a target's (EVERYBODY: the global ones), by pattern."""
    query = select(SenderRule).order_by(SenderRule.pattern, SenderRule.scope, SenderRule.id)
    if target is not None:
        query = query.where(_resolve(session, target)[1])
    if pattern is not None:
        query = query.where(SenderRule.pattern == _pattern(pattern))
    return _views(session, list(session.scalars(query)))


def remove(session: Session, pattern: str, *, target: Target = EVERYBODY) -> RuleView:
    """Take a block away; shows what it was. Raises AddressError, NotFound."""
    normal = _pattern(pattern)
    query = select(SenderRule).where(SenderRule.pattern == normal, _resolve(session, target)[1])
    rule = session.scalars(query).one_or_none()
    if rule is None:
        raise NotFound(f"{normal} is not blocked there; see: postmask block list")
    shown = _views(session, [rule])[0]
    session.delete(rule)
    session.flush()
    return shown


def _pattern(text: str) -> str:
    text = text.strip()
    if text.startswith("@"):
        return "@" + addresses.parse_domain(text[1:])
    if "@" not in text:
        raise Refused(f'write "@{addresses.parse_domain(text)}" to block the whole domain, or an address')
    return addresses.parse_loose(text).key


def _resolve(session: Session, target: Target) -> tuple[RuleScope, ColumnElement[bool], dict[str, int]]:
    """The scope, the condition for its rows, and the columns that a new row sets."""
    if sum(name is not None for name in (target.alias, target.account, target.domain)) > 1:
        raise Refused("a block is for an alias, an account, a domain, or everybody; name one of them")
    if target.alias is not None:
        number = aliases.find(session, target.alias).id
        return RuleScope.ALIAS, SenderRule.alias_id == number, {"alias_id": number}
    if target.account is not None:
        number = accounts.find(session, target.account).id
        return RuleScope.ACCOUNT, SenderRule.account_id == number, {"account_id": number}
    if target.domain is not None:
        number = domains.find(session, target.domain).id
        return RuleScope.DOMAIN, SenderRule.domain_id == number, {"domain_id": number}
    return RuleScope.GLOBAL, SenderRule.scope == RuleScope.GLOBAL.value, {}


def _views(session: Session, rules: list[SenderRule]) -> list[RuleView]:
    query = (
        select(SenderRule.id, Alias.address, Account.name, Domain.name)
        .outerjoin(Alias, Alias.id == SenderRule.alias_id)
        .outerjoin(Account, Account.id == SenderRule.account_id)
        .outerjoin(Domain, Domain.id == SenderRule.domain_id)
    )
    targets: dict[int, str | None] = {}
    for some in batched([rule.id for rule in rules]):
        found = session.execute(query.where(SenderRule.id.in_(some)))
        targets.update((number, alias or account or domain) for number, alias, account, domain in found)
    return [
        RuleView(rule.id, rule.scope, targets[rule.id], rule.pattern, rule.action, rule.created)
        for rule in rules
    ]
