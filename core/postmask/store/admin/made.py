"""What master secrets have made: reverse aliases of the newest contacts, and all sealed signing keys."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from postmask.directory import records
from postmask.store.models import Contact, DkimKey

_NEWEST = 100


def newest_reverse(session: Session) -> list[str]:
    """Tokens of the current reverse aliases of the contacts that were made last."""
    return list(session.scalars(select(Contact.token).order_by(Contact.created.desc()).limit(_NEWEST)))


def sealed_keys(session: Session) -> list[records.DkimKey]:
    """The signing keys of all domains."""
    rows = session.execute(select(DkimKey.domain, DkimKey.selector, DkimKey.algorithm, DkimKey.sealed))
    return [records.DkimKey(row.domain, row.selector, row.algorithm, row.sealed) for row in rows]
