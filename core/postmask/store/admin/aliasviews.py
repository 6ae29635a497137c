"""How aliases are shown: mailboxes and counters fetched for many at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from postmask.store.admin.views import AliasView
from postmask.store.batches import batched
from postmask.store.models import Account, Alias, AliasMailbox, Counter, Mailbox


def view(session: Session, alias: Alias) -> AliasView:
    """One alias."""
    return views(session, [alias])[0]


def views(session: Session, aliases: Sequence[Alias]) -> list[AliasView]:
    """Many aliases, in their order."""
    shown: list[AliasView] = []
    for some in batched(aliases):
        ids = [alias.id for alias in some]
        boxes = _mailboxes(session, ids)
        counters, last = _counters(session, ids)
        accounts = _accounts(session, {alias.account_id for alias in some})
        shown += [
            AliasView(
                id=alias.id,
                account=accounts[alias.account_id].name,
                account_state=accounts[alias.account_id].state,
                address=alias.address,
                domain=alias.domain,
                state=alias.state,
                when_disabled=alias.when_disabled,
                name=alias.name,
                note=alias.note,
                mailboxes=tuple(boxes[alias.id]),
                created=alias.created,
                removed_at=alias.removed_at,
                counters=counters[alias.id],
                last_at=last.get(alias.id),
            )
            for alias in some
        ]
    return shown


def _mailboxes(session: Session, ids: Sequence[int]) -> dict[int, list[str]]:
    boxes: dict[int, list[str]] = defaultdict(list)
    query = (
        select(AliasMailbox.alias_id, Mailbox.address)
        .join(Mailbox, Mailbox.id == AliasMailbox.mailbox_id)
        .where(AliasMailbox.alias_id.in_(ids))
        .order_by(Mailbox.address)
    )
    for alias_id, address in session.execute(query):
        boxes[alias_id].append(address)
    return boxes


def _counters(session: Session, ids: Sequence[int]) -> tuple[dict[int, dict[str, int]], dict[int, float]]:
    """Events by kind, summed over the nodes; and when the last one was."""
    counters: dict[int, dict[str, int]] = defaultdict(dict)
    last: dict[int, float] = {}
    query = (
        select(Counter.alias_id, Counter.kind, func.sum(Counter.count), func.max(Counter.last_at))
        .where(Counter.alias_id.in_(ids))
        .group_by(Counter.alias_id, Counter.kind)
        .order_by(Counter.kind)
    )
    for alias_id, kind, count, at in session.execute(query):
        counters[alias_id][kind] = int(count)
        last[alias_id] = max(at, last.get(alias_id, at))
    return counters, last


def _accounts(session: Session, ids: set[int]) -> dict[int, Account]:
    found = session.scalars(select(Account).where(Account.id.in_(ids)))
    return {account.id: account for account in found}
