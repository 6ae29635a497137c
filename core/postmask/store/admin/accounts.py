"""Accounts: the owners of mailboxes and aliases."""

from __future__ import annotations

from sqlalchemy import Select, delete, select
from sqlalchemy.orm import Session

from postmask import tokens
from postmask.keys import Keyring
from postmask.store.admin import purge
from postmask.store.admin.views import AccountView
from postmask.store.errors import Duplicate, InUse, NotFound, Refused
from postmask.store.models import Account, Alias, Domain, Mailbox
from postmask.store.vocabulary import AliasRowState

_NAME_LIMIT = 100


def add(session: Session, name: str, *, now: float) -> AccountView:
    """Make an account. Raises Duplicate, Refused (unusable name)."""
    name = _checked_name(session, name)
    account = Account(id=tokens.random_id(), name=name, created=now)
    session.add(account)
    session.flush()
    return _view(account)


def get(session: Session, name: str) -> AccountView:
    """One account. Raises NotFound."""
    return _view(find(session, name))


def listing(session: Session) -> list[AccountView]:
    """All accounts, by name."""
    return [_view(account) for account in session.scalars(select(Account).order_by(Account.name))]


def edit(session: Session, name: str, *, new_name: str) -> AccountView:
    """Rename an account. Raises NotFound, Duplicate, Refused."""
    account = find(session, name)
    if new_name != account.name:
        account.name = _checked_name(session, new_name)
        session.flush()
    return _view(account)


def disable(session: Session, name: str, *, now: float) -> AccountView:
    """Make every alias of the account answer as if it were disabled, each in its own way."""
    account = find(session, name)
    if account.disabled_at is None:
        account.disabled_at = now
        session.flush()
    return _view(account)


def enable(session: Session, name: str) -> AccountView:
    """Undo disable."""
    account = find(session, name)
    account.disabled_at = None
    session.flush()
    return _view(account)


def remove(
    session: Session, keys: Keyring, name: str, *, with_all: bool = False, now: float
) -> tuple[list[str], list[str]]:
    """Forget an account; returns the mailboxes and the aliases that went with it.

    with_all: its mailboxes go with it, and its aliases are purged, contacts and all: a tombstone keeps
    each address from being given to anybody. Raises NotFound, InUse (it has some, or looks after a domain).
    """
    account = _removable(session, name)
    boxes = _all(session, select(Mailbox.written).where(Mailbox.account_id == account.id))
    mine = Alias.account_id == account.id
    present = _all(session, select(Alias.address).where(mine, Alias.state != AliasRowState.REMOVED))
    if (boxes or present) and not with_all:
        raise InUse(
            f"{account.name} has mailboxes or aliases; remove them first, or all with it: --with-all",
            [*(f"mailbox {one}" for one in boxes), *(f"alias {one}" for one in present)],
        )
    purge.aliases(session, keys, mine, now=now)
    session.execute(delete(Mailbox).where(Mailbox.account_id == account.id))
    session.delete(account)
    session.flush()
    return boxes, present


def purge_piece(session: Session, keys: Keyring, name: str, now: float) -> list[str] | None:
    """Purge some of the aliases of a large account, before remove() does the rest; those that there were.

    None: there are few enough to go with it. Raises NotFound, InUse (it looks after a domain).
    """
    return purge.piece(session, keys, Alias.account_id == _removable(session, name).id, now=now)


def find(session: Session, name: str) -> Account:
    """The account's row. Raises NotFound."""
    account = session.scalars(select(Account).where(Account.name == name)).one_or_none()
    if account is None:
        raise NotFound(f'there is no account "{name}"; see: postmask account list')
    return account


def choose(session: Session, name: str | None) -> Account:
    """The account of this name; without a name the only one. Raises Refused where there are several."""
    if name is not None:
        return find(session, name)
    accounts = session.scalars(select(Account).order_by(Account.name).limit(20)).all()
    if len(accounts) == 1:
        return accounts[0]
    if not accounts:
        raise NotFound("there is no account yet; make one: postmask account add NAME")
    names = ", ".join(account.name for account in accounts)
    raise Refused(f"there are several accounts, say which one with --account: {names}")


def _removable(session: Session, name: str) -> Account:
    account = find(session, name)
    looked_after = _all(session, select(Domain.name).where(Domain.account_id == account.id))
    if looked_after:
        raise InUse(
            f"{account.name} looks after {len(looked_after)} domain{'s' if len(looked_after) > 1 else ''}; "
            "give them to another account: postmask domain edit DOMAIN --account NAME",
            looked_after,
        )
    return account


def _all(session: Session, query: Select[str]) -> list[str]:
    return sorted(session.scalars(query))


def _checked_name(session: Session, name: str) -> str:
    name = name.strip()
    if not name or len(name) > _NAME_LIMIT or not name.isprintable():
        raise Refused(f"an account's name is 1 to {_NAME_LIMIT} printable characters; choose another")
    if session.scalars(select(Account.id).where(Account.name == name)).first() is not None:
        raise Duplicate(f'there is an account "{name}" already; choose another name')
    return name


def _view(account: Account) -> AccountView:
    return AccountView(
        id=account.id,
        name=account.name,
        state=account.state,
        created=account.created,
        disabled_at=account.disabled_at,
    )
