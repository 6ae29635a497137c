"""What the agent does now and then: say that its node is alive, and how it is; hear what it is told; remind
a restored truth of contacts that it lacks; and forget what is past its time.

It also notices when the machine's clock jumps, says so, and says anew when its node was last alive. For an
hour after that, and after the start, nothing is forgotten: where a host stood still for a week Postfix first
tries what it has, and what was half delivered must not come twice.

DIAGNOSTICS
    What can't be done now is logged once for each reason, and tried again when it is next due. The
    outbox doesn't wait for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine

from postmask.agent.contacts import Forgetting, Reminder
from postmask.agent.nodestate import LISTEN_EVERY, NodeState
from postmask.clock import Clock
from postmask.fault import fault
from postmask.log import line
from postmask.spool import LEDGER_KEPT, Spool, SpoolError
from postmask.store import intake, retention
from postmask.store.errors import StoreError
from postmask.store.session import transaction

_log = logging.getLogger(__name__)

SEEN_EVERY = 60.0
FORGET_EVERY = 3_600.0
RETRY = 10.0
"""Seconds until what failed is tried again, if it isn't due later."""
JUMP = 60.0
"""Seconds by which the clock must be off what has passed, to have jumped."""


@dataclass(slots=True)
class _Duty:
    """Something that is due every so many seconds, or when it is urgent.

    do: True if there is more to be done, in the next round. trouble: why it wasn't done; "" if it was.
    """

    name: str
    every: float
    do: Callable[[], bool | None]
    urgent: Callable[[], bool] = lambda: False
    due: float = float("-inf")
    trouble: str = ""


class Housekeeping:
    """events_days: how long events are kept. node: this node's name. state: how it is."""

    def __init__(
        self, spool: Spool, engine: Engine, node: str, events_days: int, clock: Clock, state: NodeState
    ) -> None:
        self._spool = spool
        self._engine = engine
        self._node = node
        self._events_days = events_days
        self._clock = clock
        self._said: float | None = None
        self._offset = clock.now() - clock.monotonic()
        self._alive = _Duty("seen", SEEN_EVERY, self._seen)
        self._forgetting = (
            _Duty("spool.forget", FORGET_EVERY, lambda: spool.purge(LEDGER_KEPT)),
            _Duty("truth.forget", FORGET_EVERY, self._forget),
            _Duty("contacts.forget", FORGET_EVERY, Forgetting(spool, engine, clock).look),
        )
        self._duties = (
            self._alive,
            _Duty("contacts", SEEN_EVERY, Reminder(spool, engine, clock).look),
            _Duty("node", LISTEN_EVERY, state.attend, state.has_changed),
            *self._forgetting,
        )
        self._forget_later()

    def do(self) -> None:
        """All that is due."""
        self._look_at_the_clock()
        for duty in self._duties:
            if self._clock.monotonic() < duty.due and not duty.urgent():
                continue
            duty.due = self._clock.monotonic() + duty.every
            try:
                if duty.do():
                    duty.due = float("-inf")
                duty.trouble = ""
            except (StoreError, SpoolError, OSError) as error:
                self._put_off(duty, str(error))
            except Exception as error:  # noqa: BLE001  whatever it is: the other duties go on
                self._put_off(duty, fault(error))

    def _put_off(self, duty: _Duty, reason: str) -> None:
        duty.due = self._clock.monotonic() + max(duty.every, RETRY)
        if reason != duty.trouble:
            line(_log, logging.ERROR, "housekeeping", duty=duty.name, reason=reason)
        duty.trouble = reason

    def _look_at_the_clock(self) -> None:
        offset = self._clock.now() - self._clock.monotonic()
        if abs(offset - self._offset) > JUMP:
            line(_log, logging.WARNING, "clock.jumped", seconds=round(offset - self._offset))
            self._alive.due = float("-inf")
            self._forget_later()
        self._offset = offset

    def _forget_later(self) -> None:
        for duty in self._forgetting:
            duty.due = self._clock.monotonic() + FORGET_EVERY

    def _seen(self) -> None:
        """Raises StoreError where somebody else has said since that this node is alive: both would hear what
        one is told, and each would hide how the other is."""
        said, self._said = self._said, self._clock.now()
        with transaction(self._engine) as session:
            found = intake.seen(session.connection(), self._node, self._said)
        if said is not None and found is not None and found > said:
            raise StoreError(
                f"another postmask-agent says that it is {self._node}, too: give each node a name of its own "
                "(node.name) and restart its programs"
            )

    def _forget(self) -> bool:
        gone = retention.forget(self._engine, days=self._events_days, now=self._clock.now())
        if gone:
            line(_log, logging.INFO, "truth.forgot", rows=gone)
        return gone > 0
