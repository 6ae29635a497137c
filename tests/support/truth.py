"""A small truth for tests: the schema, a domain, mailboxes and aliases, on either database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from postmask.clock import ManualClock
from postmask.keys import Keyring, Secret
from postmask.store import schema
from postmask.store.admin import aliases, domains, mailboxes
from postmask.store.directory import SqlDirectory
from postmask.store.engine import Use, make_engine
from postmask.store.session import transaction

KEYS = Keyring([Secret(1, "2026-01-01", bytes(range(32)))])


@dataclass(slots=True)
class Truth:
    """A database with its schema made. url: its owner's."""

    url: str
    engine: Engine
    clock: ManualClock
    asking: dict[str, Engine] = field(default_factory=dict)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """One transaction of the owner's."""
        with transaction(self.engine) as session:
            yield session

    def do(self, operation: Callable[..., object], *arguments: object, **named: object) -> object:
        """One operation of store.admin in a transaction of its own."""
        with self.session() as session:
            return operation(session, *arguments, **named)

    def directory(self, url: str | None = None, *, seconds: float = 30.0) -> SqlDirectory:
        """The directory over this database, as a program has it, but more patient: most look at what it
        answers, not how soon."""
        url = url or self.url
        if url not in self.asking:
            self.asking[url] = make_engine(url, Use.DIRECTORY)
        return SqlDirectory(self.asking[url], seconds=seconds)

    def close(self) -> None:
        """End every connection."""
        for engine in (self.engine, *self.asking.values()):
            engine.dispose()

    def furnish(self) -> None:
        """alias.test with bob@real.test and ann@real.test behind shop@alias.test (bob alone)."""
        now = self.clock.now()
        with self.session() as session:
            domains.add(session, "alias.test", "ops@real.test", now=now)
            mailboxes.add(session, KEYS, "Bob@real.test", verified=True, now=now)
            mailboxes.add(session, KEYS, "ann@real.test", verified=True, now=now)
            aliases.add(session, KEYS, "shop@alias.test", ["bob@real.test"], note="shoes", now=now)


@contextmanager
def made(url: str) -> Iterator[Truth]:
    """The schema made at this URL; the engine is closed afterwards."""
    schema.init(url, ManualClock())
    with opened(url) as truth:
        yield truth


@contextmanager
def opened(url: str) -> Iterator[Truth]:
    """The same where it has been made before."""
    truth = Truth(url, make_engine(url), ManualClock())
    try:
        yield truth
    finally:
        truth.close()
