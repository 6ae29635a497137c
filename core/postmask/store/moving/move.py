"""A move of the truth, from beginning to end, and what becomes of one that was interrupted.

    freeze      writers wait; those under way come to their end first
    copy        into one transaction of the new database, verified before its end; then it is "arriving"
    mark        the old database as moved: from here on the new one is the truth
    take up     the new database takes changes, and the configuration names it

Whatever ends a move before the mark leaves the old database in use as it was, and a freeze ends with the
process. After the mark nothing but the last step is missing. Who calls `settle` afterwards finds out
which of the two it is, finishes the move or empties the new database again.

DIAGNOSTICS
    StoreError, worded for the person who called; nothing was moved then, unless the message says so.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, update

from postmask.store import roles, schema, whereabouts
from postmask.store.engine import parse_url
from postmask.store.errors import Moved, Refused, StoreError, StoreUnavailable
from postmask.store.models import Generation
from postmask.store.moving import target
from postmask.store.moving.freeze import frozen
from postmask.store.moving.journal import Destination, Journal
from postmask.store.moving.target import Origin, label
from postmask.store.opening import opened, opened_engine
from postmask.store.schema import SchemaState
from postmask.store.vocabulary import Phase


class Settled(enum.StrEnum):
    """What became of a move that somebody had begun."""

    NOTHING = "nothing"
    UNDER_WAY = "under way"
    FINISHED = "finished"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Outcome:
    """rows: how many were copied, by table. frozen_seconds: how long changes had to wait."""

    rows: dict[str, int]
    frozen_seconds: float


class Mover:
    """Moves the truth away from one database. url: as its owner opens it.

    adopt: has this node's configuration name the new database; doing it again changes nothing.
    """

    def __init__(self, url: str, journal: Journal, adopt: Callable[[Destination], None]) -> None:
        self._url = url
        self._journal = journal
        self._adopt = adopt

    def check(self, destination: Destination) -> bool:
        """Raises StoreError if it can't be moved there. False: it was moved there already."""
        with opened(self._url, read_only=True) as source, opened(destination.owner_url) as connection:
            found = whereabouts.of(source)
            if found.phase is Phase.MOVED and found.elsewhere_id == whereabouts.identity(connection):
                return False
            _demand_movable(source)
            target.check(connection, self._origin(source))
        return True

    def move(self, destination: Destination, now: float, committing: Callable[[], None]) -> Outcome:
        """All of it. committing: called at the last moment at which an interruption still undoes it."""
        try:
            outcome = self._copied_and_marked(destination, now, committing)
        except BaseException as error:  # an interruption too
            if self._afterwards(error) is not Settled.FINISHED:
                raise
            return Outcome({}, 0.0)
        self._take_up(destination)
        return outcome

    def follow(self, destination: Destination) -> None:
        """The truth was moved there by another node: here only the configuration doesn't say so yet."""
        self._journal.write(destination)
        with opened(destination.owner_url) as connection:
            if (node := _node(destination)) is not None:
                roles.admit(connection, *node)
        self._take_up(destination)

    def settle(self) -> Settled:
        """Finish or undo a move that nobody is at work on any more."""
        destination = self._journal.read()
        if destination is None:
            return Settled.NOTHING
        try:
            settled = self._settled(destination)
        except StoreUnavailable as error:
            raise StoreUnavailable(
                f"a move to {label(destination.owner_url)} was interrupted, and can't be settled now: "
                f"{error}; if that database is gone for good, remove {self._journal.path}"
            ) from error
        if settled is Settled.FINISHED:
            self._take_up(destination)
        elif settled is Settled.UNDONE:
            self._journal.remove()
        return settled

    def _copied_and_marked(
        self, destination: Destination, now: float, committing: Callable[[], None]
    ) -> Outcome:
        """Nothing has happened if anything is raised before the last commit."""
        with opened_engine(self._url) as engine, frozen(engine) as source:
            begun = time.monotonic()
            _demand_movable(source)
            with opened(destination.owner_url) as connection:
                origin, node = self._origin(source), _node(destination)
                target.check(connection, origin)
                self._journal.write(destination)
                sums = target.fill(source, connection, origin, node, now)
                where = whereabouts.identity(connection)
            committing()
            moved = {"elsewhere": label(destination.owner_url), "elsewhere_id": where, "moved_at": now}
            source.execute(update(Generation).values(phase=Phase.MOVED, **moved))
            source.commit()
            rows = {table: total.rows for table, total in sums.items()}
            return Outcome(rows, time.monotonic() - begun)

    def _afterwards(self, error: BaseException) -> Settled:
        """Undo what was begun; finished, if the last word got through nevertheless."""
        try:
            return self.settle()
        except StoreError as trouble:
            raise trouble from error

    def _settled(self, destination: Destination) -> Settled:
        with opened(self._url, read_only=True) as source:
            found = whereabouts.of(source)
            if found.frozen:
                return Settled.UNDER_WAY
            with opened(destination.owner_url) as connection:
                where = whereabouts.identity(connection)
                marked = found.phase is Phase.MOVED and found.elsewhere_id == where
                if marked or where == whereabouts.identity(source):
                    return Settled.FINISHED
                target.empty(connection, self._origin(source))
        return Settled.UNDONE

    def _take_up(self, destination: Destination) -> None:
        target.take_into_use(destination.owner_url)
        self._adopt(destination)
        self._journal.remove()

    def _origin(self, source: Connection) -> Origin:
        return Origin(label(self._url), whereabouts.identity(source))


def _demand_movable(source: Connection) -> None:
    state = schema.state_of(source)
    if state is not SchemaState.CURRENT:
        raise Refused(
            f"the database's schema is {state}; it is moved when it is current: postmask db upgrade"
        )
    if trouble := whereabouts.of(source).trouble():
        raise Moved(trouble)


def _node(destination: Destination) -> tuple[str, str] | None:
    """The nodes' role and its password; None: they use the owner's."""
    owner, node = parse_url(destination.owner_url), parse_url(destination.url)
    if node.username == owner.username:
        return None
    if not node.username or node.password is None:
        raise StoreError("the nodes' URL needs their role and its password")
    return node.username, str(node.password)
