"""A directory in memory, for what is tested without a database: rows in, look-ups out."""

from __future__ import annotations

from dataclasses import dataclass, field

from postmask.directory.lookup import ABSENT, Found, Lookup, Unavailable
from postmask.directory.records import (
    Alias,
    AliasState,
    Contact,
    DkimKey,
    Domain,
    Mailbox,
    MailboxState,
    ReverseAlias,
    SenderRule,
    SpamPolicy,
    WhenDisabled,
)


def mailbox(address: str = "me@real.test", **changes: object) -> Mailbox:
    """A mailbox row; active unless told otherwise."""
    row = {"id": 5, "account_id": 1, "address": address, "state": MailboxState.ACTIVE, **changes}
    return Mailbox(**row)  # type: ignore[arg-type]


def alias(address: str = "shop@alias.test", **changes: object) -> Alias:
    """An alias row; active and with one mailbox unless told otherwise."""
    row = {
        "id": 7,
        "account_id": 1,
        "address": address,
        "domain": address.rpartition("@")[2],
        "state": AliasState.ACTIVE,
        "when_disabled": WhenDisabled.REJECT,
        "name": None,
        "mailboxes": (mailbox(),),
        **changes,
    }
    return Alias(**row)  # type: ignore[arg-type]


@dataclass
class MemoryDirectory:
    """Every row is what the test puts there. broken: a reason that every look-up then answers with."""

    domains: dict[str, Domain] = field(default_factory=dict)
    aliases: dict[str, Alias] = field(default_factory=dict)
    reverse_aliases: dict[str, ReverseAlias] = field(default_factory=dict)
    marks: dict[tuple[str, str], bytes] = field(default_factory=dict)
    contacts: dict[tuple[int, str], Contact] = field(default_factory=dict)
    rules: dict[str, SenderRule] = field(default_factory=dict)
    policies: tuple[SpamPolicy, ...] | None = None
    keys: dict[str, tuple[DkimKey, ...]] = field(default_factory=dict)
    addresses: tuple[str, ...] = ("me@real.test",)
    broken: str = ""
    asked: list[str] = field(default_factory=list)

    def with_domain(self, name: str = "alias.test") -> MemoryDirectory:
        """The same directory, with a domain more."""
        self.domains[name] = Domain(3, name, 1, "postmaster@real.test")
        return self

    def domain(self, name: str) -> Lookup[Domain]:
        return self._look("domain", self.domains.get(name))

    def alias(self, address: str) -> Lookup[Alias]:
        return self._look("alias", self.aliases.get(address))

    def alias_by_id(self, alias_id: int) -> Lookup[Alias]:
        return self._look("alias_by_id", next((a for a in self.aliases.values() if a.id == alias_id), None))

    def reverse_alias(self, token: str) -> Lookup[ReverseAlias]:
        return self._look("reverse_alias", self.reverse_aliases.get(token))

    def contact(self, alias_id: int, address: str) -> Lookup[Contact]:
        return self._look("contact", self.contacts.get((alias_id, address)))

    def sender_rule(self, sender: str, alias: Alias | None, domain: Domain) -> Lookup[SenderRule]:
        return self._look("sender_rule", self.rules.get(sender))

    def spam_policies(self, alias: Alias) -> Lookup[tuple[SpamPolicy, ...]]:
        return self._look("spam_policies", self.policies)

    def account_addresses(self, account_id: int) -> Lookup[tuple[str, ...]]:
        return self._look("account_addresses", self.addresses)

    def dkim_keys(self, domain: str) -> Lookup[tuple[DkimKey, ...]]:
        return self._look("dkim_keys", self.keys.get(domain))

    def replay_mark(self, mark: str, token: str) -> Lookup[bytes]:
        return self._look("replay_mark", self.marks.get((mark, token)))

    def _look(self, what: str, value: object) -> Lookup:  # type: ignore[type-arg]
        self.asked.append(what)
        if self.broken:
            return Unavailable(self.broken)
        return ABSENT if value is None else Found(value)
