"""One connection to the gate: requests read, answers written, each answer once and in time.

The thread that owns a conversation runs it; another one, which looks at all of them now and then,
answers in its place where the decision takes too long. Postfix asks again when it has waited in vain,
on a new connection: a late answer would only cost it patience and us the question twice.

DIAGNOSTICS
    A request that is no RCPT question to us but ought to be one (unknown kind, no recipient) is
    answered 451 4.3.0: we can't tell. So is one that was not decided within the deadline.
    From run(): Malformed when the peer sends no requests at all, TimeoutError when it doesn't finish
    one or is silent for too long, other OSErrors when it is gone.

STANDARDS
    Postfix SMTPD_POLICY_README.
"""

from __future__ import annotations

import contextlib
import socket
import threading

from postmask.address import quoted
from postmask.clock import Clock, Deadline
from postmask.verdict import Verdict, unavailable
from postmask_milter.alias import Answer
from postmask_milter.policy import Request, RequestReader, answer

CHUNK = 16_384
IDLE = 1_200.0
"""Seconds of silence after which a connection is given up: beyond Postfix's own limits
(smtpd_policy_service_max_idle 300 s, max_ttl 1,000 s), so that it never finds one closed on it."""


class Conversation:
    """deadline: seconds for a request, once begun, to be complete, and for its answer."""

    def __init__(self, connection: socket.socket, rcpt: Answer, clock: Clock, deadline: float) -> None:
        self._connection = connection
        self._rcpt = rcpt
        self._clock = clock
        self._deadline = deadline
        self._answering = threading.Lock()
        self._asked_at: float | None = None

    def run(self) -> None:
        """Until the peer has no more to say."""
        reader = RequestReader()
        begun: Deadline | None = None
        while True:
            if not reader.begun:
                begun = None
            elif begun is None:
                begun = Deadline.after(self._clock, self._deadline)
            self._connection.settimeout(IDLE if begun is None else _left(begun))
            data = self._connection.recv(CHUNK)
            if not data:
                return
            for request in reader.receive(data):
                asked_at = self._asked_at = self._clock.monotonic()
                self._say(verdict_on(request, self._rcpt), asked_at)

    def hurry(self, now: float) -> bool:
        """Answer 451 if a decision is overdue, and hang up. To be called by another thread; now: monotonic.

        Postfix's next question goes to a new connection, and not behind the one that is stuck.
        """
        asked_at = self._asked_at
        if asked_at is None or now - asked_at < self._deadline:
            return False
        said = self._say(unavailable("no answer within the deadline"), asked_at)
        if said:
            self._connection.shutdown(socket.SHUT_RDWR)
        return said

    def hang_up(self) -> None:
        """Read no further: what has arrived is still answered, then run() ends."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RD)

    def _say(self, verdict: Verdict | None, asked_at: float) -> bool:
        """Answer the request that came then. False if it was answered already; the next may be open."""
        with self._answering:
            if self._asked_at != asked_at:
                return False
            self._asked_at = None
            # Never waits: an answer is a line, and a peer that doesn't take it has stopped reading.
            self._connection.setblocking(False)
            self._connection.send(answer(verdict))
            return True


def verdict_on(request: Request, rcpt: Answer) -> Verdict | None:
    """What a request is answered. None: no opinion."""
    if request.get("request") != "smtpd_access_policy":
        return unavailable("unknown kind of policy request")
    state = request.get("protocol_state")
    if state is not None and state != "RCPT":
        return None
    recipient, sender = request.get("recipient"), request.get("sender")
    if not state or not recipient or sender is None:
        return unavailable("a policy request without what RCPT has")
    client = request.get("client_address") or ""
    return rcpt(quoted(recipient), quoted(sender), client, request.get("queue_id") or "")


def _left(deadline: Deadline) -> float:
    left = deadline.left()
    if left <= 0:
        raise TimeoutError
    return left
