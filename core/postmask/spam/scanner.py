"""Asks the engines in order for a judgement, under one budget, and never longer.

Each engine has a connect and a total deadline of its own within it, and a breaker; the next is asked
with what is left when one fails, has used up its share, or doesn't take messages of that size.
Threads call it and wait in it: as many as `max_in_flight`, further ones are told "no slot" at once.

DIAGNOSTICS
    None: a Scan holds a score, or for each engine the reason why there is none. No exception.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from postmask.breaker import Breaker, Limits
from postmask.clock import Clock, Deadline
from postmask.spam.engine import Engine, Facts
from postmask.spam.exchange import Address, ask
from postmask.spam.figures import EngineFigures, ScannerFigures, Tally
from postmask.spam.judgement import ASKED_IN_VAIN, Attempt, EngineError, Kind, Reason, Scan, Score

_LOG = logging.getLogger(__name__)

_WAITED = frozenset({Reason.CONNECT_TIMEOUT, Reason.TIMEOUT})
_NEARLY = 0.9
"""Of its share; some of it always goes by before the engine is asked."""


@dataclass(frozen=True, slots=True)
class Installed:
    """An engine where it runs.

    reports_to: where ham and spam are reported. connect, total: seconds. size_limit: octets.
    """

    name: str
    engine: Engine
    address: Address
    reports_to: Address
    connect: float
    total: float
    size_limit: int

    def check(self, content: bytes, facts: Facts, deadline: Deadline) -> Score:
        """Its judgement, whatever the state of its breaker. Raises EngineError."""
        if len(content) > self.size_limit:
            raise EngineError(Reason.TOO_LARGE, f"{len(content)} octets, takes {self.size_limit}")
        share = deadline.within(self.total)
        if share.passed:
            raise EngineError(Reason.NO_TIME)
        return ask(self.address, self.engine.check(content, facts), self.connect, share)

    def learn(self, content: bytes, kind: Kind, deadline: Deadline) -> None:
        """Have it learn from a message, unless it knows that already. Raises EngineError."""
        if len(content) > self.size_limit:
            raise EngineError(Reason.TOO_LARGE, f"{len(content)} octets, takes {self.size_limit}")
        share = deadline.within(self.total)
        for question in self.engine.learn(content, kind):
            ask(self.reports_to, question, self.connect, share)

    def ping(self, deadline: Deadline) -> None:
        """Return if it answers. Raises EngineError."""
        ask(self.address, self.engine.ping(), self.connect, deadline.within(self.total))

    @property
    def place(self) -> str:
        """The address, as it stands in the configuration."""
        if isinstance(self.address, Path):
            return f"unix:{self.address}"
        host, port = self.address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Scanner:
    """One for a program. Shared by threads."""

    def __init__(
        self,
        engines: Sequence[Installed],
        clock: Clock,
        bypassed: Callable[[], bool],
        *,
        budget: float = 10.0,
        max_in_flight: int = 100,
        limits: Limits | None = None,
    ) -> None:
        """bypassed: whether engines are to be left alone now. budget: seconds for a message, all engines
        together. limits: of each engine's breaker."""
        self._clock = clock
        self._bypassed = bypassed
        self._budget = budget
        self._max_in_flight = max_in_flight
        self._watched = [_Watched(one, clock, limits or Limits(), budget) for one in engines]
        self._lock = threading.Lock()
        self._in_flight = 0
        self._messages = 0
        self._unscanned: Counter[str] = Counter()

    def scan(self, content: bytes, facts: Facts, deadline: Deadline) -> Scan:
        """Judge a message, as it would be delivered; done within the budget and the deadline."""
        began = self._clock.monotonic()
        if self._bypassed():
            return self._counted(Scan(None, "", (Attempt("", Reason.BYPASSED),), 0.0))
        if not self._enter():
            return self._counted(Scan(None, "", (Attempt("", Reason.NO_SLOT),), 0.0))
        attempts: list[Attempt] = []
        score, engine = None, ""
        try:
            for found in self._asked(content, facts, deadline.within(self._budget)):
                match found:
                    case Attempt():
                        attempts.append(found)
                    case name, judgement:
                        score, engine = judgement, name
        finally:
            self._leave()
        milliseconds = (self._clock.monotonic() - began) * 1_000
        return self._counted(Scan(score, engine, tuple(attempts), milliseconds))

    def figures(self) -> ScannerFigures:
        """As of now."""
        with self._lock:
            unscanned = dict(self._unscanned)
            return ScannerFigures(
                messages=self._messages,
                scanned=self._messages - sum(unscanned.values()),
                unscanned=unscanned,
                in_flight=self._in_flight,
                max_in_flight=self._max_in_flight,
                engines=tuple(watched.figures() for watched in self._watched),
            )

    def _asked(
        self, content: bytes, facts: Facts, deadline: Deadline
    ) -> Iterator[Attempt | tuple[str, Score]]:
        """Up to the first that judges."""
        for watched in self._watched:
            found = watched.check(content, facts, deadline)
            if isinstance(found, Attempt):
                yield found
            else:
                yield watched.name, found
                return

    def _enter(self) -> bool:
        with self._lock:
            if self._in_flight >= self._max_in_flight:
                return False
            self._in_flight += 1
            return True

    def _leave(self) -> None:
        with self._lock:
            self._in_flight -= 1

    def _counted(self, scan: Scan) -> Scan:
        with self._lock:
            self._messages += 1
            if scan.score is None:
                self._unscanned[scan.attempts[-1].reason.value if scan.attempts else "no engine"] += 1
        return scan


class _Watched:
    """An engine with its breaker and its figures."""

    def __init__(self, installed: Installed, clock: Clock, limits: Limits, budget: float) -> None:
        self.name = installed.name
        self._installed = installed
        self._clock = clock
        self._breaker = Breaker(clock, limits)
        self._tally = Tally(clock)
        self._share = _NEARLY * min(installed.total, budget)

    def check(self, content: bytes, facts: Facts, deadline: Deadline) -> Score | Attempt:
        began = self._clock.monotonic()
        fair = deadline.left() >= self._share
        self._tally.began()
        try:
            score = self._check(content, facts, deadline)
        except EngineError as error:
            if error.reason is Reason.NOT_SCANNED:
                self._breaker.succeeded()
            elif error.reason in ASKED_IN_VAIN and (fair or error.reason not in _WAITED):
                # Who got less than its share, since others had used it up, may be well all the same.
                self._breaker.failed()
            attempt = Attempt(self.name, error.reason, error.detail, self._since(began))
            self._tally.failed(attempt)
            return attempt
        self._breaker.succeeded()
        self._tally.judged(self._since(began))
        return score

    def figures(self) -> EngineFigures:
        breaker = self._breaker
        return self._tally.figures(self.name, self._installed.place, breaker.state, breaker.rests_for)

    def _check(self, content: bytes, facts: Facts, deadline: Deadline) -> Score:
        if len(content) <= self._installed.size_limit and not deadline.passed and not self._breaker.allows():
            raise EngineError(Reason.BREAKER_OPEN)
        try:
            return self._installed.check(content, facts, deadline)
        except EngineError:
            raise
        except Exception as error:
            _LOG.exception("spam engine %s", self.name)
            raise EngineError(Reason.FAULT, type(error).__name__) from error

    def _since(self, began: float) -> float:
        return (self._clock.monotonic() - began) * 1_000
