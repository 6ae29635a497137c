"""How long Postfix keeps what it can't deliver before it returns it to the sender, and when that is near.

DIAGNOSTICS
    ValueError for what isn't a time as postconf(1) prints one.

STANDARDS
    postconf(5): maximal_queue_lifetime, bounce_queue_lifetime, maximal_backoff_time, queue_run_delay.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

PARAMETERS = ("maximal_queue_lifetime", "bounce_queue_lifetime", "maximal_backoff_time", "queue_run_delay")
"""What has to be known of a Postfix."""

_TIME = re.compile(r"([0-9]{1,9})([smhdw]?)")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DEFAULT_UNITS = {"maximal_queue_lifetime": "d", "bounce_queue_lifetime": "d", "delay_warning_time": "h"}


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Seconds, all of them; by default Postfix's own defaults.

    message: of what has a sender. bounce: of what has none. backoff: the longest wait between two attempts.
    run: between two looks into the queue.
    """

    message: float = 432_000.0
    bounce: float = 432_000.0
    backoff: float = 4_000.0
    run: float = 300.0

    @classmethod
    def of(cls, values: Mapping[str, str]) -> Lifetime:
        """By the values of PARAMETERS."""
        return cls(*(seconds(name, values[name]) for name in PARAMETERS))

    def whole(self, sender: str) -> float:
        """The age at which an attempt that fails is the last."""
        return self.message if sender else self.bounce

    def ending(self, sender: str) -> float:
        """The age from which on there may be no more than two further attempts before that.

        Where the attempts are so rare, or the lifetime so short: its second half.
        """
        whole = self.whole(sender)
        return max(whole / 2, whole - 2 * (self.backoff + self.run))


def seconds(name: str, value: str) -> float:
    """A time of this parameter's, as postconf(1) prints it. Raises ValueError."""
    match = _TIME.fullmatch(value.strip())
    if match is None:
        raise ValueError(f"{name} is no time: {value!r}")
    return float(int(match[1]) * _UNITS[match[2] or _DEFAULT_UNITS.get(name, "s")])
