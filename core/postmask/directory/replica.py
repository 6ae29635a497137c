"""The directory of a node whose truth is on Postgres: its own replica first, the truth for the rest.

What the replica knows is answered from it, whatever has become of the truth. What it doesn't know
may be new: that is asked of the truth, and while nobody can say, it is unavailable, never absent.
What belongs to an alias (its contacts, the rules, policies and addresses of its account) is taken from where
the alias was found: a contact that the replica of a known alias lacks is one that nobody has met.

DIAGNOSTICS
    Nothing is raised. Without a replica, or with a damaged one, everything is asked of the truth; a
    damaged file is made known to the agent, which makes another.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from postmask.clock import Clock
from postmask.directory.lookup import Absent, Found, Lookup, Unavailable
from postmask.directory.records import (
    Alias,
    Contact,
    Directory,
    DkimKey,
    Domain,
    ReverseAlias,
    SenderRule,
    SpamPolicy,
)
from postmask.directory.truth import Asker
from postmask.store.directory import SqlDirectory
from postmask.store.engine import Use, make_engine
from postmask.store.replica.folder import Folder, Stamp

T = TypeVar("T")

LOOK_SECONDS = 0.2
"""How long a pointer is taken to be what it was."""

_AHEAD_SECONDS = 30.0
"""Longer than a message is in hand: all that is asked for it is asked of the same side."""

_AHEAD_MOST = 10_000
_COMPLAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Open:
    """A replica that is read."""

    path: Path
    directory: SqlDirectory


class Replica:
    """The replica that the pointer names, whichever that is just now. Shared by threads.

    meanwhile: what is asked until there is a first one.
    """

    def __init__(self, folder: Folder, clock: Clock, meanwhile: SqlDirectory | None = None) -> None:
        self._folder = folder
        self._clock = clock
        self._meanwhile = meanwhile
        self._lock = threading.Lock()
        self._stamp: Stamp | None = None
        self._open: _Open | None = None
        self._look_at = float("-inf")
        self._complain_at = float("-inf")

    def ask(self, question: Callable[[Directory], Lookup[T]]) -> Found[T] | Absent | None:
        """The replica's answer; None: there is no replica that could say."""
        current = self._current()
        if current is None:
            meanwhile = self._meanwhile
            answer = question(meanwhile) if meanwhile else None
            return None if isinstance(answer, Unavailable) else answer
        answer = question(current.directory)
        if isinstance(answer, Unavailable):
            self._complain(current)
            return None
        return answer

    def _current(self) -> _Open | None:
        if self._clock.monotonic() >= self._look_at:
            with self._lock:
                self._look()
        return self._open

    def _look(self) -> None:
        now = self._clock.monotonic()
        if now < self._look_at:
            return
        stamp = self._folder.stamp()
        if stamp != self._stamp:
            path = self._folder.current()
            before, self._open = self._open, self._opened(path) if path else None
            # One that is there and can't be read just now (no descriptor is free, say) is looked at again.
            self._stamp = stamp if path else None
            if before is not None:
                before.directory.close()
            if self._open is not None and self._meanwhile is not None:
                self._meanwhile.close()
                self._meanwhile = None
        self._look_at = now + LOOK_SECONDS

    def _opened(self, path: Path) -> _Open:
        return _Open(path, SqlDirectory(make_engine(f"sqlite:///{path}", Use.DIRECTORY), self._clock))

    def _complain(self, replica: _Open) -> None:
        """Tell the agent, whose affair it is to find out what is wrong."""
        now = self._clock.monotonic()
        if now >= self._complain_at:
            self._complain_at = now + _COMPLAIN_SECONDS
            self._folder.complain(replica.path)


