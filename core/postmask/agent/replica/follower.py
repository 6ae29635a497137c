"""Keeps the node's replica a copy of the truth.

Woken by Postgres at each change, and looking by itself every few seconds, it brings the current
replica up to date. A full copy is made aside, and then pointed to, when there is no replica, when it
is damaged, when the truth is another one than that which was copied (restored, moved, promoted,
upgraded), when Postgres was started anew, and once a day in any case. When the set of domains has
changed it writes the folder's file of domains anew, and then and when it begins the mark by which root
knows that Postfix has to be told.

DIAGNOSTICS
    Nothing here stops the agent, or is in a message's way: what goes wrong is said in the log once per
    reason and in the folder's state, and tried again. A truth whose schema this program can't follow
    is left alone: the replica serves as it is.
"""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

from sqlalchemy import Engine

from postmask.agent.replica.copying import Copying, reason_of
from postmask.clock import DAY, Clock
from postmask.daemon import Stop
from postmask.log import line
from postmask.store.errors import StoreError
from postmask.store.replica.feed import Feed, IncompatibleError, Standing
from postmask.store.replica.file import ReplicaDamagedError, ReplicaFile
from postmask.store.replica.folder import Folder, State

_log = logging.getLogger(__name__)

_SLICE = 0.25
"""Seconds between two looks at readers' complaints, finished copies and the end of the program."""

_LONGEST_WAIT = 10.0
_STATE_EVERY = 1.0


