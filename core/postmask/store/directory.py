"""Look-ups in the truth, for the programs in a message's way.

One statement a look-up, written once and compiled once, on a pool of read-only connections.

DIAGNOSTICS
    Nothing is ever raised. Whatever keeps the database from answering (stopped, hung, wrong
    password, no schema, locked, damaged) is Unavailable with the reason, within the time limit. A
    connection that broke since its last use is replaced once before giving up. After a failure on
    Postgres the next second's look-ups are answered at once, without another wait. A Postgres that is
    being restored, or whose schema this program doesn't know, is never believed that something is absent,
    or gone.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Mapping
from typing import TypeVar, cast

from sqlalchemy import Engine, Executable, PoolProxiedConnection, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.sql.selectable import SelectBase

from postmask.clock import Clock, SystemClock
from postmask.directory.lookup import ABSENT, Found, Gone, Lookup, Unavailable
from postmask.directory.records import (
    Alias,
    Contact,
    DkimKey,
    Domain,
    ReverseAlias,
    SenderRule,
    SpamPolicy,
)
from postmask.fault import fault
from postmask.store import fitness, reading, waiting, whereabouts
from postmask.store.engine import LOOKUP_SECONDS, explain, lacks_table
from postmask.store.errors import StoreUnavailable
from postmask.store.prepared import Prepared

T = TypeVar("T")

_FITNESS = text(fitness.QUESTION)

REST_SECONDS = 1.0
"""How long Postgres is left alone after a failure."""


class SqlDirectory:
    """The directory, straight from the database. May be used by many threads at once."""

    def __init__(self, engine: Engine, clock: Clock | None = None, seconds: float = LOOKUP_SECONDS) -> None:
        """engine: made for Use.DIRECTORY. seconds: what one look-up may take.

        remote: not a file on this machine.
        """
        self._engine = engine
        self._clock = clock or SystemClock()
        self._seconds = seconds
        self.remote = engine.dialect.name != "sqlite"
        self._idle: deque[PoolProxiedConnection] = deque()
        self._prepared: dict[Executable, Prepared] = {}
        self._resting_until = float("-inf")
        self._last_reason = ""
        self._closed = False

    def close(self) -> None:
        """Let go of the database; look-ups under way are finished first, by whoever asked."""
        self._closed = True
        while self._idle:
            self._idle.pop().invalidate()
        self._engine.dispose()

    def trouble(self) -> str:
        """Why this isn't the database in use, or can't be asked whether it is; "" if it is."""
        if self.remote and self._clock.monotonic() < self._resting_until:
            return self._last_reason
        try:
            with waiting.time_limit(self._seconds), self._engine.connect() as connection:
                return whereabouts.of(connection).trouble()
        except Exception as error:  # noqa: BLE001 (whatever it is: it is not "no")
            return self._failed(error).reason

    def domain(self, name: str) -> Lookup[Domain]:
        """The domain of exactly this name."""
        return self._ask(reading.DOMAIN, {"name": name}, reading.domain)

    def alias(self, address: str) -> Lookup[Alias]:
        """The alias of exactly this address (no detail)."""
        return self._ask(reading.ALIAS, {"address": address}, reading.alias)

    def alias_by_id(self, alias_id: int) -> Lookup[Alias]:
        """The alias with this id."""
        return self._ask(reading.ALIAS_BY_ID, {"alias_id": alias_id}, reading.alias)

    def reverse_alias(self, token: str) -> Lookup[ReverseAlias]:
        """What a reverse alias's 24 characters stand for."""
        parameters = {"token": token}
        found = self._ask(reading.REVERSE_ALIAS, parameters, reading.reverse_alias)
        if found is not ABSENT:
            return found
        return self._ask(reading.PURGED_REVERSE_ALIAS, parameters, reading.purged, newer=True)

    def contact(self, alias_id: int, address: str) -> Lookup[Contact]:
        """The contact of an alias, with its current reverse alias."""
        return self._ask(reading.CONTACT, {"alias_id": alias_id, "address": address}, reading.contact)

    def sender_rule(self, sender: str, alias: Alias | None, domain: Domain) -> Lookup[SenderRule]:
        """The narrowest block that matches this envelope sender; the null sender ("") is never blocked."""
        if "@" not in sender:
            return ABSENT
        patterns = reading.patterns(sender)
        parameters = {
            "sender": sender,
            **{f"pattern_{number}": pattern for number, pattern in enumerate(patterns)},
            "alias_id": alias.id if alias else 0,
            "account_id": alias.account_id if alias else 0,
            "domain_id": domain.id,
        }
        return self._ask(reading.sender_rules(len(patterns)), parameters, reading.sender_rule)

    def spam_policies(self, alias: Alias) -> Lookup[tuple[SpamPolicy, ...]]:
        """What is set for the alias, its account and its domain; Absent where nothing is."""
        parameters = {"alias_id": alias.id, "account_id": alias.account_id, "domain": alias.domain}
        return self._ask(reading.SPAM_POLICIES, parameters, reading.spam_policies, newer=True)

    def account_addresses(self, account_id: int) -> Lookup[tuple[str, ...]]:
        """All mailboxes and authorised senders of an account: what must not leak."""
        parameters = {"account_id": account_id}
        return self._ask(reading.ACCOUNT_ADDRESSES, parameters, reading.account_addresses)

    def dkim_keys(self, domain: str) -> Lookup[tuple[DkimKey, ...]]:
        """The domain's active signing keys, RSA first; Found(()) for a domain without."""
        return self._ask(reading.DKIM_KEYS, {"domain": domain}, reading.dkim_keys)

    def replay_mark(self, mark: str, token: str) -> Lookup[bytes]:
        """The ledger key of the message for which a proof was used, at the reverse alias of this token."""
        return self._ask(reading.REPLAY_MARK, {"mark": mark, "token": token}, reading.replay_mark)

    def _ask(
        self,
        statement: Executable,
        parameters: Mapping[str, object],
        read: Callable[[reading.Rows], T | Gone | None],
        *,
        newer: bool = False,
    ) -> Lookup[T]:
        """read: makes the value of the rows; None: there is no such thing. newer: an older schema has no
        table for it, which then is as good as empty."""
        if self.remote and self._clock.monotonic() < self._resting_until:
            return Unavailable(self._last_reason)
        try:
            rows = self._newer_rows(statement, parameters) if newer else self._rows(statement, parameters)
            value = read(rows)
            if (value is None or isinstance(value, Gone)) and self.remote:
                self._doubt()
        except Exception as error:  # noqa: BLE001 (whatever it is: it is not "no")
            return self._failed(error)
        if value is None:
            return ABSENT
        return value if isinstance(value, Gone) else Found(value)

    def _doubt(self) -> None:
        """Raise unless the database may be believed that something isn't there."""
        if doubt := fitness.doubt(self._rows(_FITNESS, {})):
            raise StoreUnavailable(doubt)

    def _newer_rows(self, statement: Executable, parameters: Mapping[str, object]) -> reading.Rows:
        try:
            return self._rows(statement, parameters)
        except (DBAPIError, sqlite3.Error) as error:
            if lacks_table(error):
                return []
            raise

    def _rows(self, statement: Executable, parameters: Mapping[str, object]) -> reading.Rows:
        if not self.remote:
            return self._fetch(statement, parameters)
        with waiting.time_limit(self._seconds):
            try:
                return self._fetch(statement, parameters)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
            # The pool held a connection that the server has closed since: a restart, a cut. The pool
            # has dropped all of that age with it, so this one is new.
            return self._fetch(statement, parameters)

    def _fetch(self, statement: Executable, parameters: Mapping[str, object]) -> reading.Rows:
        if not self.remote:
            return self._fetch_here(statement, parameters)
        with self._engine.connect() as connection:
            return connection.execute(statement, parameters).all()

    def _fetch_here(self, statement: Executable, parameters: Mapping[str, object]) -> reading.Rows:
        """From SQLite, on a connection that stays checked out: the pool costs more than the query."""
        prepared = self._prepared.get(statement)
        if prepared is None:
            prepared = self._prepared[statement] = Prepared(cast(SelectBase, statement), self._engine.dialect)
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._engine.raw_connection()
        try:
            rows = prepared.rows(cast(sqlite3.Connection, connection.driver_connection), parameters)
        except BaseException:
            connection.invalidate()
            raise
        self._idle.append(connection)
        if self._closed:
            self.close()
        return rows

    def _failed(self, error: Exception) -> Unavailable:
        if isinstance(error, SQLAlchemyError):
            said = explain(error)
        else:
            said = str(error) if isinstance(error, StoreUnavailable | sqlite3.Error) else fault(error)
        reason = f"the directory can't be asked: {said}"
        self._last_reason = reason
        self._resting_until = self._clock.monotonic() + REST_SECONDS
        return Unavailable(reason)
