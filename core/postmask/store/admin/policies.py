"""What is set of the spam check for an alias, an account or a domain, and what counts for it in the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session, aliased

from postmask import tokens
from postmask.alias.sifting import SpamRules, contradiction, effective, objection
from postmask.directory import records
from postmask.directory.records import POLICY_NAMES
from postmask.store import reading
from postmask.store.admin import accounts, aliases, domains
from postmask.store.admin.rules import Target
from postmask.store.errors import InUse, Refused
from postmask.store.models import Account, Alias, Domain, SpamPolicy
from postmask.store.vocabulary import AliasRowState, RuleScope

Values = Mapping[str, float | str | None]
"""By name; None: as elsewhere."""

_own, _account, _domain = aliased(SpamPolicy), aliased(SpamPolicy), aliased(SpamPolicy)


@dataclass(frozen=True, slots=True)
class _Place:
    """A target's scope, the column that names it, its id, and what the directory asks for it."""

    scope: RuleScope
    column: str
    number: int
    question: dict[str, int | str]


def change(session: Session, target: Target, values: Values, node: SpamRules) -> None:
    """Set or take back some of it. node: what counts where nothing is set.

    Raises AddressError, NotFound, Refused (rules that contradict each other), InUse (they contradict
    what is set more narrowly).
    """
    place = _place(session, target)
    query = select(SpamPolicy).where(getattr(SpamPolicy, place.column) == place.number)
    policy = session.scalars(query).one_or_none()
    if policy is None:
        policy = SpamPolicy(id=tokens.random_id(), **{place.column: place.number})
        session.add(policy)
    for name, value in values.items():
        setattr(policy, name, value)
    session.flush()
    if all(getattr(policy, name) is None for name in POLICY_NAMES):
        session.delete(policy)
        session.flush()
    found = counting(session, target)
    if said := objection(effective(node, found), found, place.scope, values):
        raise Refused(said)
    told = [
        f"{whose}: {said}"
        for whose, there in _narrower(session, place)
        if (said := contradiction(effective(node, there), there, place.scope, values))
    ]
    if told:
        raise InUse(
            "mail would be taken for spam without being called so, by what is set more narrowly; "
            "change that first",
            told,
        )


def counting(session: Session, target: Target) -> tuple[records.SpamPolicy, ...]:
    """What is set for the target and, with an alias, for its account and domain; the narrowest first.

    Raises AddressError, NotFound.
    """
    rows = session.execute(reading.SPAM_POLICIES, _place(session, target).question).all()
    return _in_order(rows)


def _narrower(session: Session, place: _Place) -> Iterator[tuple[str, tuple[records.SpamPolicy, ...]]]:
    """Where something of its own is set beside the place's: whose it is, and what counts there."""
    here: dict[RuleScope, ColumnElement[bool]] = {
        RuleScope.ACCOUNT: Account.id == place.number,
        RuleScope.DOMAIN: Domain.id == place.number,
    }
    if place.scope not in here:
        return
    living = Alias.state != AliasRowState.REMOVED.value
    single = (
        select(Alias.address, _own, _account, _domain)
        .join(_own, _own.alias_id == Alias.id)
        .join(Account, Account.id == Alias.account_id)
        .join(Domain, Domain.name == Alias.domain)
        .outerjoin(_account, _account.account_id == Account.id)
        .outerjoin(_domain, _domain.domain_id == Domain.id)
        .where(living, here[place.scope])
        .order_by(Alias.address)
    )
    for address, *policies in session.execute(single):
        yield address, _in_order(policies)
    together = select(Alias.id).where(Alias.account_id == Account.id, Alias.domain == Domain.name, living)
    pairs = (
        select(Account.name, Domain.name, _account, _domain)
        .join_from(_account, Account, Account.id == _account.account_id)
        .join(_domain, _domain.domain_id.is_not(None))
        .join(Domain, Domain.id == _domain.domain_id)
        .where(here[place.scope], together.exists())
        .order_by(Account.name, Domain.name)
    )
    for account, domain, *policies in session.execute(pairs):
        yield f"aliases of {account} in {domain}", _in_order(policies)


def _in_order(rows: Sequence[Any]) -> tuple[records.SpamPolicy, ...]:
    """None among them: nothing is set there."""
    return reading.spam_policies([row for row in rows if row is not None]) or ()


def _place(session: Session, target: Target) -> _Place:
    if target.alias is not None:
        alias = aliases.find(session, target.alias, removed=True)
        return _Place(
            RuleScope.ALIAS, "alias_id", alias.id, _question(alias.id, alias.account_id, alias.domain)
        )
    if target.account is not None:
        number = accounts.find(session, target.account).id
        return _Place(RuleScope.ACCOUNT, "account_id", number, _question(account_id=number))
    if target.domain is not None:
        domain = domains.find(session, target.domain)
        return _Place(RuleScope.DOMAIN, "domain_id", domain.id, _question(domain=domain.name))
    raise Refused("what is to count for everybody stands in the settings, in the section spam")


def _question(alias_id: int = 0, account_id: int = 0, domain: str = "") -> dict[str, int | str]:
    return {"alias_id": alias_id, "account_id": account_id, "domain": domain}
