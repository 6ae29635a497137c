"""The directory of a node through a move of the database: the one that the configuration names.

When the configuration file names another database, and that one says that it is in use, all look-ups go
there, without a restart. Until then what the old one knows stays good. What it lacks may be new in the
other one: a database that was moved away is not believed that something is absent.

From SQLite to Postgres the old file serves as this node's replica until the agent has made the first.

DIAGNOSTICS
    Nothing is raised. Why another database isn't taken up yet is logged, once for each reason.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TypeVar

from postmask.clock import Clock
from postmask.config import Settings
from postmask.config.watching import DatabaseWatch
from postmask.daemon import begin, lasting
from postmask.directory.lookup import Absent, Lookup, Unavailable
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
from postmask.directory.replica import Replica, ReplicaDirectory
from postmask.directory.truth import Asker
from postmask.log import line
from postmask.store.directory import SqlDirectory
from postmask.store.engine import Use, make_engine
from postmask.store.errors import StoreError
from postmask.store.replica.folder import Folder

T = TypeVar("T")

_log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often the configuration file is looked at."""

BELIEVED_SECONDS = 0.3
"""How long a database is taken to be still in use. With the memory of what is absent, within a second."""


class _Serving:
    """One database's turn. directory: what is asked, which may answer from a replica; truth: itself."""

    def __init__(self, directory: Directory, truth: SqlDirectory, clock: Clock) -> None:
        self.directory = directory
        self.truth = truth
        self._clock = clock
        self._lock = threading.Lock()
        self._believed_until = float("-inf")

    def believed(self, answer: Lookup[T]) -> Lookup[T]:
        """A contact, rule or mark that isn't there is none; an address may be new elsewhere."""
        if not isinstance(answer, Absent):
            return answer
        with self._lock:
            if self._clock.monotonic() < self._believed_until:
                return answer
            now = self._clock.monotonic()
            trouble = self.truth.trouble()
            if trouble:
                return Unavailable(trouble)
            self._believed_until = now + BELIEVED_SECONDS
            return answer


class Succession:
    """A Directory: SQLite itself, or with Postgres the node's replica and Postgres for what that lacks.

    Shared by threads.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Raises StoreError for a URL that can't be used."""
        self._clock = clock
        self._watch = DatabaseWatch(settings)
        self._trouble = ""
        self._replica: Replica | None = None
        self._serving = self._opened(settings, _truth(settings, clock), None)
        # In nobody's way, and also while nobody asks.
        begin(lasting("succession", self._follow))

    def domain(self, name: str) -> Lookup[Domain]:
        serving = self._serving
        return serving.believed(serving.directory.domain(name))

    def alias(self, address: str) -> Lookup[Alias]:
        serving = self._serving
        return serving.believed(serving.directory.alias(address))

    def alias_by_id(self, alias_id: int) -> Lookup[Alias]:
        serving = self._serving
        return serving.believed(serving.directory.alias_by_id(alias_id))

    def reverse_alias(self, token: str) -> Lookup[ReverseAlias]:
        serving = self._serving
        return serving.believed(serving.directory.reverse_alias(token))

    def contact(self, alias_id: int, address: str) -> Lookup[Contact]:
        return self._serving.directory.contact(alias_id, address)

    def sender_rule(self, sender: str, alias: Alias | None, domain: Domain) -> Lookup[SenderRule]:
        return self._serving.directory.sender_rule(sender, alias, domain)

    def spam_policies(self, alias: Alias) -> Lookup[tuple[SpamPolicy, ...]]:
        return self._serving.directory.spam_policies(alias)

    def account_addresses(self, account_id: int) -> Lookup[tuple[str, ...]]:
        return self._serving.directory.account_addresses(account_id)

    def dkim_keys(self, domain: str) -> Lookup[tuple[DkimKey, ...]]:
        return self._serving.directory.dkim_keys(domain)

    def replay_mark(self, mark: str, token: str) -> Lookup[bytes]:
        return self._serving.directory.replay_mark(mark, token)

    def _follow(self) -> None:
        """To the end of the program."""
        while True:
            time.sleep(LOOK_SECONDS)
            other = self._watch.look()
            trouble = self._taken_up(other) if other is not None else ""
            if trouble and trouble != self._trouble:
                line(_log, logging.ERROR, "directory.waits", reason=trouble)
            self._trouble = trouble

    def _taken_up(self, settings: Settings) -> str:
        """Ask that one from now on; why not yet, else ""."""
        try:
            truth = _truth(settings, self._clock)
        except StoreError as error:
            return str(error)
        if trouble := truth.trouble():
            truth.close()
            return trouble
        before, self._serving = self._serving, self._opened(settings, truth, self._serving.truth)
        self._watch.settle(settings)
        line(_log, logging.WARNING, "directory.moved", file=str(settings.file))
        if before.truth.remote:
            before.truth.close()
        return ""

    def _opened(self, settings: Settings, truth: SqlDirectory, before: SqlDirectory | None) -> _Serving:
        """before: the truth until now, of which an SQLite file is as good as a replica."""
        if not truth.remote:
            return _Serving(truth, truth, self._clock)
        if self._replica is None:
            self._replica = Replica(Folder(settings.replica.directory), self._clock, meanwhile=before)
        directory = ReplicaDirectory(self._replica, truth, Asker(self._clock), self._clock)
        return _Serving(directory, truth, self._clock)


def _truth(settings: Settings, clock: Clock) -> SqlDirectory:
    return SqlDirectory(make_engine(settings.database.url, Use.DIRECTORY), clock)
