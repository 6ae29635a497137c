"""What master secrets have made: the newest reverse aliases and all sealed signing keys."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from postmask.directory import records
from postmask.store.models import DkimKey, ReverseAlias

_NEWEST = 100


def newest_reverse(session: Session) -> list[str]:
    """Tokens of the reverse aliases that were made last."""
    rows = select(ReverseAlias.token).order_by(ReverseAlias.created.desc()).limit(_NEWEST)
    return list(session.scalars(rows))


def sealed_keys(session: Session) -> list[records.DkimKey]:
    """The signing keys of all domains."""
    rows = session.execute(select(DkimKey.domain, DkimKey.selector, DkimKey.algorithm, DkimKey.sealed))
    return [records.DkimKey(row.domain, row.selector, row.algorithm, row.sealed) for row in rows]
