"""The engines that are configured, ready to be asked. Who adds an engine names it here.

DIAGNOSTICS
    None: an engine that isn't there is found out when it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from postmask.breaker import Limits
from postmask.clock import Clock
from postmask.config import Settings
from postmask.spam.bypass import Bypass
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


def open_scanner(settings: Settings, clock: Clock) -> Scanner:
    """As it is configured."""
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
        Bypass(own.directory, clock),
        budget=own.budget,
        max_in_flight=own.max_in_flight,
        limits=limits,
    )