class ReplicaDirectory:
    """A Directory: the replica, and the truth for what it lacks. Shared by threads."""

    def __init__(self, replica: Replica, truth: Directory, asker: Asker, clock: Clock) -> None:
        self._replica = replica
        self._truth = truth
        self._asker = asker
        self._clock = clock
        self._ahead: dict[int, float] = {}

    def domain(self, name: str) -> Lookup[Domain]:
        return self._either(("domain", name), lambda one: one.domain(name))

    def alias(self, address: str) -> Lookup[Alias]:
        return self._alias(("alias", address), lambda one: one.alias(address))

    def alias_by_id(self, alias_id: int) -> Lookup[Alias]:
        return self._alias(("alias", alias_id), lambda one: one.alias_by_id(alias_id))

    def reverse_alias(self, token: str) -> Lookup[ReverseAlias]:
        found = self._replica.ask(lambda one: one.reverse_alias(token))
        if isinstance(found, Found):
            return found
        answer = self._ask_truth(("reverse alias", token), lambda one: one.reverse_alias(token))
        if isinstance(answer, Found):
            self._note(answer.value.alias)
        return answer

    def contact(self, alias_id: int, address: str) -> Lookup[Contact]:
        key = ("contact", alias_id, address)
        return self._beside(alias_id, key, lambda one: one.contact(alias_id, address))

    def sender_rule(self, sender: str, alias: Alias | None, domain: Domain) -> Lookup[SenderRule]:
        alias_id = alias.id if alias else 0
        key = ("sender rule", sender, alias_id, domain.id)
        return self._beside(alias_id, key, lambda one: one.sender_rule(sender, alias, domain))

    def spam_policies(self, alias: Alias) -> Lookup[tuple[SpamPolicy, ...]]:
        key = ("spam policies", alias.id)
        return self._beside(alias.id, key, lambda one: one.spam_policies(alias))

    def account_addresses(self, account_id: int) -> Lookup[tuple[str, ...]]:
        key = ("addresses", account_id)
        return self._beside(account_id, key, lambda one: one.account_addresses(account_id))

    def dkim_keys(self, domain: str) -> Lookup[tuple[DkimKey, ...]]:
        if isinstance(self._replica.ask(lambda one: one.domain(domain)), Found):
            found = self._replica.ask(lambda one: one.dkim_keys(domain))
            if found is not None:
                return found
        return self._ask_truth(("keys", domain), lambda one: one.dkim_keys(domain))

    def replay_mark(self, mark: str, token: str) -> Lookup[bytes]:
        found = self._replica.ask(lambda one: one.replay_mark(mark, token))
        if found is not None:
            return found
        return self._ask_truth(("replay mark", mark, token), lambda one: one.replay_mark(mark, token))

    def _either(self, key: Hashable, question: Callable[[Directory], Lookup[T]]) -> Lookup[T]:
        """Found here; else what the truth says."""
        found = self._replica.ask(question)
        return found if isinstance(found, Found) else self._ask_truth(key, question)

    def _alias(self, key: Hashable, question: Callable[[Directory], Lookup[Alias]]) -> Lookup[Alias]:
        found = self._replica.ask(question)
        if isinstance(found, Found):
            return found
        answer = self._ask_truth(key, question)
        if isinstance(answer, Found):
            self._note(answer.value)
        return answer

    def _beside(self, owner: int, key: Hashable, question: Callable[[Directory], Lookup[T]]) -> Lookup[T]:
        """From where the owner, an alias or account, was found; here also what is absent."""
        if self._clock.monotonic() >= self._ahead.get(owner, float("-inf")):
            found = self._replica.ask(question)
            if found is not None:
                return found
        return self._ask_truth(key, question)

    def _note(self, alias: Alias) -> None:
        """The replica doesn't have it yet."""
        if len(self._ahead) >= _AHEAD_MOST:
            self._ahead.clear()
        until = self._clock.monotonic() + _AHEAD_SECONDS
        self._ahead[alias.id] = self._ahead[alias.account_id] = until

    def _ask_truth(self, key: Hashable, question: Callable[[Directory], Lookup[T]]) -> Lookup[T]:
        return self._asker.ask(key, lambda: question(self._truth))
