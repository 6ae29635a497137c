"""The agent with one database: until it is told to stop, or the configuration names another one.

DIAGNOSTICS
    Another database that can't be used, or isn't in use yet, is logged once for each reason; the agent
    stays with the one it has.
"""

from __future__ import annotations

import logging
import threading

from postmask.agent.housekeeping import Housekeeping
from postmask.agent.nodestate import node_state
from postmask.agent.outbox import OutboxCarrier
from postmask.agent.replica.follower import Follower
from postmask.agent.rounds import Rounds
from postmask.clock import Clock
from postmask.config import Settings
from postmask.config.watching import DatabaseWatch
from postmask.daemon import Stop, begin, lasting
from postmask.log import line
from postmask.spool import Spool
from postmask.store.directory import SqlDirectory
from postmask.store.engine import Use, make_engine, sqlite_path
from postmask.store.errors import StoreError
from postmask.store.replica.folder import Folder

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0

_LAST_SECONDS = 3.0
"""For what the replica's thread has in hand at the end."""


def serve(settings: Settings, spool: Spool, clock: Clock, stop: Stop) -> Settings | None:
    """Carry, keep house and follow; the settings to go on with, None at the end. Raises StoreError."""
    ending = Stop()
    stop.on_request(ending.request)
    successor = Successor(settings, clock, ending)
    begin(lasting("successor", successor.run))
    following = follow(settings, clock, ending)
    engine, node = make_engine(settings.database.url, Use.INTAKE), settings.node.name
    state = node_state(settings, engine, clock)
    housekeeping = Housekeeping(spool, engine, node, settings.retention.events_days, clock, state)
    Rounds(OutboxCarrier(spool, engine, node), housekeeping, ending).run()
    if following is not None:
        following.join(_LAST_SECONDS)
    engine.dispose()
    return None if stop.requested else successor.settings


def follow(settings: Settings, clock: Clock, stop: Stop) -> threading.Thread | None:
    """Keep the replica from now on, in a thread of its own; None: with SQLite there is none."""
    url = settings.database.url
    if sqlite_path(url) is not None:
        return None
    folder = Folder(settings.replica.directory)
    follower = Follower(make_engine(url, Use.FEED), folder, clock, stop, settings.replica.poll)
    thread = lasting("replica", follower.run)
    begin(thread)
    return thread


class Successor:
    """Waits for another database in a thread of its own, and ends the turn of this one.

    settings: those that name it, once it is there.
    """

    def __init__(self, settings: Settings, clock: Clock, ending: Stop) -> None:
        self.settings: Settings | None = None
        self._watch = DatabaseWatch(settings)
        self._clock = clock
        self._ending = ending
        self._trouble = ""

    def run(self) -> None:
        """Until it is found, or the end is asked for."""
        while not self._ending.wait(_LOOK_SECONDS):
            other = self._watch.look()
            if other is None:
                continue
            trouble = self._trouble_of(other)
            if not trouble:
                line(_log, logging.WARNING, "database.moved", file=str(other.file))
                self.settings = other
                self._ending.request()
            elif trouble != self._trouble:
                line(_log, logging.ERROR, "database.waits", reason=trouble)
            self._trouble = trouble

    def _trouble_of(self, settings: Settings) -> str:
        """Why its database can't be gone on with; "" if it can."""
        try:
            truth = SqlDirectory(make_engine(settings.database.url, Use.DIRECTORY), self._clock)
        except StoreError as error:
            return str(error)
        try:
            return truth.trouble()
        finally:
            truth.close()
