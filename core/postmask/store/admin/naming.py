"""What may become an alias, and under which id.

An alias's id is a keyed hash of its address (the next attempt's on a clash), so that a restored
database and a re-made alias agree on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote

from sqlalchemy import select
from sqlalchemy.orm import Session

from postmask import tokens
from postmask.address import Address
from postmask.directory.records import WhenDisabled
from postmask.display import printable
from postmask.keys import Keyring
from postmask.store.admin import purge
from postmask.store.batches import batched
from postmask.store.errors import Duplicate, Refused, StoreError
from postmask.store.models import Alias, PurgedAlias
from postmask.store.vocabulary import AliasRowState

_ATTEMPTS = 64


def check_local_part(address: Address) -> None:
    """Raises Refused for what reaches somebody else by its shape, and never an alias."""
    if tokens.is_reserved(address.local):
        raise Refused(
            f"{address} is reserved: postmaster and abuse go where the domain says, and the shapes of "
            "reverse aliases and bounce addresses are our own; choose another name"
        )


def checked_answer(text: str) -> str:
    """What a disabled alias answers, if it is one of the answers. Raises Refused."""
    if text not in set(WhenDisabled):
        raise Refused(
            f'"{printable(text, 40)}" is no answer of a disabled alias; use {", ".join(WhenDisabled)}'
        )
    return str(text)


class Namer:
    """Gives ids to new addresses. Addresses are in normal form."""

    def __init__(self, session: Session, keys: Keyring) -> None:
        self._session = session
        self._keys = keys

    def free_ids(self, addresses: Sequence[str], account_id: int) -> dict[str, int]:
        """An id for each address. Raises Duplicate, Refused when one is taken or was another's.

        One that was purged gets a new one: by the old the nodes' spools know its contacts, and would tell
        nobody of them.
        """
        self._refuse_taken(addresses, account_id)
        buried = purge.buried_for(self._session, self._keys, addresses)
        for address, owner in buried.items():
            if owner != account_id:
                raise Refused(
                    f"{address} belonged to another account once and is not given out again; choose another"
                )
        again = {address: tokens.random_id() for address in buried}
        return again | self._ids([address for address in addresses if address not in again])

    def _refuse_taken(self, addresses: Sequence[str], account_id: int) -> None:
        for some in batched(addresses):
            query = select(Alias.address, Alias.state, Alias.account_id).where(Alias.address.in_(some))
            for row in self._session.execute(query):
                raise _taken(row.address, row.state, row.account_id == account_id)

    def _ids(self, addresses: Sequence[str]) -> dict[str, int]:
        chosen: dict[str, int] = {}
        open_ones = list(addresses)
        for attempt in range(_ATTEMPTS):
            wanted = {address: tokens.alias_id(self._keys, address, attempt) for address in open_ones}
            used = self._used(list(wanted.values())) | set(chosen.values())
            open_ones = []
            for address, number in wanted.items():
                if number in used:
                    open_ones.append(address)
                else:
                    used.add(number)
                    chosen[address] = number
            if not open_ones:
                return chosen
        raise StoreError(f"no free id was found for {open_ones[0]}")

    def _used(self, ids: Sequence[int]) -> set[int]:
        used: set[int] = set()
        for some in batched(ids):
            for table in (Alias, PurgedAlias):
                used.update(self._session.scalars(select(table.id).where(table.id.in_(some))))
        return used


def _taken(address: str, state: str, same_account: bool) -> StoreError:
    if state != AliasRowState.REMOVED:
        return Duplicate(f"{address} is an alias already; see: postmask alias show {quote(address)}")
    if same_account:
        return Refused(
            f"{address} was removed, not forgotten; bring it back: postmask alias restore {quote(address)}"
        )
    return Refused(
        f"{address} belongs to another account, which removed it; it is not given out again, "
        f"that account alone can have it back: postmask alias restore {quote(address)}"
    )
