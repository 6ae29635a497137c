"""One round: so many messages sent, each seen to arrive, time and processor time taken.

DIAGNOSTICS
    LostMailError: a message didn't arrive in time, arrived twice, was deferred or bounced, or Postfix's
    log doesn't tell of as many sent messages as the sink has taken. Figures of such a round are worth
    nothing, so there are none.
"""

from __future__ import annotations

import re
import subprocess
import time
from dataclasses import dataclass

import processor
from ways import SENDER_DOMAIN, Way

SESSIONS = 20
SIZE = 2048
SENDER = f"bob@{SENDER_DOMAIN}"

_SECONDS_A_MESSAGE = 0.5
_PATIENCE = 30.0
_SENT = re.compile(r" postfix/smtp\[[0-9]+\]: ([0-9A-Za-z]+): .* status=sent ")
_TROUBLE = re.compile(r" status=(?:deferred|bounced)|NOQUEUE: |: (?:fatal|panic|error): ")


class LostMailError(Exception):
    """Not every message arrived, once."""


@dataclass(frozen=True, slots=True)
class Round:
    """rate: messages/s, from the first connection to the last arrival. cpu: program → ms/message."""

    rate: float
    cpu: dict[str, float]


def run(way: Way, messages: int, sessions: int = SESSIONS) -> Round:
    """Send, in so many sessions at a time, and measure. Raises LostMailError."""
    log_start = way.log.stat().st_size
    count_start = way.sink.count()
    before = processor.by_program(way.master, way.programs)
    begun = time.monotonic()
    _send(way, messages, sessions)
    patience = _PATIENCE + messages * _SECONDS_A_MESSAGE
    arrived = _await(lambda: way.sink.count() - count_start >= messages, patience)
    elapsed = time.monotonic() - begun
    settled = _await(lambda: way.settled() and _sent(_log(way, log_start)) >= messages, _PATIENCE)
    after = processor.by_program(way.master, way.programs)
    log = _log(way, log_start)
    count = way.sink.count() - count_start
    if not arrived or not settled or count != messages or _sent(log) != messages or _TROUBLE.search(log):
        trouble = [line for line in log.splitlines() if _TROUBLE.search(line)][:3]
        told = f"{count} of {messages} arrived, {_sent(log)} sent according to the log"
        raise LostMailError("\n  ".join([f"{way.name}: {told}", *trouble]))
    cpu = {name: (after[name] - before[name]) * 1000 / messages for name in before}
    return Round(messages / elapsed, cpu)


def await_settled(way: Way) -> None:
    """Until the work that follows deliveries is done. Raises LostMailError."""
    if not _await(way.settled, _PATIENCE):
        raise LostMailError(f"{way.name}: what was delivered is not in the database after {_PATIENCE:.0f} s")


def _send(way: Way, messages: int, sessions: int) -> None:
    options = ["-s", str(sessions), "-m", str(messages), "-l", str(SIZE), "-f", SENDER, "-t", way.recipient]
    done = subprocess.run(["smtp-source", *options, way.smtp], capture_output=True, text=True)
    if done.returncode:
        raise LostMailError(f"{way.name}: {done.stderr.strip()}")


def _await(condition: object, seconds: float) -> bool:
    """Whether the condition came true in time."""
    assert callable(condition)
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def _log(way: Way, start: int) -> str:
    with way.log.open("rb") as file:
        file.seek(start)
        return file.read().decode(errors="replace")


def _sent(log: str) -> int:
    """Distinct queue ids that smtp(8) has delivered to the sink."""
    return len(set(_SENT.findall(log)))
