"""Contacts of an alias, and the reverse aliases by which the owner writes to them."""

from __future__ import annotations

from shlex import join

from sqlalchemy import select
from sqlalchemy.orm import Session, contains_eager

from postmask import address as addresses
from postmask import tokens
from postmask.directory.records import BlockAction, ContactRule
from postmask.keys import Keyring
from postmask.store.admin import accounts, aliases, domains
from postmask.store.admin.searching import containing
from postmask.store.admin.views import ContactView
from postmask.store.errors import Duplicate, NotFound, Refused
from postmask.store.models import Alias, Contact, ReverseAlias

_PIECE = 5_000
"""Contacts that are fetched at once."""


def add(
    session: Session, keys: Keyring, alias: str, address: str, *, name: str | None = None, now: float
) -> ContactView:
    """Make a contact, so that the owner can write first: `reverse_alias` is where to.

    Raises AddressError, NotFound (the alias), Duplicate, Refused (it is an address of our own).
    """
    owner = aliases.find(session, alias)
    parsed = addresses.parse(address)
    if domains.is_ours(session, parsed.domain):
        raise Refused(f"{parsed} is an address of our own; a contact is somebody else")
    if _by_key(session, owner, parsed.key) is not None:
        raise Duplicate(
            f"{parsed} is a contact of {owner.address} already; "
            f"see: {join(['postmask', 'contact', 'show', owner.address, str(parsed)])}"
        )
    contact = Contact(
        id=tokens.random_id(),
        alias=owner,
        address=parsed.key,
        written=str(parsed),
        name=name or None,
        token=tokens.reverse_token(keys, owner.id, parsed.key),
        created=now,
    )
    session.add(contact)
    session.flush()
    _add_reverse_alias(session, contact, now)
    return _view(contact)


def get(session: Session, alias: str, address: str) -> ContactView:
    """One contact. Raises AddressError, NotFound."""
    return _view(_find(session, alias, address))


def listing(
    session: Session,
    *,
    alias: str | None = None,
    account: str | None = None,
    rule: str | None = None,
    search: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[ContactView]:
    """Contacts by alias and address. rule: "none", "allow" or "block". search: in address or name."""
    query = select(Contact).join(Contact.alias).options(contains_eager(Contact.alias))
    query = query.order_by(Alias.address, Contact.address)
    if alias is not None:
        query = query.where(Contact.alias_id == aliases.find(session, alias, removed=True).id)
    if account is not None:
        query = query.where(Alias.account_id == accounts.find(session, account).id)
    if rule is not None:
        query = query.where(Contact.rule == rule)
    if search:
        query = query.where(containing(search, Contact.address, Contact.name))
    if limit is not None:
        query = query.limit(limit)
    if offset:
        query = query.offset(offset)
    # In pieces: Postgres ends a transaction in which it is asked nothing while we word a million.
    return [_view(contact) for contact in session.scalars(query.execution_options(yield_per=_PIECE))]


def allow(session: Session, alias: str, address: str) -> ContactView:
    """Let mail from this contact through whatever the blocks say. Raises NotFound."""
    return _rule(session, alias, address, ContactRule.ALLOW)


def block(
    session: Session, alias: str, address: str, *, action: BlockAction = BlockAction.REJECT
) -> ContactView:
    """Take no more mail from this contact. Raises NotFound."""
    return _rule(session, alias, address, ContactRule.BLOCK, action)


def unblock(session: Session, alias: str, address: str) -> ContactView:
    """Undo block and allow. Raises NotFound."""
    return _rule(session, alias, address, ContactRule.NONE)


def replace(session: Session, keys: Keyring, alias: str, address: str, *, now: float) -> ContactView:
    """Give the contact a new reverse alias from now on; those given out before stay good.

    Raises NotFound.
    """
    contact = _find(session, alias, address)
    contact.replacement += 1
    contact.token = tokens.reverse_token(keys, contact.alias_id, contact.address, contact.replacement)
    session.flush()
    _add_reverse_alias(session, contact, now)
    return _view(contact)


def _find(session: Session, alias: str, address: str) -> Contact:
    owner = aliases.find(session, alias)
    parsed = addresses.parse_loose(address)
    contact = _by_key(session, owner, parsed.key)
    if contact is None:
        raise NotFound(
            f"{parsed} is no contact of {owner.address}; "
            f"add it: {join(['postmask', 'contact', 'add', owner.address, str(parsed)])}"
        )
    return contact


def _by_key(session: Session, alias: Alias, key: str) -> Contact | None:
    query = select(Contact).where(Contact.alias_id == alias.id, Contact.address == key)
    return session.scalars(query).one_or_none()


def _add_reverse_alias(session: Session, contact: Contact, now: float) -> None:
    """The row may be there: made by a node that met the contact before the truth knew it."""
    if session.get(ReverseAlias, contact.token) is None:
        session.add(ReverseAlias(token=contact.token, contact_id=contact.id, created=now))
        session.flush()


def _rule(
    session: Session,
    alias: str,
    address: str,
    rule: ContactRule,
    action: BlockAction = BlockAction.REJECT,
) -> ContactView:
    contact = _find(session, alias, address)
    contact.rule = rule.value
    contact.block_action = action.value
    session.flush()
    return _view(contact)


def _view(contact: Contact) -> ContactView:
    parsed = addresses.parse_loose(contact.written)
    local = tokens.reverse_local_part(parsed, contact.name, contact.token)
    return ContactView(
        id=contact.id,
        alias=contact.alias.address,
        address=contact.address,
        written=contact.written,
        name=contact.name,
        rule=contact.rule,
        block_action=contact.block_action,
        token=contact.token,
        reverse_alias=f"{local}@{contact.alias.domain}",
        created=contact.created,
    )
