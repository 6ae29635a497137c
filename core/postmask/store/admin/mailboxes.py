"""Real mailboxes: what they are called, how they are confirmed, who may reply as them.

A mailbox is confirmed by a code that is sent to it. The code is kept as a keyed hash; it expires
after a day and after too many wrong attempts, and a new one can be had only so often.

Whoever moves to another address goes on quoting the former one. So that replies don't show it, it stays
the account's, as a mailbox that is unconfirmed, without a code, and behind no alias: it proves nothing.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from shlex import quote

from sqlalchemy import ColumnElement, and_, delete, func, select, update
from sqlalchemy.orm import Session, joinedload

from postmask import address as addresses
from postmask import tokens
from postmask.address import Address
from postmask.keys import Keyring, Purpose
from postmask.store.admin import accounts, domains
from postmask.store.admin.mailboxviews import view, views
from postmask.store.admin.views import MailboxView
from postmask.store.errors import Duplicate, InUse, NotFound, Refused, WrongCode
from postmask.store.models import Account, Alias, AliasMailbox, Mailbox, MailboxSender
from postmask.store.vocabulary import AliasRowState

CODE_HOURS = 24
CODE_ATTEMPTS = 5
CODE_INTERVAL = 60.0
"""Seconds between two codes for a mailbox."""

_CODE_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_CODE_LENGTH = 8

_WITH_ACCOUNT = select(Mailbox).options(joinedload(Mailbox.account))


@dataclass(frozen=True, slots=True)
class Unproven:
    """A mailbox and the code to be sent to it; code None: it needs no confirmation.

    former: the address that it had, if that was confirmed and is another.
    """

    mailbox: MailboxView
    code: str | None
    former: str | None = None


def add(
    session: Session,
    keys: Keyring,
    address: str,
    *,
    account: str | None = None,
    verified: bool = False,
    login: str | None = None,
    senders: Sequence[str] = (),
    allow_spf: bool = False,
    now: float,
) -> Unproven:
    """Make a mailbox known. verified: the operator vouches for it, no code is needed.

    Raises AddressError, Duplicate, Refused (it lies in one of our own domains).
    """
    parsed = _outside(session, address)
    owner = accounts.choose(session, account)
    if _by_key(session, parsed.key, owner) is not None:
        raise Duplicate(f"{parsed} is a mailbox already; see: postmask mailbox show {quote(str(parsed))}")
    mailbox = Mailbox(
        id=tokens.random_id(),
        account=owner,
        address=parsed.key,
        written=str(parsed),
        login=login or None,
        allow_spf=allow_spf,
        created=now,
        senders=_senders(session, senders),
    )
    session.add(mailbox)
    code = _confirm_or_code(keys, mailbox, verified, now)
    session.flush()
    return Unproven(view(session, mailbox), code)


def get(session: Session, address: str, *, account: str | None = None) -> MailboxView:
    """One mailbox. Raises AddressError, NotFound, Refused (several accounts have it)."""
    return view(session, find(session, address, account))


def listing(session: Session, *, account: str | None = None) -> list[MailboxView]:
    """All mailboxes, or an account's, by address."""
    query = _WITH_ACCOUNT.order_by(Mailbox.address)
    if account is not None:
        query = query.where(Mailbox.account_id == accounts.find(session, account).id)
    return views(session, session.scalars(query).all())


def paused(session: Session) -> list[MailboxView]:
    """Those whose mail waits, by address."""
    query = _WITH_ACCOUNT.where(Mailbox.confirmed_at.is_not(None), Mailbox.paused_at.is_not(None))
    return views(session, session.scalars(query.order_by(Mailbox.address)).all())


def number(session: Session) -> int:
    """How many there are."""
    return session.scalar(select(func.count(Mailbox.id))) or 0


def edit(
    session: Session,
    keys: Keyring,
    address: str,
    *,
    account: str | None = None,
    new_address: str | None = None,
    verified: bool = False,
    login: str | None = None,
    senders: Sequence[str] | None = None,
    allow_spf: bool | None = None,
    now: float,
) -> Unproven:
    """Change a mailbox; None leaves a property as it is, "" clears the login, () the senders.

    new_address takes all its aliases along, and leaves the former one behind. It has to be confirmed
    like a new mailbox (unless `verified`); until then copies for it are held. A pause stays. Raises as
    add, and NotFound.
    """
    mailbox = find(session, address, account)
    before = (mailbox.address, mailbox.written) if mailbox.confirmed_at is not None else None
    code = former = None
    if new_address is not None:
        code = _move(session, keys, mailbox, new_address, verified, now)
        if before and before[0] != mailbox.address:
            former = before[1]
            _leave_behind(session, mailbox, *before, now=now)
    elif verified:
        _confirm(mailbox, now)
    if login is not None:
        mailbox.login = login or None
    if senders is not None:
        _set_senders(session, mailbox, senders)
    if allow_spf is not None:
        mailbox.allow_spf = allow_spf
    session.flush()
    return Unproven(view(session, mailbox), code, former)


