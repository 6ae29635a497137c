"""One LMTP connection: moves octets between a socket and a Session, and asks the handler.

DIAGNOSTICS
    As in lmtp.py. A peer that hangs up is logged only when it did so within a message; Postfix
    then still has the message. One that leaves without a word has only looked whether we are there.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from postmask.clock import Clock, Deadline
from postmask.fault import fault
from postmask.log import line
from postmask.verdict import Verdict, unavailable
from postmask_transport.lmtp_events import (
    Closing,
    Envelope,
    Limits,
    MessageGiven,
    TooLarge,
)
from postmask_transport.lmtp_protocol import Session

_CHUNK = 262_144

_log = logging.getLogger(__name__)


class Handler(Protocol):
    """Who decides. Called from many threads at once; whatever it raises is a deferral."""

    def message(self, envelope: Envelope, data: bytes, deadline: Deadline) -> Sequence[Verdict]:
        """The answers after the dot: one for each of envelope.recipients, in their order."""


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds.

    idle:     silence between messages.
    command:  silence within a message.
    transfer: from MAIL to the final dot.
    message:  what the handler gets, from the dot on.
    drain:    what a stop waits for what is in hand, if the handler doesn't get more.
    """

    idle: float = 60.0
    command: float = 30.0
    transfer: float = 120.0
    message: float = 25.0
    drain: float = 30.0


@dataclass(frozen=True, slots=True)
class Service:
    """What all connections of a server share."""

    handler: Handler
    clock: Clock
    host: str
    limits: Limits
    times: Times


class Stop:
    """A request to stop that wakes whoever polls its descriptor, now and later."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._lock = threading.Lock()
        self._event = threading.Event()
        self.fd, self._write_end = os.pipe()
        self.deadline = Deadline(clock, float("inf"))

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    def request(self) -> None:
        """Any thread may call it, more than once."""
        with self._lock:
            if not self._event.is_set():
                self.deadline = Deadline.after(self._clock, self._seconds)
                self._event.set()
                os.close(self._write_end)

    def wait(self, seconds: float) -> bool:
        """Sleep, but for a request."""
        return self._event.wait(seconds)


class Connection:
    """run() leads the whole dialogue and closes the socket. The socket must be non-blocking."""

    def __init__(self, service: Service, stop: Stop, sock: socket.socket) -> None:
        self._service = service
        self._stop = stop
        self._sock = sock
        self._session = Session(service.host, service.limits)
        self._poll = select.poll()
        self._poll.register(stop.fd, select.POLLIN)
        self._deadline = Deadline.after(service.clock, service.times.idle)
        self._was_in_transaction = False
        self._has_spoken = False

    def run(self) -> None:
        """Until either side closes. Never raises."""
        try:
            self._session.greet()
            while self._step():
                pass
        except OSError as error:
            if self._has_spoken:
                line(_log, logging.INFO, "lmtp.connection_failed", error=error.strerror or str(error))
        except Exception as error:  # noqa: BLE001 - a fault here must cost one connection, not the server
            line(_log, logging.ERROR, "lmtp.connection_failed", error=fault(error))
        finally:
            with contextlib.suppress(OSError):
                self._sock.close()

    def _step(self) -> bool:
        """Deal with the next event; False: the connection is at its end."""
        event = self._session.next_event()
        match event:
            case None:
                return self._read(asked=self._flush())
            case MessageGiven():
                self._session.answer_message(self._ask_message(event))
                self._restart(in_transaction=False)
            case TooLarge():
                self._restart(in_transaction=False)
                line(
                    _log,
                    logging.ERROR,
                    "lmtp.too_large",
                    queue_id=event.envelope.client.queue_id,
                    octets=event.octets,
                    limit=self._service.limits.size,
                )
            case Closing():
                self._flush()
                return False
        return True

    # -- asking ----------------------------------------------------------------------------------

    def _ask_message(self, event: MessageGiven) -> Sequence[Verdict]:
        wanted = len(event.envelope.recipients)
        deadline = Deadline.after(self._service.clock, self._service.times.message)
        try:
            verdicts = tuple(self._service.handler.message(event.envelope, event.data, deadline))
            if len(verdicts) == wanted and all(isinstance(verdict, Verdict) for verdict in verdicts):
                return verdicts
            trouble = f"{len(verdicts)} verdicts for {wanted} recipients"
        except Exception as error:  # noqa: BLE001 - an unknown exception is a deferral
            trouble = fault(error)
        queue_id = event.envelope.client.queue_id
        line(_log, logging.ERROR, "lmtp.handler_failed", queue_id=queue_id, error=trouble)
        return (unavailable(trouble),) * wanted

    # -- moving octets ---------------------------------------------------------------------------

    def _read(self, *, asked: bool) -> bool:
        """Take in what comes next; silence and a stop end the session with a word. False: hung up.

        asked: the peer was just sent something to answer, so there is nothing to read yet.
        """
        if self._session.in_transaction != self._was_in_transaction:
            self._restart(self._session.in_transaction)
        if self._stop.requested and not self._session.in_transaction:
            return self._turn_away("421 4.3.2 stopping, try again")
        try:
            data = None if asked else self._sock.recv(_CHUNK)
        except BlockingIOError:
            data = None
        if data is None:
            return self._wait(select.POLLIN) or self._give_up()
        if not data and self._session.in_transaction:
            line(_log, logging.INFO, "lmtp.connection_failed", error="the peer hung up within a message")
        self._has_spoken = self._has_spoken or bool(data)
        self._session.receive(data)
        return bool(data)

    def _give_up(self) -> bool:
        within = self._session.in_transaction
        level = logging.WARNING if within else logging.INFO
        line(_log, level, "lmtp.timeout", within_message=within)
        return self._turn_away("421 4.4.2 waited too long")

    def _restart(self, in_transaction: bool) -> None:
        """The clock of a message, or of the silence between two, starts."""
        self._was_in_transaction = in_transaction
        times = self._service.times
        seconds = times.transfer if in_transaction else times.idle
        self._deadline = Deadline.after(self._service.clock, seconds)

    def _wait(self, mask: int) -> bool:
        """Until the socket is ready or a stop is requested (True), or time is up (False)."""
        silence = self._service.times.command if self._session.in_transaction else self._service.times.idle
        seconds = min(self._deadline.at_most(silence), self._stop.deadline.left())
        if seconds <= 0:
            return False
        self._poll.register(self._sock, mask)
        if self._stop.requested:
            # Its descriptor stays ready from now on; what is in hand is waited for without it.
            with contextlib.suppress(KeyError):
                self._poll.unregister(self._stop.fd)
        return bool(self._poll.poll(seconds * 1000))

    def _flush(self) -> bool:
        """Send the replies so far; False: there were none."""
        output = self._session.take_output()
        said = bool(output)
        while output:
            try:
                output = output[self._sock.send(output) :]
            except BlockingIOError:
                if not self._wait(select.POLLOUT):
                    raise TimeoutError("the peer does not read its replies") from None
        return said

    def _turn_away(self, reply: str) -> bool:
        self._session.turn_away(reply)
        return True
