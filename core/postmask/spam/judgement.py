"""What a spam check comes to, as values: a score, or the reasons why there is none.

DIAGNOSTICS
    None.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

SYMBOLS = 64
"""How many symbols of an answer are kept."""

SYMBOL_LENGTH = 64

_SYMBOL = re.compile(r"[!-~]+")


class Reason(enum.StrEnum):
    """Why an engine has not judged a message."""

    REFUSED = "refused"
    """Nobody listens there, or we may not connect."""
    CONNECT_TIMEOUT = "connect timeout"
    TIMEOUT = "timeout"
    """Connected, but not answered in full in time: silent, or dripping."""
    RESET = "reset"
    """The connection broke."""
    HALF_ANSWER = "half answer"
    """Closed before the answer was whole; or without any."""
    NONSENSE = "nonsense"
    """What came is no answer of this protocol."""
    NO_NUMBER = "no number"
    """A score or threshold that is none: NaN, infinite, or a threshold not above zero."""
    HUGE_ANSWER = "huge answer"
    ERROR_STATUS = "error status"
    """The engine says itself that it can't."""
    NOT_SCANNED = "not scanned"
    """The engine says that it has skipped the message."""
    FAULT = "fault"
    """Of ours, or of a library; the log shows it."""
    TOO_LARGE = "too large"
    """Above the engine's size limit: it wasn't asked."""
    BREAKER_OPEN = "breaker open"
    """It failed before and rests: it wasn't asked."""
    NO_TIME = "no time"
    """The budget was used up before it could be asked."""
    NO_SLOT = "no slot"
    """As many checks as may be were in flight: no engine was asked."""
    BYPASSED = "bypassed"
    """By `postmask spam bypass on`: no engine was asked."""


ASKED_IN_VAIN = frozenset(
    {
        Reason.REFUSED,
        Reason.CONNECT_TIMEOUT,
        Reason.TIMEOUT,
        Reason.RESET,
        Reason.HALF_ANSWER,
        Reason.NONSENSE,
        Reason.NO_NUMBER,
        Reason.HUGE_ANSWER,
        Reason.ERROR_STATUS,
        Reason.FAULT,
    }
)
"""The reasons that are the engine's failures; the others say nothing of its health."""


class Kind(enum.StrEnum):
    """What a message is reported as, for an engine to learn from."""

    HAM = "ham"
    SPAM = "spam"


class EngineError(Exception):
    """An engine has not judged. reason: which of them; detail: more, for the log, printable or not."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Score:
    """An engine's judgement. From `threshold` on (above zero), the engine itself speaks of spam.

    symbols: the rules that hit, printable ASCII without blanks, SYMBOLS at most.
    """

    score: float
    threshold: float
    symbols: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.score) and math.isfinite(self.threshold) and self.threshold > 0):
            raise EngineError(Reason.NO_NUMBER, f"{self.score!r} of {self.threshold!r}")
        if not math.isfinite(self.ratio):
            raise EngineError(Reason.NO_NUMBER, f"{self.score!r} of {self.threshold!r}")

    @property
    def ratio(self) -> float:
        """Comparable between engines: 1.0 and more is spam."""
        return self.score / self.threshold


@dataclass(frozen=True, slots=True)
class Attempt:
    """An engine that has not judged; engine: "" where none was asked."""

    engine: str
    reason: Reason
    detail: str = ""
    milliseconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.engine} {self.reason}".strip()


@dataclass(frozen=True, slots=True)
class Scan:
    """What came of the check of one message.

    score, engine: the judgement and whose it is; None and "" if nobody has judged.
    attempts:      what went wrong before, in order.
    milliseconds:  in all.
    """

    score: Score | None
    engine: str
    attempts: tuple[Attempt, ...]
    milliseconds: float

    @property
    def why_unscanned(self) -> str:
        """ "spamd timeout, rspamd breaker open": fit for a header; empty if somebody has judged."""
        return "" if self.score is not None else ", ".join(map(str, self.attempts)) or "no engine"


def symbols(names: Iterable[str]) -> tuple[str, ...]:
    """The names that are fit to be kept, cut to length and number."""
    kept = (name.strip() for name in names)
    return tuple(name[:SYMBOL_LENGTH] for name in kept if _SYMBOL.fullmatch(name))[:SYMBOLS]