def new_code(
    session: Session, keys: Keyring, address: str, *, account: str | None = None, now: float
) -> Unproven:
    """A fresh code for a mailbox that isn't confirmed yet; older ones are void.

    Raises Refused when it is confirmed already, or when the last code is younger than a minute.
    """
    mailbox = find(session, address, account)
    if mailbox.confirmed_at is not None:
        raise Refused(f"{mailbox.written} is confirmed already")
    wait = (mailbox.code_made or 0.0) + CODE_INTERVAL - now
    if 0 < wait <= CODE_INTERVAL:
        raise Refused(
            f"a code for {mailbox.written} was made a moment ago; "
            f"the next can be had in {math.ceil(wait)} seconds"
        )
    code = _give_code(keys, mailbox, now)
    session.flush()
    return Unproven(view(session, mailbox), code)


def verify(
    session: Session, keys: Keyring, address: str, code: str, *, account: str | None = None, now: float
) -> MailboxView:
    """Confirm a mailbox by its code; one that is confirmed already stays so.

    Raises NotFound, WrongCode (the attempt is counted), Refused (no valid code left: ask for a new one).
    """
    mailbox = find(session, address, account)
    if mailbox.confirmed_at is not None:
        return view(session, mailbox)
    again = f"have a new one sent: postmask mailbox verify {quote(mailbox.written)} --resend"
    if mailbox.code_mac is None or mailbox.code_expires is None or mailbox.code_expires <= now:
        raise Refused(f"the code for {mailbox.written} has expired; {again}")
    if mailbox.code_attempts >= CODE_ATTEMPTS:
        raise Refused(f"too many wrong codes for {mailbox.written}; {again}")
    if not keys.check(Purpose.CODE, _code_data(mailbox, code), mailbox.code_mac):
        mailbox.code_attempts += 1
        session.flush()
        left = CODE_ATTEMPTS - mailbox.code_attempts
        raise WrongCode(
            f"that is not the code for {mailbox.written}; {left} attempt{'' if left == 1 else 's'} left"
        )
    _confirm(mailbox, now)
    session.flush()
    return view(session, mailbox)


def pause(
    session: Session, address: str, *, account: str | None = None, reason: str = "by hand", now: float
) -> MailboxView:
    """Hold what would go to it, until resumed. One that is paused keeps its first reason."""
    mailbox = find(session, address, account)
    if mailbox.paused_at is None:
        mailbox.paused_at, mailbox.pause_reason = now, reason
        session.flush()
    return view(session, mailbox)


def resume(session: Session, address: str, *, account: str | None = None) -> MailboxView:
    """Undo pause, whoever did it."""
    mailbox = find(session, address, account)
    mailbox.paused_at = mailbox.pause_reason = None
    session.flush()
    return view(session, mailbox)


def remove(
    session: Session, address: str, *, account: str | None = None, with_aliases: bool = False, now: float
) -> list[str]:
    """Forget a mailbox; returns the aliases that were removed with it.

    with_aliases: aliases that deliver to it alone are removed (`alias restore --to` brings one
    back), others go on without it. Raises NotFound, InUse (aliases deliver to it).
    """
    mailbox = find(session, address, account)
    mine = _delivering_to(mailbox)
    using = _addresses(session, mine)
    if using and not with_aliases:
        raise InUse(
            f"{len(using)} alias{'es deliver' if len(using) > 1 else ' delivers'} to {mailbox.written}; "
            "change them first, or remove those that have no other mailbox with it: --with-aliases",
            using,
        )
    others = select(AliasMailbox).where(
        AliasMailbox.alias_id == Alias.id, AliasMailbox.mailbox_id != mailbox.id
    )
    alone = and_(mine, ~others.exists())
    gone = _addresses(session, alone)
    # Statements, not rows one by one: a mailbox may have 100,000 aliases, and all other writers wait.
    change = update(Alias).where(alone).values(state=AliasRowState.REMOVED.value, removed_at=now)
    session.execute(change, execution_options={"synchronize_session": False})
    session.execute(delete(AliasMailbox).where(AliasMailbox.mailbox_id == mailbox.id))
    session.expire_all()
    session.delete(mailbox)
    session.flush()
    return gone


