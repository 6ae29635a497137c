"""Reverse aliases for the addresses in a message: known ones from the directory, new ones made here.

A new contact's token is computed, not drawn: two nodes that meet a sender at once agree. Its row is
committed to the spool before anything is sent (postmask_transport.courier).

DIAGNOSTICS
    UnknownNowError: the directory can't say whether a contact exists; the caller defers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from postmask.address import Address, AddressError, parse_loose
from postmask.directory.lookup import known
from postmask.directory.records import Alias, Contact, ContactRule, Directory
from postmask.keys import Keyring
from postmask.message.mailboxes import NamedAddress
from postmask.spool import LocalContact
from postmask.tokens import reverse_local_part, reverse_token


@dataclass(frozen=True, slots=True)
class Mapped:
    """What is known of the addresses in a message.

    reverse: address key → reverse alias. tokens: address key → the token in it.
    fresh:   contacts that were met for the first time, or that the truth may not know yet. blocked,
             allowed: keys of those of whom the owner has said so.
    """

    reverse: dict[str, Address]
    tokens: dict[str, str]
    fresh: tuple[LocalContact, ...]
    blocked: frozenset[str]
    allowed: frozenset[str]


class ContactBook:
    """Finds and makes reverse aliases. Shared by threads."""

    def __init__(self, directory: Directory, keys: Keyring) -> None:
        self._directory = directory
        self._keys = keys

    def map(self, alias: Alias, wanted: Iterable[NamedAddress]) -> Mapped:
        """A reverse alias for each address. Raises UnknownNowError."""
        reverse: dict[str, Address] = {}
        tokens: dict[str, str] = {}
        fresh: list[LocalContact] = []
        ruled: dict[ContactRule, set[str]] = {rule: set() for rule in ContactRule}
        for named in wanted:
            key = named.address.key
            if key in reverse:
                continue
            contact = self.find(alias.id, key)
            token = contact.token if contact else reverse_token(self._keys, alias.id, key)
            if contact is None or not contact.told:
                fresh.append(LocalContact(token, alias.id, key, named.name, str(named.address)))
            if contact is not None:
                ruled[contact.rule].add(key)
            tokens[key] = token
            local = reverse_local_part(named.address, named.name, token)
            reverse[key] = Address(local, alias.domain)
        blocked, allowed = frozenset(ruled[ContactRule.BLOCK]), frozenset(ruled[ContactRule.ALLOW])
        return Mapped(reverse, tokens, tuple(fresh), blocked, allowed)

    def find(self, alias_id: int, key: str) -> Contact | None:
        """The contact of an alias. Raises UnknownNowError."""
        return known(self._directory.contact(alias_id, key))


def written_to(detail: str | None) -> Address | None:
    """To whom the owner writes first by "alias+user=host", by what follows the "+"; None: to nobody."""
    local, equals, host = (detail or "").rpartition("=")
    try:
        return parse_loose(f"{local}@{host}") if equals else None
    except AddressError:
        return None
