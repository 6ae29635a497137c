"""An outbox full of what the truth is to learn, and what it has learned."""

from __future__ import annotations

from sqlalchemy import func, select

from postmask.agent.outbox import OutboxCarrier
from postmask.spool import Entry, Spool
from postmask.store.engine import make_engine
from postmask.store.errors import StoreError
from postmask.store.models import Alias, Contact, Counter, Event
from postmask.store.session import transaction
from truth import Truth

ENTRIES = 5


def fill(truth: Truth, spool: Spool) -> None:
    """Contacts with their events, for the truth to learn."""
    with truth.session() as session:
        alias = session.scalars(select(Alias).where(Alias.address == "shop@alias.test")).one()
        session.expunge(alias)
    for number in range(ENTRIES):
        spool.put(
            [
                Entry.new(
                    "contact", alias_id=alias.id, address=f"c{number}@example.com", name=None,
                    token=f"{number}".rjust(24, "a"), at=1.0,
                ),
                Entry.new("event", at=1.0, account_id=alias.account_id, alias_id=alias.id, kind="forwarded"),
            ]
        )  # fmt: skip


def known(url: str) -> tuple[int, int, int]:
    """How many contacts and events, and what was counted."""
    engine = make_engine(url)
    with transaction(engine, read_only=True) as session:
        contacts = session.scalar(select(func.count()).select_from(Contact))
        events = session.scalar(select(func.count()).select_from(Event))
        return int(contacts or 0), int(events or 0), int(session.scalar(select(func.sum(Counter.count))) or 0)


def carried(carrier: OutboxCarrier, spool: Spool) -> bool:
    """Whether all of it is in the truth, trying once."""
    try:
        carrier.carry()
    except StoreError:
        return False
    return spool.outbox_state() == (0, 0)
