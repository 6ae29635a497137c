"""Forgetting what is past its time: events and bounces after the set number of days, and replay marks
once nothing could be proved by them any more. Counters, and what was removed, stay.

DIAGNOSTICS
    StoreError: the truth can't be written now, or (Postgres) the nodes' role lacks the right, which
    `postmask db upgrade` gives it.
"""

from __future__ import annotations

from sqlalchemy import Engine, delete, text

from postmask.clock import DAY
from postmask.store.models import Bounce, Event, ReplayMark
from postmask.store.session import transaction

REPLAY_DAYS = 6
"""How long a used signature is remembered: longer than the five days for which one proves anything."""


def forget(engine: Engine, *, days: int, now: float) -> int:
    """Forget events and bounces older than so many days, and old replay marks; how many rows.

    engine: the node's. On Postgres the database's own clock counts (migration 0003), and 0 may mean
    that another node is at it.
    """
    with transaction(engine) as session:
        if engine.dialect.name == "postgresql":
            return int(session.execute(text("SELECT forget_past(:days)"), {"days": days}).scalar_one())
        limits = (
            (Event, Event.at, now - days * DAY),
            (Bounce, Bounce.at, now - days * DAY),
            (ReplayMark, ReplayMark.at, now - REPLAY_DAYS * DAY),
        )
        return sum(
            len(session.scalars(delete(table).where(at < limit).returning(at)).all())
            for table, at, limit in limits
        )
