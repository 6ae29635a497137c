"""The gate: a policy service on a Unix socket that gives Postfix the RCPT verdict on our domains.

It gives the verdict itself, not just a sign of life: a milter that dies in the middle of a session
leaves the rest of it unchecked, the gate doesn't. Postfix asks it for our domains alone
(check_recipient_access chooses them), at RCPT, and defers where it has no answer.

One thread a connection, since Postfix keeps one open for each smtpd process and waits for each
answer. A connection may stay silent for long between requests; a request that has begun must be
there within the command deadline.

DIAGNOSTICS
    action=DUNNO: accepted, or none of our business (not at RCPT). action=4xx or 5xx with status and
    text: the verdict. Never OK.
    A request that is no RCPT question to us but ought to be one (unknown kind, no recipient) is
    answered 451 4.3.0: we can't tell. One that isn't even a request closes the connection, and so
    does one that isn't finished in time; Postfix then gives its default action.
    Beyond max_connections a request is answered 451 4.3.2 and the connection closed.

STANDARDS
    Postfix SMTPD_POLICY_README.
"""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import threading
from collections.abc import Callable

from postmask.address import Address
from postmask.clock import Clock, Deadline
from postmask.verdict import Verdict, defer, unavailable
from postmask_milter.policy import Malformed, Request, RequestReader, answer

LOGGER = logging.getLogger(__name__)

CHUNK = 16_384
IDLE = 1_200.0
"""Seconds of silence after which a connection is given up: beyond Postfix's own limits
(smtpd_policy_service_max_idle 300 s, max_ttl 1,000 s), so that it never finds one closed on it."""

_BUSY = defer("4.3.2", "too busy, try again later", "too many gate connections")
_OVERFLOW_PATIENCE = 0.2
_PAUSE_AFTER_ERROR = 0.1

Answer = Callable[[str, str, str], Verdict | None]
"""Of recipient, envelope sender and queue id ("" while there is none)."""


class Gate:
    """Serves a listening socket until it is told to stop.

    deadline: seconds for a request, once begun, to be complete, and for an answer to be taken.
    """

    def __init__(
        self,
        listener: socket.socket,
        rcpt: Answer,
        clock: Clock,
        *,
        deadline: float,
        max_connections: int,
    ) -> None:
        self._listener = listener
        self._rcpt = rcpt
        self._clock = clock
        self._deadline = deadline
        self._max_connections = max_connections
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._changed = threading.Condition()
        self._connections: set[socket.socket] = set()
        self._stopping = False

    def serve(self) -> None:
        """Accept connections until stop()."""
        self._listener.setblocking(False)
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        poll.register(self._wake_reader, select.POLLIN)
        while True:
            poll.poll()
            if self._stopping:
                return
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, ConnectionError):
                continue
            except OSError as error:
                LOGGER.error("the gate can't accept a connection: %s", error)
                select.select([self._wake_reader], [], [], _PAUSE_AFTER_ERROR)
                continue
            self._begin(connection)

    def stop(self) -> None:
        """Accept nothing more; let each connection finish the requests that have arrived, and end."""
        with self._changed:
            self._stopping = True
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)
        self._wake_writer.send(b"\0")

    def drained(self, timeout: float) -> bool:
        """Wait until no connection is left, at most that many seconds. True if none is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._connections, timeout)

    def _begin(self, connection: socket.socket) -> None:
        with self._changed:
            room = len(self._connections) < self._max_connections and not self._stopping
            if room:
                self._connections.add(connection)
        if not room:
            self._turn_away(connection)
            return
        try:
            threading.Thread(target=self._run, args=(connection,), daemon=True).start()
        except RuntimeError:  # no more threads to be had
            self._forget(connection)
            self._turn_away(connection)

    def _run(self, connection: socket.socket) -> None:
        """The life of one connection, in its thread."""
        try:
            with connection:
                self._converse(connection)
        except TimeoutError:
            LOGGER.warning("a gate connection was closed: silent for too long, or a request not finished")
        except Malformed as error:
            LOGGER.warning("a gate connection was closed: %s", error)
        except OSError as error:
            LOGGER.info("a gate connection was lost: %s", error)
        finally:
            self._forget(connection)

    def _converse(self, connection: socket.socket) -> None:
        reader = RequestReader()
        deadline: Deadline | None = None
        while True:
            if not reader.begun:
                deadline = None
            elif deadline is None:
                deadline = Deadline.after(self._clock, self._deadline)
            connection.settimeout(IDLE if deadline is None else _left(deadline))
            data = connection.recv(CHUNK)
            if not data:
                return
            for request in reader.receive(data):
                connection.settimeout(self._deadline)
                connection.sendall(answer(self._verdict(request)))

    def _verdict(self, request: Request) -> Verdict | None:
        """What a request is answered."""
        if request.get("request") != "smtpd_access_policy":
            return unavailable("unknown kind of policy request")
        state = request.get("protocol_state")
        if state is not None and state != "RCPT":
            return None
        recipient, sender = request.get("recipient"), request.get("sender")
        if not state or not recipient or sender is None:
            return unavailable("a policy request without what RCPT has")
        return self._rcpt(quoted(recipient), quoted(sender), request.get("queue_id") or "")

    def _turn_away(self, connection: socket.socket) -> None:
        """One connection too many: answer what it asks first, if it asks at once, and close.

        Read before the answer, since Postfix would see a reset where unread data is thrown away.
        """
        LOGGER.warning("the gate has %d connections and takes no more", len(self._connections))
        reader = RequestReader()
        with connection, contextlib.suppress(OSError, Malformed):
            connection.settimeout(_OVERFLOW_PATIENCE)
            while not list(reader.receive(connection.recv(CHUNK))):
                if not reader.begun:
                    return
            connection.sendall(answer(_BUSY))

    def _forget(self, connection: socket.socket) -> None:
        with self._changed:
            self._connections.discard(connection)
            self._changed.notify_all()


def quoted(address: str) -> str:
    """An address as Postfix's policy client gives it, without the quotes that SMTP needs, with them."""
    local, at, domain = address.rpartition("@")
    if not at:
        return address
    return str(Address(local, domain))


def _left(deadline: Deadline) -> float:
    left = deadline.left()
    if left <= 0:
        raise TimeoutError
    return left
