"""One question to one engine: connect, send, read, all under one absolute deadline.

Sending and reading go on at once, so that an engine which answers before it has read everything is
heard, and one which doesn't read holds us no longer than the deadline. The time-outs of single waits
come from the deadline each: octets that drip in don't buy time.

DIAGNOSTICS
    EngineError: REFUSED, CONNECT_TIMEOUT, TIMEOUT, RESET; NONSENSE for a judgement that came before the
    message was sent; and what the reader raises.
"""

from __future__ import annotations

import contextlib
import math
import select
import socket
from collections import deque
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

from postmask.clock import Deadline
from postmask.daemon import connect_unix
from postmask.spam.engine import Question
from postmask.spam.judgement import EngineError, Reason

T = TypeVar("T")

Address: TypeAlias = Path | tuple[str, int]
"""A Unix socket's path, or IP address and port."""

_PIECE = 262_144
_READABLE = select.POLLIN | select.POLLHUP | select.POLLERR


def ask(address: Address, question: Question[T], connect: float, deadline: Deadline) -> T:
    """The answer. connect: seconds that connecting may take. Raises EngineError."""
    with contextlib.closing(_connected(address, deadline.at_most(connect))) as connection:
        connection.setblocking(False)
        return _Conversation(connection, question).held(deadline)


def _connected(address: Address, seconds: float) -> socket.socket:
    if seconds <= 0:
        raise EngineError(Reason.CONNECT_TIMEOUT)
    try:
        if isinstance(address, Path):
            return connect_unix(address, seconds)
        # The address is an IP address: nobody is asked for it.
        connection = socket.create_connection(address, seconds)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except TimeoutError:
        raise EngineError(Reason.CONNECT_TIMEOUT) from None
    except OSError as error:
        raise EngineError(Reason.REFUSED, error.strerror or type(error).__name__) from None
    return connection


class _Conversation(Generic[T]):
    def __init__(self, connection: socket.socket, question: Question[T]) -> None:
        self._connection = connection
        self._question = question
        self._unsent: deque[memoryview] = deque(memoryview(part) for part in question.parts if part)
        self._send_broken = False

    def held(self, deadline: Deadline) -> T:
        poller = select.poll()
        while True:
            events = select.POLLIN | (select.POLLOUT if self._unsent and not self._send_broken else 0)
            poller.register(self._connection, events)
            left = deadline.left()
            if left <= 0:
                raise EngineError(Reason.TIMEOUT)
            for _, event in poller.poll(math.ceil(left * 1_000)):
                if event & select.POLLOUT:
                    self._send()
                if event & _READABLE:
                    answer = self._receive()
                    if answer is not None:
                        return answer

    def _send(self) -> None:
        part = self._unsent[0]
        try:
            sent = self._connection.send(part[:_PIECE])
        except BlockingIOError:
            return
        except OSError:
            # It may have said why before it closed.
            self._send_broken = True
            return
        if sent < len(part):
            self._unsent[0] = part[sent:]
        else:
            self._unsent.popleft()
        if not self._unsent and self._question.half_close:
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_WR)

    def _receive(self) -> T | None:
        try:
            octets = self._connection.recv(_PIECE)
        except BlockingIOError:
            return None
        except OSError as error:
            raise EngineError(Reason.RESET, error.strerror or type(error).__name__) from None
        if not octets and self._unsent:
            raise EngineError(Reason.RESET, "closed before it had the message")
        answer = self._question.reader.feed(octets) if octets else self._question.reader.end()
        if answer is not None and self._unsent:
            raise EngineError(Reason.NONSENSE, "answered before it had the message")
        return answer
