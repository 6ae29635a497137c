"""How domains are shown: keys and numbers of aliases fetched for many at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from postmask.store.admin.views import DkimKeyView, DomainView
from postmask.store.batches import batched
from postmask.store.models import Alias, DkimKey, Domain
from postmask.store.vocabulary import AliasRowState


def view(session: Session, domain: Domain) -> DomainView:
    """One domain."""
    return views(session, [domain])[0]


def views(session: Session, domains: Sequence[Domain]) -> list[DomainView]:
    """Many domains, in their order."""
    shown: list[DomainView] = []
    for some in batched(domains):
        names = [domain.name for domain in some]
        counts = _alias_counts(session, names)
        keys = _keys(session, names)
        shown += [
            DomainView(
                id=domain.id,
                name=domain.name,
                account=domain.account.name,
                postmaster=domain.postmaster,
                created=domain.created,
                aliases=counts.get(domain.name, 0),
                dkim_keys=tuple(keys[domain.name]),
            )
            for domain in some
        ]
    return shown


def key_view(key: DkimKey) -> DkimKeyView:
    """One signing key."""
    return DkimKeyView(key.domain, key.selector, key.algorithm, key.public, key.state, key.created)


def _alias_counts(session: Session, names: Sequence[str]) -> dict[str, int]:
    query = (
        select(Alias.domain, func.count())
        .where(Alias.domain.in_(names), Alias.state != AliasRowState.REMOVED)
        .group_by(Alias.domain)
    )
    return dict(session.execute(query).all())


def _keys(session: Session, names: Sequence[str]) -> dict[str, list[DkimKeyView]]:
    found: dict[str, list[DkimKeyView]] = defaultdict(list)
    query = select(DkimKey).where(DkimKey.domain.in_(names))
    for key in session.scalars(query.order_by(DkimKey.algorithm.desc(), DkimKey.created)):
        found[key.domain].append(key_view(key))
    return found
