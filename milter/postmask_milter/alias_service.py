"""The process of gate and alias milter: its parts, put together."""

from __future__ import annotations

import socket
from collections.abc import Callable

from postmask.clock import Clock
from postmask.config.sections import Milter as Settings
from postmask_milter.accepted import Accepted
from postmask_milter.adapter import Running, alias_milter
from postmask_milter.gate import Gate
from postmask_milter.rcpt import Decider, InTime, Rcpt, Recorder
from postmask_milter.refusals import RefusalQueue
from postmask_milter.service import MilterPart, Service
from postmask_milter.signals import Signals
from postmask_milter.workers import Workers

PATIENCE = 5.0
"""Seconds for answers under way, and as many for what is to be recorded."""

WORKERS = 8
"""Threads that answer for the milter: as many as there are pooled database connections."""


def assemble(
    decider: Decider,
    recorder: Recorder,
    clock: Clock,
    settings: Settings,
    *,
    gate_socket: socket.socket,
    milter_socket: socket.socket,
    signals: Signals,
    notify: Callable[[str], None],
) -> Service:
    """The service of these parts; the sockets listen already. notify: systemd's (postmask.daemon)."""
    refusals = RefusalQueue(recorder)
    accepted = Accepted(clock)
    workers = Workers("rcpt", WORKERS)
    in_time = InTime(decider, workers, settings.command_deadline)
    at_gate = Rcpt(decider, refusals, clock, by="gate", ours=True)
    at_milter = Rcpt(in_time, refusals, clock, by="milter", ours=False)
    gate = Gate(
        gate_socket,
        accepted.keeping(at_gate.answer),
        clock,
        deadline=settings.command_deadline,
        max_connections=settings.max_connections,
    )
    running = Running()
    kind = alias_milter(accepted.repeating(at_milter.answer), running)
    milter = MilterPart(kind, (workers,), running, milter_socket, signals)
    parts = (refusals, milter, gate)
    return Service("the gate and the alias milter", milter, parts, signals, notify, PATIENCE)
