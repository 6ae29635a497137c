"""The gate: a policy service on a Unix socket that gives Postfix the RCPT verdict on our domains.

It gives the verdict itself, not just a sign of life: a milter that dies in the middle of a session
leaves the rest of it unchecked, the gate doesn't. Postfix asks it for our domains alone
(check_recipient_access chooses them), at RCPT, and defers where it has no answer.

One thread a connection, since Postfix keeps one open for each smtpd process and waits for each
answer. A connection may stay silent for long between requests; a request that has begun must be
there, and answered, within the command deadline.

DIAGNOSTICS
    action=DUNNO: accepted, or none of our business (not at RCPT). action=4xx or 5xx with status and
    text: the verdict, or 451 4.3.0 where we can't tell (in time). Never OK.
    What isn't even a request closes the connection, and so does one that isn't finished in time;
    Postfix then gives its default action, which defers.
    Beyond max_connections, and without a thread to be had, a request is answered 450 4.3.2 and the
    connection closed.

STANDARDS
    Postfix SMTPD_POLICY_README.
"""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import threading

from postmask.clock import Clock
from postmask.daemon import begin, lasting
from postmask.verdict import defer
from postmask_milter.alias import Answer
from postmask_milter.conversation import CHUNK, Conversation
from postmask_milter.policy import Malformed, RequestReader, answer

LOGGER = logging.getLogger(__name__)

_BUSY = defer("4.3.2", "too busy, try again later", "no room for another gate connection")
_OVERFLOW_PATIENCE = 0.2
_ROUND = 0.1
"""Seconds between two looks at what is overdue, and of rest after an accept() that failed."""


class Gate:
    """Serves a listening socket until it is told to stop.

    deadline: seconds for a request, once begun, to be complete, and for its answer.
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
        self._conversations: set[Conversation] = set()
        self._stopping = False

    def start(self) -> None:
        """Serve in a thread of its own."""
        begin(lasting("gate", self.serve))

    def close(self, timeout: float) -> bool:
        """Stop, and wait for the end, at most that many seconds. True if it has come."""
        self.stop()
        return self.drained(timeout)

    def serve(self) -> None:
        """Accept connections until stop()."""
        begin(lasting("gate-deadline", self._hurry))
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
                select.select([self._wake_reader], [], [], _ROUND)
                continue
            self._begin(connection)

    def stop(self) -> None:
        """Accept nothing more; let each connection finish the requests that have arrived, and end."""
        with self._changed:
            self._stopping = True
            for conversation in self._conversations:
                conversation.hang_up()
        self._wake_writer.send(b"\0")

    def drained(self, timeout: float) -> bool:
        """Wait until no connection is left, at most that many seconds. True if none is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._conversations, timeout)

    def _begin(self, connection: socket.socket) -> None:
        conversation = Conversation(connection, self._rcpt, self._clock, self._deadline)
        with self._changed:
            room = len(self._conversations) < self._max_connections and not self._stopping
            if room:
                self._conversations.add(conversation)
        if not room:
            LOGGER.warning("the gate has %d connections and takes no more", self._max_connections)
            self._turn_away(connection)
            return
        try:
            begin(threading.Thread(target=self._run, args=(connection, conversation), daemon=True))
        except OSError as error:
            LOGGER.error("the gate can't serve a connection: %s", error.strerror)
            self._forget(conversation)
            self._turn_away(connection)

    def _run(self, connection: socket.socket, conversation: Conversation) -> None:
        """The life of one connection, in its thread."""
        try:
            with connection:
                conversation.run()
        except TimeoutError:
            LOGGER.warning("a gate connection was closed: silent for too long, or a request not finished")
        except Malformed as error:
            LOGGER.warning("a gate connection was closed: %s", error)
        except OSError as error:
            LOGGER.info("a gate connection was lost: %s", error)
        finally:
            self._forget(conversation)

    def _hurry(self) -> None:
        """Answer in place of decisions that take too long."""
        while not select.select([self._wake_reader], [], [], _ROUND)[0]:
            now = self._clock.monotonic()
            with self._changed:
                running = tuple(self._conversations)
            for conversation in running:
                with contextlib.suppress(OSError):
                    if conversation.hurry(now):
                        LOGGER.warning("the gate had no answer within %.1f s", self._deadline)

    def _turn_away(self, connection: socket.socket) -> None:
        """A connection that nobody can lead: answer what it asks first, if it asks at once, and close.

        Read before the answer, since Postfix would see a reset where unread data is thrown away.
        """
        reader = RequestReader()
        with connection, contextlib.suppress(OSError, Malformed):
            connection.settimeout(_OVERFLOW_PATIENCE)
            while not list(reader.receive(connection.recv(CHUNK))):
                if not reader.begun:
                    return
            connection.sendall(answer(_BUSY))

    def _forget(self, conversation: Conversation) -> None:
        with self._changed:
            self._conversations.discard(conversation)
            self._changed.notify_all()
