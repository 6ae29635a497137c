"""The engines that are configured, ready to be asked. Who adds an engine names it here.

DIAGNOSTICS
    None: an engine that isn't there is found out when it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from postmask.breaker import Limits
from postmask.clock import Clock, Deadline
from postmask.config import Settings
from postmask.spam.bypass import Bypass
from postmask.spam.judgement import EngineError, Kind
from postmask.spam.rspamd import Rspamd
from postmask.spam.scanner import Installed, Scanner
from postmask.spam.spamc import Spamd


def _spamd(settings: Settings) -> Installed:
    own = settings.spamd
    return Installed("spamd", Spamd(), own.address, own.address, own.connect, own.total, own.size_limit)


def _rspamd(settings: Settings) -> Installed:
    own = settings.rspamd
    engine = Rspamd(own.password)
    return Installed("rspamd", engine, own.address, own.controller, own.connect, own.total, own.size_limit)


ENGINES: Mapping[str, Callable[[Settings], Installed]] = MappingProxyType(
    {"spamd": _spamd, "rspamd": _rspamd}
)
"""By the names that spam.engines knows."""


def installed(settings: Settings) -> tuple[Installed, ...]:
    """Those that are to be asked, in their order."""
    return tuple(ENGINES[name](settings) for name in settings.spam.engines)


def open_scanner(
    settings: Settings,
    clock: Clock,
    *,
    bypassed: Callable[[], bool] | None = None,
    most: float = float("inf"),
) -> Scanner:
    """As it is configured. bypassed: instead of the node's switch. most: seconds that it is ever given for a
    message."""
    own = settings.spam
    limits = Limits(
        failures=own.breaker_failures,
        window=own.breaker_window,
        first_rest=own.breaker_rest,
        longest_rest=own.breaker_longest_rest,
        spread=own.breaker_spread / 100,
    )
    return Scanner(
        installed(settings),
        clock,
        bypassed or Bypass(own.directory, clock).in_force,
        budget=min(own.budget, most),
        max_in_flight=own.max_in_flight,
        limits=limits,
    )


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether an engine answers just now. problem: why not."""

    name: str
    address: str
    answers: bool
    milliseconds: float
    problem: str


def probe(one: Installed, clock: Clock) -> Probe:
    """Ask it for a sign of life, within its own time."""
    began = clock.monotonic()
    problem = ""
    try:
        one.ping(Deadline.after(clock, one.total))
    except EngineError as error:
        problem = str(error)
    milliseconds = round((clock.monotonic() - began) * 1_000, 1)
    return Probe(one.name, one.place, not problem, milliseconds, problem)


@dataclass(frozen=True, slots=True)
class Lesson:
    """Whether an engine has learned from a message. problem: why not."""

    name: str
    address: str
    learned: bool
    problem: str


def teach(one: Installed, content: bytes, kind: Kind, clock: Clock) -> Lesson:
    """Have it learn, within its own time."""
    problem = ""
    try:
        one.learn(content, kind, Deadline.after(clock, one.total))
    except EngineError as error:
        problem = str(error)
    return Lesson(one.name, one.place, not problem, problem)