class Follower:
    """Runs until it is told to stop, in a thread of its own. poll: seconds between two looks unasked."""

    def __init__(self, engine: Engine, folder: Folder, clock: Clock, stop: Stop, poll: float) -> None:
        """engine: made for Use.FEED."""
        self._engine = engine
        self._folder = folder
        self._clock = clock
        self._stop = stop
        self._poll = poll
        self._copying = Copying(engine, folder, clock, stop)
        self._replica: ReplicaFile | None = None
        self._previous: Path | None = None
        self._synced_at = 0.0
        self._told: tuple[Path, int] | None = None
        self._owner = False
        self._written_at = float("-inf")
        self._trouble = ""
        self._unwritten = ""
        self._wait = 0.0

    def run(self) -> None:
        """One connection to the truth after the other."""
        while not self._stop.requested:
            try:
                with self._folder.owned():
                    self._owner = True
                    self._open()
                    self._connected()
            except Exception as error:  # noqa: BLE001  without this thread the replica grows old in silence
                self._unwell(error)
            finally:
                self._owner = False
                self._close()
            self._wait = min(_LONGEST_WAIT, max(1.0, self._wait * 2))
            self._stop.wait(self._wait)

    def _connected(self) -> None:
        """Follow, and connect again when the connection fails; the folder stays ours."""
        while not self._stop.requested:
            try:
                self._inspect()
                with Feed(self._engine) as feed:
                    feed.listen()
                    self._follow(feed)
            except ReplicaDamagedError as error:
                self._discard(error)
                continue
            except StoreError as error:
                self._unwell(error)
            self._wait = min(_LONGEST_WAIT, max(1.0, self._wait * 2))
            self._stop.wait(self._wait)

    def _follow(self, feed: Feed) -> None:
        while not self._stop.requested:
            standing = feed.standing()
            reason = self._reason_to_copy(standing)
            if reason:
                self._copying.start(reason)
            self._take_over(feed, standing)
            if self._replica is not None:
                self._catch_up(self._replica, feed, standing)
            self._tell_domains(standing)
            self._report(standing)
            self._wait = 0.0
            self._await_change(feed)

    def _await_change(self, feed: Feed) -> None:
        """Until there is something to do, or it is time to look."""
        until = self._clock.monotonic() + self._poll
        copying = self._copying.running
        while not self._stop.requested and (left := until - self._clock.monotonic()) > 0:
            if feed.wait(min(_SLICE, left)):
                return
            if self._complained() or (copying and not self._copying.running):
                return
            if self._replica is not None:
                self._replica.glance()

    def _reason_to_copy(self, standing: Standing) -> str:
        """Why the current replica won't do, or won't do for much longer; "" if it will."""
        if self._replica is None:
            return "there is none"
        self._inspect()
        mine = self._replica.standing
        others = mine.identity.differences(standing.identity)
        if others == ("revision",):
            return f"its schema was {mine.identity.revision} and is {standing.identity.revision}"
        if mine.identity != standing.identity:
            return f"the database is another one: {', '.join(others)}"
        if mine.change > standing.number:
            return "the database has gone back"
        if others:
            return "Postgres was started anew: it may be an older copy of itself"
        if not 0 <= self._clock.now() - mine.copied_at < DAY:
            return "it is a day old"
        return ""

    def _inspect(self) -> None:
        """Glance at the file, and look into a reader's complaint. Raises ReplicaDamagedError."""
        if self._replica is None:
            return
        self._replica.glance()
        if self._complained():
            self._replica.check()
            self._folder.settle(self._replica.path)

    def _catch_up(self, replica: ReplicaFile, feed: Feed, standing: Standing) -> None:
        if not _follows(replica, standing):
            return
        now = self._clock.now()
        if standing.number > replica.standing.change:
            with feed.snapshot() as snapshot:
                replica.apply(snapshot)
        self._synced_at = now

    def _tell_domains(self, standing: Standing) -> None:
        """Write the domains where the replica is current and has changed since they were looked at."""
        if self._replica is None or not _follows(self._replica, standing):
            return
        seen = (self._replica.path, self._replica.standing.change)
        if seen == self._told:
            return
        names = self._replica.domains()
        try:
            written = self._folder.write_domains(names, anew=self._told is None)
        except OSError as error:
            line(_log, logging.ERROR, "replica.domains", reason=str(error))
            return
        self._told = seen
        if written:
            line(_log, logging.INFO, "replica.domains", count=len(names), note="Postfix is to be told")

    def _take_over(self, feed: Feed, standing: Standing) -> None:
        """Bring a finished copy up to date, and let the readers have it."""
        made = self._copying.take()
        if made is None:
            return
        with contextlib.ExitStack() as unless_taken:
            copy = unless_taken.enter_context(ReplicaFile(made))
            if not _follows(copy, standing):
                return  # The truth has been exchanged again since.
            self._catch_up(copy, feed, standing)
            self._folder.point(made)
            unless_taken.pop_all()
        before, self._replica = self._replica, copy
        line(_log, logging.INFO, "replica.current", file=made.name, change=copy.standing.change)
        if before is not None:
            before.close()
            self._previous = before.path
        self._folder.tidy(made, self._previous)

    def _open(self) -> None:
        """The replica that the pointer names, if it is whole."""
        path = self._folder.current()
        self._folder.tidy(path)
        if path is None:
            return
        try:
            replica = ReplicaFile(path)
            self._replica = replica
            replica.check()
            self._synced_at = max(self._synced_at, self._last_synced(replica))
        except ReplicaDamagedError as error:
            self._discard(error)

    def _last_synced(self, replica: ReplicaFile) -> float:
        """When it had all of the truth, as far as an agent before us has said."""
        told = self._folder.read_state()
        known = told.synced_at if told is not None and told.file == replica.path.name else 0.0
        return max(known, replica.standing.copied_at)

    def _discard(self, error: ReplicaDamagedError) -> None:
        """Readers go on as they can with the file, until there is another."""
        line(_log, logging.ERROR, "replica.damaged", reason=str(error))
        self._trouble = str(error)
        self._close()

    def _close(self) -> None:
        if self._replica is not None:
            self._replica.close()
        self._replica = None

    def _complained(self) -> bool:
        return self._replica is not None and self._folder.complained(self._replica.path)

    def _report(self, standing: Standing) -> None:
        """All went well, unless a copy is still wanted, or this isn't the truth any more."""
        trouble = self._copying.trouble or standing.trouble
        if not trouble and not _follows(self._replica, standing):
            trouble = "a full copy is being made"
        elif self._trouble and not trouble:
            line(_log, logging.WARNING, "replica.follows", after=self._trouble)
        if standing.trouble and trouble != self._trouble:
            line(_log, logging.ERROR, "replica.left", reason=trouble, note="the replica serves as it is")
        if trouble != self._trouble or self._clock.monotonic() - self._written_at >= _STATE_EVERY:
            self._trouble = trouble
            self._write_state()

    def _unwell(self, error: Exception) -> None:
        reason = reason_of(error)
        if reason != self._trouble:
            serves = "the replica serves as it is" if self._replica is not None else "there is no replica"
            event = "replica.incompatible" if isinstance(error, IncompatibleError) else "replica.waits"
            line(_log, logging.ERROR, event, reason=reason, note=serves)
            self._trouble = reason
            if self._owner:
                self._write_state()

    def _write_state(self) -> None:
        self._written_at = self._clock.monotonic()
        current = self._replica
        state = State(
            file=current.path.name if current else "",
            change=current.standing.change if current else 0,
            copied_at=current.standing.copied_at if current else 0.0,
            synced_at=self._synced_at,
            trouble=self._trouble,
        )
        try:
            self._folder.write_state(state)
            self._unwritten = ""
        except OSError as error:
            if str(error) != self._unwritten:
                line(_log, logging.ERROR, "replica.state", reason=str(error))
            self._unwritten = str(error)


def _follows(replica: ReplicaFile | None, standing: Standing) -> bool:
    """Whether a replica's change number means anything in this truth."""
    if replica is None:
        return False
    mine = replica.standing
    return mine.identity == standing.identity and mine.change <= standing.number