def find(session: Session, address: str, account: str | None = None) -> Mailbox:
    """The mailbox's row, in this account or in the only one that has it.

    address: as written or as shown. Raises AddressError, NotFound, Refused.
    """
    parsed = addresses.parse_loose(address)
    owner = accounts.find(session, account) if account is not None else None
    query = select(Mailbox).where(Mailbox.address == parsed.key)
    if owner is not None:
        query = query.where(Mailbox.account_id == owner.id)
    found = session.scalars(query).all()
    if not found:
        raise NotFound(f"there is no mailbox {parsed}; add it: postmask mailbox add {quote(str(parsed))}")
    if len(found) > 1:
        names = ", ".join(sorted(mailbox.account.name for mailbox in found))
        raise Refused(f"{parsed} is a mailbox of several accounts, say which one with --account: {names}")
    return found[0]


def _outside(session: Session, text: str) -> Address:
    parsed = addresses.parse(text)
    if domains.is_ours(session, parsed.domain):
        raise Refused(
            f"{parsed} lies in {parsed.domain}, one of our own domains, which holds aliases only; "
            "give the real mailbox"
        )
    return parsed


def _by_key(session: Session, key: str, owner: Account) -> Mailbox | None:
    query = select(Mailbox).where(Mailbox.address == key, Mailbox.account_id == owner.id)
    return session.scalars(query).one_or_none()


def _senders(session: Session, texts: Sequence[str]) -> list[MailboxSender]:
    keys = sorted({_outside(session, text).key for text in texts})
    return [MailboxSender(address=key) for key in keys]


def _set_senders(session: Session, mailbox: Mailbox, texts: Sequence[str]) -> None:
    wanted = {sender.address: sender for sender in _senders(session, texts)}
    kept = [sender for sender in mailbox.senders if wanted.pop(sender.address, None) is not None]
    mailbox.senders = sorted([*kept, *wanted.values()], key=lambda sender: sender.address)


def _move(
    session: Session, keys: Keyring, mailbox: Mailbox, new_address: str, verified: bool, now: float
) -> str | None:
    parsed = _outside(session, new_address)
    if parsed.key != mailbox.address:
        standing = _by_key(session, parsed.key, mailbox.account)
        if standing is not None and _is_left_behind(session, standing):
            session.delete(standing)
            session.flush()
        elif standing is not None:
            give = f"postmask alias edit ALIAS --to {quote(str(parsed))}"
            raise Duplicate(f"{parsed} is a mailbox already; give the aliases to it: {give}")
        mailbox.address = parsed.key
        mailbox.confirmed_at = None
    mailbox.written = str(parsed)
    if mailbox.confirmed_at is not None:
        return None
    return _confirm_or_code(keys, mailbox, verified, now)


def _leave_behind(session: Session, mailbox: Mailbox, key: str, written: str, *, now: float) -> None:
    session.flush()  # its address is free
    reason = f"moved to {mailbox.written}"
    former = Mailbox(
        id=tokens.random_id(),
        account=mailbox.account,
        address=key,
        written=written,
        created=now,
        paused_at=now,
        pause_reason=reason,
    )
    session.add(former)


def _is_left_behind(session: Session, mailbox: Mailbox) -> bool:
    behind = select(AliasMailbox.alias_id).where(AliasMailbox.mailbox_id == mailbox.id)
    unconfirmed = mailbox.confirmed_at is None and mailbox.code_mac is None
    return unconfirmed and session.scalars(behind).first() is None


def _confirm_or_code(keys: Keyring, mailbox: Mailbox, verified: bool, now: float) -> str | None:
    if verified:
        _confirm(mailbox, now)
        return None
    return _give_code(keys, mailbox, now)


def _confirm(mailbox: Mailbox, now: float) -> None:
    if mailbox.confirmed_at is None:
        mailbox.confirmed_at = now
    mailbox.code_mac = mailbox.code_made = mailbox.code_expires = None
    mailbox.code_attempts = 0


def _give_code(keys: Keyring, mailbox: Mailbox, now: float) -> str:
    code = "".join(secrets.choice(_CODE_ALPHABET) for _ in range(_CODE_LENGTH))
    mailbox.code_mac = keys.mac(Purpose.CODE, _code_data(mailbox, code), 16)
    mailbox.code_made = now
    mailbox.code_expires = now + CODE_HOURS * 3600
    mailbox.code_attempts = 0
    return code


def _code_data(mailbox: Mailbox, code: str) -> bytes:
    """Bound to the address: a code sent to one address never confirms another."""
    plain = "".join(code.split()).lower()
    return f"{mailbox.id} {mailbox.address} {plain}".encode()


def _delivering_to(mailbox: Mailbox) -> ColumnElement[bool]:
    """The condition for the aliases that deliver to a mailbox, removed ones not among them."""
    links = select(AliasMailbox.alias_id).where(AliasMailbox.mailbox_id == mailbox.id)
    return and_(Alias.id.in_(links), Alias.state != AliasRowState.REMOVED)


def _addresses(session: Session, condition: ColumnElement[bool]) -> list[str]:
    return list(session.scalars(select(Alias.address).where(condition).order_by(Alias.address)))
