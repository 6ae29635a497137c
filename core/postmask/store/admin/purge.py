"""Forgetting aliases for good: rows and contacts go, a keyed hash of the address stays.

The id is noted, so that nodes forget the contacts too; and for some time what the reverse aliases were, so
that nobody takes them for new ones.

Whoever changes anything else waits for the end of the transaction, so many go in several.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, func, insert, literal, select
from sqlalchemy.orm import Session

from postmask import tokens
from postmask.keys import Keyring
from postmask.store.batches import batched
from postmask.store.models import (
    Alias,
    Contact,
    Counter,
    PurgedAlias,
    PurgedReverseAlias,
    ReverseAlias,
    Tombstone,
)
from postmask.store.vocabulary import AliasRowState

AT_ONCE = 5_000
"""Aliases to a transaction, where there are more: a few seconds."""

_PIECE = 500


def piece(session: Session, keys: Keyring, which: ColumnElement[bool], *, now: float) -> list[str] | None:
    """Purge some of these aliases, where they are too many for one transaction; those that there were.

    None: there are few enough for aliases().
    """
    count = session.scalar(select(func.count()).select_from(Alias).where(which)) or 0
    return aliases(session, keys, which, limit=AT_ONCE, now=now) if count > AT_ONCE else None


def aliases(
    session: Session, keys: Keyring, which: ColumnElement[bool], *, limit: int | None = None, now: float
) -> list[str]:
    """Purge these aliases, or so many of them; those that there were, removed ones left out."""
    rows = session.execute(
        select(Alias.id, Alias.account_id, Alias.address, Alias.state)
        .where(which)
        .order_by(Alias.address)
        .limit(limit)
    ).all()
    buried = buried_for(session, keys, [row.address for row in rows])
    fresh = [
        {"hash": tokens.tombstone(keys, row.address), "account_id": row.account_id, "at": now}
        for row in rows
        if row.address not in buried
    ]
    if fresh:
        session.execute(insert(Tombstone), fresh)
    # In pieces: a statement has its time, and all that belongs to an alias goes with it.
    for some in batched((row.id for row in rows), _PIECE):
        given_out = (
            select(ReverseAlias.token, literal(now))
            .join(Contact, Contact.id == ReverseAlias.contact_id)
            .where(Contact.alias_id.in_(some))
        )
        session.execute(insert(PurgedReverseAlias).from_select(["token", "at"], given_out))
        session.execute(insert(PurgedAlias), [{"id": number, "at": now} for number in some])
        session.execute(delete(Counter).where(Counter.alias_id.in_(some)))
        session.execute(delete(Alias).where(Alias.id.in_(some)))
    return [row.address for row in rows if row.state != AliasRowState.REMOVED]


def buried_for(session: Session, keys: Keyring, address_keys: Sequence[str]) -> dict[str, int]:
    """Which of these addresses have a tombstone, and the account that had them."""
    stones = {stone: key for key in address_keys for stone in tokens.tombstones(keys, key)}
    buried: dict[str, int] = {}
    for some in batched(stones, _PIECE):
        known = session.execute(select(Tombstone.hash, Tombstone.account_id).where(Tombstone.hash.in_(some)))
        buried.update((stones[stone], account_id) for stone, account_id in known)
    return buried
