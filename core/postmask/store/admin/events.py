"""What happened: events and bounces, the newest first."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from postmask import address as addresses
from postmask.store.admin import accounts, aliases
from postmask.store.admin.views import BounceView, EventView
from postmask.store.models import Account, Alias, Bounce, Event, Mailbox


def listing(
    session: Session,
    *,
    alias: str | None = None,
    account: str | None = None,
    contact: str | None = None,
    kind: str | None = None,
    since: float | None = None,
    limit: int | None = 100,
) -> list[EventView]:
    """Events that match all that is given. kind: of EventKind. Raises NotFound."""
    query = (
        select(Event, Account.name, Alias.address, Mailbox.address)
        .outerjoin(Account, Account.id == Event.account_id)
        .outerjoin(Alias, Alias.id == Event.alias_id)
        .outerjoin(Mailbox, Mailbox.id == Event.mailbox_id)
        .order_by(Event.at.desc(), Event.id)
    )
    if alias is not None:
        query = query.where(Event.alias_id == aliases.find(session, alias, removed=True).id)
    if account is not None:
        query = query.where(Event.account_id == accounts.find(session, account).id)
    if contact is not None:
        query = query.where(Event.contact == addresses.parse_loose(contact).key)
    if kind is not None:
        query = query.where(Event.kind == kind)
    if since is not None:
        query = query.where(Event.at >= since)
    return [
        EventView(
            id=event.id,
            node=event.node,
            at=event.at,
            account=owner,
            alias=alias_address,
            kind=event.kind,
            contact=event.contact,
            mailbox=mailbox,
            status=event.status,
            reason=event.reason,
            queue_id=event.queue_id,
        )
        for event, owner, alias_address, mailbox in session.execute(query.limit(limit))
    ]


def bounces(
    session: Session, *, alias: str | None = None, since: float | None = None, limit: int | None = 100
) -> list[BounceView]:
    """Bounces that came home. Raises NotFound."""
    query = (
        select(Bounce, Alias.address, Mailbox.address)
        .outerjoin(Alias, Alias.id == Bounce.alias_id)
        .outerjoin(Mailbox, Mailbox.id == Bounce.mailbox_id)
        .order_by(Bounce.at.desc(), Bounce.id)
    )
    if alias is not None:
        query = query.where(Bounce.alias_id == aliases.find(session, alias, removed=True).id)
    if since is not None:
        query = query.where(Bounce.at >= since)
    return [
        BounceView(
            id=bounce.id,
            node=bounce.node,
            at=bounce.at,
            alias=alias_address,
            mailbox=mailbox,
            contact_token=bounce.contact_token,
            kind=bounce.kind,
            action=bounce.action,
            status=bounce.status,
            reason=bounce.reason,
        )
        for bounce, alias_address, mailbox in session.execute(query.limit(limit))
    ]
