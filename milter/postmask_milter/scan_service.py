"""The process of the scan milter: its parts, put together."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from functools import partial

from postmask.clock import Clock, Deadline
from postmask_milter.adapter import Running, scan_milter
from postmask_milter.examiner import Examiner
from postmask_milter.scan import Message, Outcome, Session
from postmask_milter.service import MilterPart, Part, Service
from postmask_milter.signals import Signals
from postmask_milter.workers import Workers

LOOKUPS = 8
"""Threads that look recipients up at DATA: as many as there are pooled database connections."""

SPARE = 20
"""Messages in hand beyond those whose spam is checked, and as many that may wait for a thread."""

CLOSING = 0.5
"""Seconds beyond the budget for what follows the questions to others."""


def assemble(
    examiner: Examiner,
    beside: Sequence[Part],
    clock: Clock,
    *,
    budget: float,
    lookup: float,
    most: int,
    size_limit: int,
    listener: socket.socket,
    signals: Signals,
    notify: Callable[[str], None],
) -> Service:
    """The service of these parts; the socket listens already.

    beside: parts that outlive the milter. budget: seconds for a message at its end. lookup: seconds at
    DATA. most: messages whose spam may be checked at once. size_limit: octets of a message. notify:
    systemd's (postmask.daemon).
    """
    recipients = Workers("recipients", LOOKUPS)
    messages = Workers("messages", most + SPARE, SPARE)

    def all_ours(named: Sequence[str]) -> bool:
        return recipients.ask(partial(examiner.all_ours, named), lookup) or False

    def examine(message: Message) -> Outcome:
        deadline = Deadline.after(clock, budget)
        examined = messages.ask(partial(examiner.examine, message, deadline), budget + CLOSING)
        return examiner.answer(message, examined)

    running = Running()
    kind = scan_milter(lambda: Session(all_ours, examine, size_limit), running)
    milter = MilterPart(kind, (recipients, messages), running, listener, signals)
    return Service("the scan milter", milter, (*beside, milter), signals, notify, budget + 2 * CLOSING)
