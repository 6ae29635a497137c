"""What is set of the spam check for an alias, an account or a domain, and what counts for it in the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from postmask import tokens
from postmask.alias.sifting import SpamRules, effective, objection
from postmask.directory import records
from postmask.directory.records import POLICY_NAMES
from postmask.store import reading
from postmask.store.admin import accounts, aliases, domains
from postmask.store.admin.rules import Target
from postmask.store.errors import Refused
from postmask.store.models import SpamPolicy

Values = Mapping[str, float | str | None]
"""By name; None: as elsewhere."""


@dataclass(frozen=True, slots=True)
class _Place:
    """The column that names a target, its id, and what the directory asks for it."""

    column: str
    number: int
    question: dict[str, int | str]


def change(session: Session, target: Target, values: Values, node: SpamRules) -> None:
    """Set or take back some of it. node: what counts where nothing is set.

    Raises AddressError, NotFound, Refused (rules that contradict each other).
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
        return
    found = counting(session, target)
    if said := objection(effective(node, found), found):
        raise Refused(said)


def counting(session: Session, target: Target) -> tuple[records.SpamPolicy, ...]:
    """What is set for the target and, with an alias, for its account and domain; the narrowest first.

    Raises AddressError, NotFound.
    """
    rows = session.execute(reading.SPAM_POLICIES, _place(session, target).question).all()
    return reading.spam_policies(rows) or ()


def _place(session: Session, target: Target) -> _Place:
    if target.alias is not None:
        alias = aliases.find(session, target.alias, removed=True)
        return _Place("alias_id", alias.id, _question(alias.id, alias.account_id, alias.domain))
    if target.account is not None:
        number = accounts.find(session, target.account).id
        return _Place("account_id", number, _question(account_id=number))
    if target.domain is not None:
        domain = domains.find(session, target.domain)
        return _Place("domain_id", domain.id, _question(domain=domain.name))
    raise Refused("what is to count for everybody stands in the settings, in the section spam")


def _question(alias_id: int = 0, account_id: int = 0, domain: str = "") -> dict[str, int | str]:
    return {"alias_id": alias_id, "account_id": account_id, "domain": domain}
