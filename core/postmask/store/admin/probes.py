"""What `postmask doctor --send` makes for its message, and takes away again without a trace.

Two aliases that nobody knows of, with names of chance. Mail to the first is forwarded to the second, which
discards it with a record: so a message goes all the way, and to nobody. The way from one to the other is a
mailbox in a domain of our own, as nobody else may have one. A block refuses what STRANGER writes.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from postmask import tokens
from postmask.directory.records import WhenDisabled
from postmask.keys import Keyring
from postmask.store.admin import aliases, domains, rules
from postmask.store.admin.rules import Target
from postmask.store.models import Alias, Counter, Event, Mailbox

_NAME = "postmask-doctor"
_NOTE = "made by postmask doctor --send, to be taken away again"

STRANGER = "postmask-doctor@stranger.invalid"


@dataclass(frozen=True, slots=True)
class Made:
    """alias: what is written to. end: where that goes."""

    alias: str
    end: str
    alias_ids: tuple[int, ...]


def make(session: Session, keys: Keyring, domain: str, *, now: float) -> Made:
    """In a domain of ours, in the name of who looks after it. Raises NotFound, StoreError."""
    owner = domains.find(session, domain).account
    name = f"{_NAME}-{secrets.token_hex(6)}"
    alias, end = f"{name}@{domain}", f"{name}-end@{domain}"
    box = Mailbox(
        id=tokens.random_id(), account=owner, address=end, written=end, created=now, confirmed_at=now
    )
    session.add(box)
    session.flush()
    made = [
        aliases.add(session, keys, address, [end], account=owner.name, note=_NOTE, now=now)
        for address in (alias, end)
    ]
    aliases.disable(session, end, when_disabled=WhenDisabled.DISCARD)
    rules.add(session, STRANGER, target=Target(alias=alias), now=now)
    return Made(alias, end, tuple(one.id for one in made))


def take_away(session: Session, alias_ids: Sequence[int]) -> None:
    """All that was made, and what was counted for it."""
    boxes = select(Alias.address).where(Alias.id.in_(alias_ids), Alias.note == _NOTE)
    ends = list(session.scalars(boxes))
    session.execute(delete(Event).where(Event.alias_id.in_(alias_ids)))
    session.execute(delete(Counter).where(Counter.alias_id.in_(alias_ids)))
    session.execute(delete(Alias).where(Alias.id.in_(alias_ids)))
    session.execute(delete(Mailbox).where(Mailbox.address.in_(ends)))


def forgotten(session: Session, *, before: float) -> list[int]:
    """The aliases of calls that were cut off, made before then."""
    query = select(Alias.id).where(
        Alias.note == _NOTE, Alias.address.startswith(f"{_NAME}-"), Alias.created < before
    )
    return list(session.scalars(query))
