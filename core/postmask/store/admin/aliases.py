"""Aliases: what they are made of, their states, and how they are found."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from shlex import quote

from sqlalchemy import ColumnElement, delete, insert, select
from sqlalchemy.orm import Session

from postmask import address as addresses
from postmask.directory.records import WhenDisabled
from postmask.keys import Keyring
from postmask.store.admin import accounts, domains, mailboxes, purge
from postmask.store.admin.aliasviews import view, views
from postmask.store.admin.naming import Namer, check_local_part, checked_answer
from postmask.store.admin.searching import containing
from postmask.store.admin.views import AliasView
from postmask.store.errors import NotFound, Refused
from postmask.store.models import Account, Alias, AliasMailbox, Mailbox
from postmask.store.vocabulary import AliasRowState

_CONSONANTS = "bdfgklmnprstvz"
_VOWELS = "aeiou"


def add(
    session: Session,
    keys: Keyring,
    address: str,
    to: Sequence[str],
    *,
    account: str | None = None,
    note: str | None = None,
    name: str | None = None,
    when_disabled: str = WhenDisabled.REJECT,
    now: float,
) -> AliasView:
    """Make an alias that delivers to these mailboxes. name: the display name that replies carry.

    Raises AddressError, Duplicate, NotFound (domain or mailbox), Refused (reserved local part, or an
    address that was another's).
    """
    parsed = addresses.parse(address)
    domain = domains.find(session, parsed.domain)
    check_local_part(parsed)
    owner = accounts.choose(session, account)
    boxes = _mailboxes(session, to, owner)
    number = Namer(session, keys).free_ids([parsed.key], owner.id)[parsed.key]
    alias = Alias(
        id=number,
        account=owner,
        address=parsed.key,
        domain=domain.name,
        state=AliasRowState.ACTIVE.value,
        when_disabled=checked_answer(when_disabled),
        name=name or None,
        note=note or None,
        created=now,
    )
    session.add(alias)
    session.flush()
    _deliver_to(session, alias, boxes)
    return view(session, alias)


def random(
    session: Session,
    keys: Keyring,
    to: Sequence[str],
    *,
    domain: str | None = None,
    account: str | None = None,
    note: str | None = None,
    name: str | None = None,
    when_disabled: str = WhenDisabled.REJECT,
    now: float,
) -> AliasView:
    """Make an alias with a name of chance, easy to say and hard to guess. Raises as add."""
    chosen = domains.choose(session, domain)
    return add(
        session,
        keys,
        f"{_random_name()}@{chosen.name}",
        to,
        account=account,
        note=note,
        name=name,
        when_disabled=when_disabled,
        now=now,
    )


def get(session: Session, address: str) -> AliasView:
    """One alias, a removed one too. Raises AddressError, NotFound."""
    return view(session, find(session, address, removed=True))


def listing(
    session: Session,
    *,
    account: str | None = None,
    domain: str | None = None,
    mailbox: str | None = None,
    state: str | None = None,
    search: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[AliasView]:
    """Aliases by address. Removed ones only when asked for (state "removed", or "all").

    search: a text in address, note or name, in any case.
    """
    query = select(Alias).order_by(Alias.address).where(*_states(state))
    if account is not None:
        query = query.where(Alias.account_id == accounts.find(session, account).id)
    if domain is not None:
        query = query.where(Alias.domain == domains.find(session, domain).name)
    if mailbox is not None:
        box = mailboxes.find(session, mailbox, account)
        mine = select(AliasMailbox.alias_id).where(AliasMailbox.mailbox_id == box.id)
        query = query.where(Alias.id.in_(mine))
    if search:
        query = query.where(containing(search, Alias.address, Alias.note, Alias.name))
    if limit is not None:
        query = query.limit(limit)
    return views(session, session.scalars(query.offset(offset) if offset else query).all())


def edit(
    session: Session,
    address: str,
    *,
    to: Sequence[str] | None = None,
    note: str | None = None,
    name: str | None = None,
    when_disabled: str | None = None,
) -> AliasView:
    """Change an alias; None leaves a property as it is, "" clears it. to: the mailboxes, anew.

    Raises NotFound, Refused.
    """
    alias = find(session, address)
    if to is not None:
        _deliver_to(session, alias, _mailboxes(session, to, alias.account))
    if note is not None:
        alias.note = note or None
    if name is not None:
        alias.name = name or None
    if when_disabled is not None:
        alias.when_disabled = checked_answer(when_disabled)
    session.flush()
    return view(session, alias)


def enable(session: Session, address: str) -> AliasView:
    """Undo disable. Raises NotFound."""
    return _set_state(session, address, AliasRowState.ACTIVE)


def disable(session: Session, address: str, *, when_disabled: str | None = None) -> AliasView:
    """Accept nothing for it; when_disabled (None: as it is) says what is answered. Raises NotFound."""
    if when_disabled is not None:
        edit(session, address, when_disabled=when_disabled)
    return _set_state(session, address, AliasRowState.DISABLED)


def remove(session: Session, address: str, *, now: float) -> AliasView:
    """Make it unknown to the world. Contacts and mailboxes are kept for restore. Raises NotFound."""
    alias = find(session, address)
    alias.state, alias.removed_at = AliasRowState.REMOVED.value, now
    session.flush()
    return view(session, alias)


def forget(session: Session, keys: Keyring, address: str, *, now: float) -> str:
    """Purge an alias, removed or not, with its contacts; its address as it was. Raises NotFound."""
    alias = find(session, address, removed=True)
    gone = alias.address
    purge.aliases(session, keys, Alias.id == alias.id, now=now)
    return gone


def restore(session: Session, address: str, *, to: Sequence[str] | None = None) -> AliasView:
    """Bring a removed alias back, active, with its contacts.

    to: the mailboxes, anew; needed where none of the old ones is left. Raises NotFound, Refused.
    """
    alias = find(session, address, removed=True)
    if alias.state != AliasRowState.REMOVED:
        raise Refused(f"{alias.address} isn't removed, there is nothing to restore")
    if to is not None:
        _deliver_to(session, alias, _mailboxes(session, to, alias.account))
    if not alias.mailboxes:
        raise Refused(
            f"the mailboxes of {alias.address} are gone; "
            f"name one: postmask alias restore {quote(alias.address)} --to MAILBOX"
        )
    alias.state, alias.removed_at = AliasRowState.ACTIVE.value, None
    session.flush()
    return view(session, alias)


def find(session: Session, address: str, *, removed: bool = False) -> Alias:
    """The alias's row, by its address as written or as shown.

    Raises AddressError, NotFound (also for a removed one, unless asked for).
    """
    parsed = addresses.parse_loose(address)
    alias = session.scalars(select(Alias).where(Alias.address == parsed.key)).one_or_none()
    if alias is None:
        add = f"postmask alias add {quote(str(parsed))} --to MAILBOX"
        raise NotFound(f"there is no alias {parsed}; add it: {add}")
    if alias.state == AliasRowState.REMOVED and not removed:
        restore = f"postmask alias restore {quote(str(parsed))}"
        raise NotFound(f"the alias {parsed} was removed; bring it back: {restore}")
    return alias


def _states(state: str | None) -> tuple[ColumnElement[bool], ...]:
    if state == "all":
        return ()
    if state is None:
        return (Alias.state != AliasRowState.REMOVED,)
    return (Alias.state == state,)


def _mailboxes(session: Session, to: Sequence[str], owner: Account) -> list[Mailbox]:
    boxes = {box.id: box for box in (mailboxes.find(session, text, owner.name) for text in to)}
    if not boxes:
        raise Refused("an alias needs a mailbox to deliver to: --to MAILBOX")
    return list(boxes.values())


def _deliver_to(session: Session, alias: Alias, boxes: Sequence[Mailbox]) -> None:
    session.execute(delete(AliasMailbox).where(AliasMailbox.alias_id == alias.id))
    session.execute(
        insert(AliasMailbox),
        [{"alias_id": alias.id, "mailbox_id": box.id, "account_id": alias.account_id} for box in boxes],
    )


def _set_state(session: Session, address: str, state: AliasRowState) -> AliasView:
    alias = find(session, address)
    alias.state = state.value
    session.flush()
    return view(session, alias)


def _random_name() -> str:
    """Three syllables twice and three digits: some 46 bits."""
    syllables = [secrets.choice(_CONSONANTS) + secrets.choice(_VOWELS) for _ in range(6)]
    return f"{''.join(syllables[:3])}-{''.join(syllables[3:])}{secrets.randbelow(900) + 100}"
