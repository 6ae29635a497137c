"""The agent's day: carry the outbox, keep house, and start again.

DIAGNOSTICS
    A round that fails is logged once per change of its reason, and tried again after a wait that grows
    from one second to ten. Nothing the agent does is in a message's way.
"""

from __future__ import annotations

import logging
from typing import Protocol

from postmask.agent.housekeeping import Housekeeping
from postmask.daemon import Stop
from postmask.fault import fault
from postmask.log import line
from postmask.spool import SpoolError
from postmask.store.errors import StoreError

_log = logging.getLogger(__name__)

IDLE = 0.5
"""Seconds between two looks into the outbox while it isn't full. In a busy time that gathers entries: a
batch costs the truth a transaction, however small it is."""

_LONGEST_WAIT = 10.0
"""Seconds. Orders to this node are heard in each round, also while the outbox waits behind somebody's long
change of the truth."""


class Carrier(Protocol):
    """Takes one batch to the truth and says whether it was a full one, so that more will be waiting."""

    def carry(self) -> bool: ...


class Rounds:
    """Runs until it is told to stop."""

    def __init__(self, carrier: Carrier, housekeeping: Housekeeping, stop: Stop) -> None:
        self._carrier = carrier
        self._housekeeping = housekeeping
        self._stop = stop
        self._trouble = ""

    def run(self) -> None:
        """One round after the other."""
        wait = IDLE
        while not self._stop.requested:
            try:
                more = self._carrier.carry()
                self._well()
                wait = 0.0 if more else IDLE
            except (StoreError, SpoolError) as error:
                wait = self._unwell(str(error), wait)
            except Exception as error:  # noqa: BLE001  whatever it is: the replica is followed, the house kept
                wait = self._unwell(fault(error), wait)
            self._housekeeping.do()
            if wait:
                self._stop.wait(wait)

    def _well(self) -> None:
        if self._trouble:
            line(_log, logging.WARNING, "outbox.flows", after=self._trouble)
        self._trouble = ""

    def _unwell(self, reason: str, waited: float) -> float:
        """Seconds until the next try."""
        if reason != self._trouble:
            line(_log, logging.ERROR, "outbox.waits", reason=reason)
        self._trouble = reason
        return min(_LONGEST_WAIT, max(1.0, waited * 2))
