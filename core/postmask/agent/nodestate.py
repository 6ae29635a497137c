"""How this node is, told to the truth; and what it is told there: to be drained, or to take mail again.

The node's own switch (postmask.drain) is what counts. An order is carried out by throwing it, then the truth
is told: whatever is killed in between, the order is found again, and known to be carried out.

DIAGNOSTICS
    StoreError: the truth can't be asked or told now. OSError: the switch can't be thrown. Both are tried
    again. How much of ours is in Postfix's queue is left open while it can't be asked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from sqlalchemy import Engine

from postmask import __version__
from postmask.clock import Clock
from postmask.config import Settings
from postmask.drain import Drain, DrainSwitch
from postmask.keys.fingerprint import published_fingerprint
from postmask.log import line
from postmask.store import nodes
from postmask.store.engine import sqlite_path
from postmask.store.nodes import Report
from postmask.store.replica.folder import Folder
from postmask.store.session import transaction
from postmask_postfix.commands import PostfixError
from postmask_postfix.queue import Backlog, backlog

_log = logging.getLogger(__name__)

LISTEN_EVERY = 5.0
TELL_EVERY = 60.0
"""Seconds after which it is told anew though nothing but the replica's age is another."""


def node_state(settings: Settings, engine: Engine, clock: Clock) -> NodeState:
    """This node's, with its real parts."""
    folder = settings.spool.folder
    remote = sqlite_path(settings.database.url) is None
    return NodeState(
        settings.node.name,
        engine,
        DrainSwitch(folder),
        clock,
        # With SQLite there is no other node that could say anything, and no replica.
        hears=remote,
        replica_at=partial(_synced_at, Folder(settings.replica.directory)) if remote else _unknown,
        keys=partial(published_fingerprint, folder),
        look=partial(backlog, settings.postfix.config_dir),
    )


class NodeState:
    """Used by one thread.

    hears: others can give it orders. replica_at: when the replica had all of the truth; keys: the
    fingerprint of the secrets; look: what of ours is in Postfix's queue, or PostfixError.
    """

    def __init__(
        self,
        name: str,
        engine: Engine,
        switch: DrainSwitch,
        clock: Clock,
        *,
        hears: bool,
        replica_at: Callable[[], float | None],
        keys: Callable[[], str | None],
        look: Callable[[], Backlog],
    ) -> None:
        self._name = name
        self._engine = engine
        self._switch = switch
        self._clock = clock
        self._hears = hears
        self._replica_at = replica_at
        self._keys = keys
        self._look = look
        self._attended: Drain | None = None
        self._told: Report | None = None
        self._told_at = float("-inf")

    def has_changed(self) -> bool:
        """Whether it was drained or resumed since it was last attended to."""
        return self._attended is not None and self._switch.state() != self._attended

    def attend(self) -> None:
        """Carry out what is ordered, and tell what is new."""
        self._attended = self._switch.state()
        if self._hears:
            self._obey()
            self._attended = self._switch.state()
        said = self._report(self._attended)
        if self._is_news(said):
            with transaction(self._engine) as session:
                nodes.report(session.connection(), self._name, said)
            self._told, self._told_at = said, self._clock.monotonic()

    def _obey(self) -> None:
        with transaction(self._engine, read_only=True) as session:
            order = nodes.order_for(session.connection(), self._name)
        if order is None:
            return
        now = self._clock.now()
        if self._switch.carry_out(order.number, order.by, drained=order.drain, now=now):
            event = "node.drained" if order.drain else "node.resumed"
            line(_log, logging.WARNING, event, by=order.by)

    def _report(self, state: Drain) -> Report:
        found = self._backlog() if state.drained else None
        return Report(
            version=__version__,
            keys=self._keys(),
            replica_at=self._replica_at(),
            drained_at=state.at if state.drained else None,
            drained_by=state.by if state.drained else None,
            waiting=found.waiting if found else None,
            held=found.held if found else None,
            done_at=state.order or None,
        )

    def _is_news(self, said: Report) -> bool:
        if self._told is None or self._clock.monotonic() - self._told_at >= TELL_EVERY:
            return True
        return replace(said, replica_at=None) != replace(self._told, replica_at=None)

    def _backlog(self) -> Backlog | None:
        try:
            return self._look()
        except PostfixError:
            return None


def _synced_at(folder: Folder) -> float | None:
    state = folder.read_state()
    return (state.synced_at or None) if state is not None else None


def _unknown() -> None:
    return None
