"""Asks the RCPT decision, measures and logs the answer, hands refusals on to be recorded.

One canonical log line an answer:

    rcpt by=gate recipient=shop@alias.example domain=alias.example verdict=reject status=5.1.1 …

A recipient that isn't ours leaves a line at DEBUG only. Neither the envelope sender nor any mailbox
stands in it.

DIAGNOSTICS
    A decision that raises, which it promises not to, becomes 451 4.3.0 at the gate, which is asked
    for our recipients alone. The milter sees the host's other recipients too and keeps quiet then:
    what is ours has the gate and the forwarder to wait for.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from postmask import log
from postmask.clock import Clock
from postmask.verdict import Kind, Verdict, unavailable
from postmask_milter.workers import Workers

LOGGER = logging.getLogger(__name__)


class Decider(Protocol):
    """The decision: postmask.alias.rcpt."""

    def decide(self, recipient: str, sender: str, client: str = "", *, ours: bool = False) -> Verdict | None:
        """The answer to one RCPT, None for a recipient that isn't ours. Never raises."""


@dataclass(frozen=True, slots=True)
class InTime:
    """A decision that is waited for that many seconds; None afterwards, and what it comes to is nobody's."""

    decider: Decider
    workers: Workers
    seconds: float

    def decide(self, recipient: str, sender: str, client: str = "", *, ours: bool = False) -> Verdict | None:
        decision = partial(self.decider.decide, recipient, sender, client, ours=ours)
        return self.workers.ask(decision, self.seconds)


class Recorder(Protocol):
    """Takes refusals for the record, from any thread and without ado."""

    def refused(self, verdict: Verdict, recipient: str, sender: str, queue_id: str) -> None:
        """A recipient was refused. queue_id: "" before there is one."""


class Rcpt:
    """Answers RCPT on behalf of one protocol. Shared by threads.

    by:   "gate" or "milter", for the log.
    ours: Postfix asks for our recipients only, so that "not known to be ours" is no excuse.
    """

    def __init__(self, decider: Decider, recorder: Recorder, clock: Clock, *, by: str, ours: bool) -> None:
        self._decider = decider
        self._recorder = recorder
        self._clock = clock
        self._by = by
        self._ours = ours

    def answer(self, recipient: str, sender: str, client: str = "", queue_id: str = "") -> Verdict | None:
        """The verdict on one recipient, None: not ours. Never raises."""
        began = self._clock.monotonic()
        try:
            verdict = self._decider.decide(recipient, sender, client, ours=self._ours)
        except Exception as error:  # an unknown exception is a deferral, in every shell
            LOGGER.exception("the RCPT decision raised")
            verdict = unavailable(type(error).__name__) if self._ours else None
        self._log(verdict, recipient, queue_id, 1000 * (self._clock.monotonic() - began))
        if verdict is not None and verdict.kind in (Kind.REJECT, Kind.DEFER):
            self._recorder.refused(verdict, recipient, sender, queue_id)
        return verdict

    def _log(self, verdict: Verdict | None, recipient: str, queue_id: str, ms: float) -> None:
        domain = recipient.rpartition("@")[2]
        if verdict is None:
            log.line(LOGGER, logging.DEBUG, "rcpt", by=self._by, domain=domain, verdict="untouched", ms=ms)
            return
        log.line(
            LOGGER,
            logging.INFO,
            "rcpt",
            by=self._by,
            queue_id=queue_id or None,
            recipient=recipient,
            domain=domain,
            verdict=verdict.kind.value,
            status=verdict.status,
            reason=verdict.reason,
            ms=ms,
        )
