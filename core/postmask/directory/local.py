"""The directory together with what this node learned first: contacts, and the marks of used proofs.

A reverse alias goes out before its contact has travelled to the truth: whoever answers by it within
that time is known here already. A proof that was used here is this node's word, whatever another says.

DIAGNOSTICS
    A spool that can't be read makes the look-up Unavailable where its word was needed.
"""

from __future__ import annotations

from postmask.directory.lookup import Absent, Found, Gone, Lookup, Unavailable
from postmask.directory.records import (
    Alias,
    Contact,
    ContactRule,
    Directory,
    DkimKey,
    Domain,
    ReverseAlias,
    SenderRule,
    SpamPolicy,
)
from postmask.spool import Spool, SpoolError


class LocalDirectory:
    """A Directory: the given one, and what the spool knows beyond it. Shared by threads."""

    def __init__(self, inner: Directory, spool: Spool) -> None:
        self._inner = inner
        self._spool = spool

    def domain(self, name: str) -> Lookup[Domain]:
        return self._inner.domain(name)

    def alias(self, address: str) -> Lookup[Alias]:
        return self._inner.alias(address)

    def alias_by_id(self, alias_id: int) -> Lookup[Alias]:
        return self._inner.alias_by_id(alias_id)

    def sender_rule(self, sender: str, alias: Alias | None, domain: Domain) -> Lookup[SenderRule]:
        return self._inner.sender_rule(sender, alias, domain)

    def spam_policies(self, alias: Alias) -> Lookup[tuple[SpamPolicy, ...]]:
        return self._inner.spam_policies(alias)

    def account_addresses(self, account_id: int) -> Lookup[tuple[str, ...]]:
        return self._inner.account_addresses(account_id)

    def dkim_keys(self, domain: str) -> Lookup[tuple[DkimKey, ...]]:
        return self._inner.dkim_keys(domain)

    def replay_mark(self, mark: str, token: str) -> Lookup[bytes]:
        try:
            local = self._spool.replay_mark(mark)
        except SpoolError as error:
            return Unavailable(str(error))
        return self._inner.replay_mark(mark, token) if local is None else Found(local)

    def reverse_alias(self, token: str) -> Lookup[ReverseAlias]:
        found = self._inner.reverse_alias(token)
        if isinstance(found, Found | Gone):
            return found
        try:
            local = self._spool.contact_by_token(token)
        except SpoolError as error:
            return Unavailable(str(error))
        if local is None:
            return found
        alias = self._inner.alias_by_id(local.alias_id)
        if isinstance(alias, Absent | Unavailable):
            return alias
        return Found(ReverseAlias(token, alias.value, local.address, local.name, local.written))

    def contact(self, alias_id: int, address: str) -> Lookup[Contact]:
        found = self._inner.contact(alias_id, address)
        if not isinstance(found, Absent):
            return found  # Whether its owner blocks it isn't known here.
        try:
            local = self._spool.contact(alias_id, address)
        except SpoolError as error:
            return Unavailable(str(error))
        if local is None:
            return found
        return Found(Contact(alias_id, local.address, local.name, ContactRule.NONE, local.token, told=False))
