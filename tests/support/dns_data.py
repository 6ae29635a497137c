"""The DNS as data, for tests that need no server (see nameserver.py for a real one)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TypeVar

from postmask.clock import Deadline
from postmask.directory.lookup import ABSENT, Found, Lookup, Unavailable

T = TypeVar("T")


@dataclass
class DnsData:
    """postmask.auth.dns.Dns over dictionaries. Names in lower case without the final dot.

    aliases: names that are other names (CNAME): for alias() alone, nothing follows them.
    empty:   names that exist without any record of these types.
    failing: names for which there is no answer. asked: every name that was asked for.
    """

    txts: dict[str, list[bytes]] = field(default_factory=dict)
    hosts: dict[str, list[str]] = field(default_factory=dict)
    mx: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    pointers: dict[str, list[str]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    empty: set[str] = field(default_factory=set)
    failing: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def txt(self, name: str, deadline: Deadline) -> Lookup[tuple[bytes, ...]]:
        return self._answer(self.txts, name)

    def addresses(self, name: str, deadline: Deadline, *, ipv6: bool = False) -> Lookup[tuple[str, ...]]:
        found = self._answer(self.hosts, name)
        if not isinstance(found, Found):
            return found
        version = 6 if ipv6 else 4
        values = tuple(value for value in found.value if ipaddress.ip_address(value).version == version)
        return Found(values) if values else ABSENT

    def exchanges(self, name: str, deadline: Deadline) -> Lookup[tuple[tuple[int, str], ...]]:
        return self._answer(self.mx, name)

    def names(self, address: str, deadline: Deadline) -> Lookup[tuple[str, ...]]:
        return self._answer(self.pointers, address)

    def alias(self, name: str, deadline: Deadline) -> Lookup[str]:
        found = self._answer({key: [value] for key, value in self.aliases.items()}, name)
        return Found(found.value[0]) if isinstance(found, Found) else found

    def exists(self, name: str, deadline: Deadline) -> Lookup[None]:
        known = {*self.txts, *self.hosts, *self.mx, *self.empty}
        found = self._answer({name: [None] for name in known}, name)
        return Found(None) if isinstance(found, Found) else found

    def _answer(self, records: dict[str, list[T]], name: str) -> Lookup[tuple[T, ...]]:
        key = name.lower().removesuffix(".")
        self.asked.append(key)
        if key in self.failing:
            return Unavailable("DNS did not answer")
        return Found(tuple(records[key])) if records.get(key) else ABSENT
