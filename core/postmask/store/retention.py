"""Forgetting what is past its time: events and bounces after the set number of days, replay marks once
nothing could be proved by them any more, reverse aliases that were purged when hardly anybody writes to them
any more, and on Postgres the change numbers of what was deleted, once every replica was copied anew since.
Counters, and what was removed, stay.

A piece at a time: nobody else can write to SQLite meanwhile, and Postgres ends what takes too long.

DIAGNOSTICS
    StoreError: the truth can't be written now, or (Postgres) the nodes' role lacks the right, which
    `postmask db upgrade` gives it.
"""

from __future__ import annotations

from sqlalchemy import Delete, Engine, Integer, delete, literal_column, select, text

from postmask.auth.proof import MARKS_KEPT
from postmask.clock import DAY
from postmask.store.models import Bounce, Event, PurgedReverseAlias, ReplayMark
from postmask.store.session import transaction

PURGED_KEPT = 30 * DAY
"""Seconds."""

_PIECE = 5_000


def forget(engine: Engine, *, days: int, now: float) -> int:
    """Forget some of the events and bounces older than so many days, and of what else is past its time; how
    many rows. 0: there are no more.

    engine: the node's. On Postgres the database's own clock counts (migrations 0003 and 0010), and 0 may mean
    that another node is at it.
    """
    with transaction(engine) as session:
        if engine.dialect.name == "postgresql":
            return int(session.execute(text("SELECT forget_past(:days)"), {"days": days}).scalar_one())
        limits = (
            (Event, now - days * DAY),
            (Bounce, now - days * DAY),
            (ReplayMark, now - MARKS_KEPT),
            (PurgedReverseAlias, now - PURGED_KEPT),
        )
        connection = session.connection()
        return sum(connection.execute(_piece(table, limit)).rowcount for table, limit in limits)


def _piece(table: type[Event | Bounce | ReplayMark | PurgedReverseAlias], limit: float) -> Delete:
    """Some of what is older, on SQLite."""
    row = literal_column("rowid", Integer)
    old = select(row).select_from(table).where(table.at < limit).limit(_PIECE)
    return delete(table).where(row.in_(old))
