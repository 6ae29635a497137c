"""How mailboxes are shown: senders and numbers of aliases fetched for many at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from postmask.store.admin.views import MailboxView
from postmask.store.batches import batched
from postmask.store.models import Alias, AliasMailbox, Mailbox, MailboxSender
from postmask.store.vocabulary import AliasRowState


def view(session: Session, mailbox: Mailbox) -> MailboxView:
    """One mailbox."""
    return views(session, [mailbox])[0]


def views(session: Session, mailboxes: Sequence[Mailbox]) -> list[MailboxView]:
    """Many mailboxes, in their order."""
    shown: list[MailboxView] = []
    for some in batched(mailboxes):
        ids = [mailbox.id for mailbox in some]
        counts = _alias_counts(session, ids)
        senders = _sender_addresses(session, ids)
        shown += [
            MailboxView(
                id=mailbox.id,
                account=mailbox.account.name,
                address=mailbox.address,
                written=mailbox.written,
                state=mailbox.state,
                login=mailbox.login,
                allow_spf=mailbox.allow_spf,
                senders=tuple(senders[mailbox.id]),
                created=mailbox.created,
                confirmed_at=mailbox.confirmed_at,
                paused_at=mailbox.paused_at,
                pause_reason=mailbox.pause_reason,
                aliases=counts.get(mailbox.id, 0),
            )
            for mailbox in some
        ]
    return shown


def _alias_counts(session: Session, ids: Sequence[int]) -> dict[int, int]:
    query = (
        select(AliasMailbox.mailbox_id, func.count())
        .join(Alias, Alias.id == AliasMailbox.alias_id)
        .where(AliasMailbox.mailbox_id.in_(ids), Alias.state != AliasRowState.REMOVED)
        .group_by(AliasMailbox.mailbox_id)
    )
    return dict(session.execute(query).all())


def _sender_addresses(session: Session, ids: Sequence[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    query = select(MailboxSender.mailbox_id, MailboxSender.address).where(MailboxSender.mailbox_id.in_(ids))
    for mailbox_id, address in session.execute(query.order_by(MailboxSender.address)):
        found[mailbox_id].append(address)
    return found
