"""Re-injection: hands a finished message to an smtpd of Postfix on a Unix socket, over kept connections.

One answer a message: Submitted with the new queue id, Refused (Postfix doesn't have it), or
Unknown (the connection was lost after the final dot, or cleanup(8) was: Postfix may have it or not).
A connection that turns out dead is replaced by a fresh one, once, and only while the dot hasn't
been sent.

Connections are kept without NOOP or RSET, of which smtpd tolerates about a hundred
(smtpd_junk_command_limit); one that is idle for long, has carried many messages, or saw a
refusal is closed.

DIAGNOSTICS
    Refused 451 4.4.1  nobody listens, or the peer hung up before the dot, on two connections.
    Refused 451 4.4.2  no time left before the dot was sent.
    Refused, as Postfix said it: any 4xx or 5xx reply, but for 451 4.3.0 after the dot.
    ValueError         an address or ident that could not stand in a command: the caller's bug.

STANDARDS
    RFC 5321, RFC 1870 (SIZE), RFC 2920 (PIPELINING), RFC 3461 (DSN: NOTIFY, RET),
    RFC 6152 (8BITMIME), RFC 6531 (SMTPUTF8), Postfix XFORWARD_README.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from postmask.clock import Clock, Deadline
from postmask.daemon import connect_unix
from postmask.reinjection.connection import LostError, Reply, SmtpConnection
from postmask.xtext import encode_xtext, octets

_WE: Mapping[str, str] = MappingProxyType({})
_IDLE_LIMIT = 60.0
_MESSAGES_LIMIT = 90

_ADDRESS = re.compile(
    r"(?:\"(?:[^\"\\\x00-\x1f\x7f]|\\[^\x00-\x1f\x7f])*\"|[^\s<>\"\x00-\x1f\x7f])*", re.ASCII
)
_QUEUED = re.compile(r"queued as ([0-9A-Za-z]+)")
_NAMED = re.compile(r"<[^<>]*@[^<>]*>")


@dataclass(frozen=True, slots=True)
class Submitted:
    """Postfix has it. queue_id: "" where its reply doesn't name one."""

    queue_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Postfix doesn't have it. text: printable ASCII, one line, without the addresses that Postfix named."""

    code: int
    status: str
    text: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Postfix may have it or not: the connection was lost after the final dot, or its cleanup(8) was.

    reason: for the log.
    """

    reason: str


_CLEANUP_LOST = (451, "4.3.0")
"""smtpd's answer to the final dot when a queue file could not be written, and also when cleanup(8) died
after it had written one, which Postfix then delivers."""

Outcome: TypeAlias = Submitted | Refused | Unknown


class Reinjector:
    """Safe for many threads; each submit has a connection to itself."""

    def __init__(
        self,
        socket_path: Path,
        clock: Clock,
        *,
        timeout: float = 10.0,
        pool_size: int = 20,
        name: str = "localhost",
    ) -> None:
        """timeout: seconds of a single wait; pool_size: connections kept when idle; name: for EHLO."""
        self._socket_path = socket_path
        self._clock = clock
        self._timeout = timeout
        self._pool_size = pool_size
        self._name = name
        self._lock = threading.Lock()
        self._pool: list[SmtpConnection] = []

    def submit(
        self,
        sender: str,
        recipients: Sequence[str],
        data: bytes,
        *,
        ident: str,
        client: Mapping[str, str] = _WE,
        smtputf8: bool = False,
        deadline: Deadline,
    ) -> Outcome:
        """Hand over one message to all recipients or to none.

        sender: "" is the null sender. data: headers and body, lines ending in CRLF. ident: goes into
        Postfix's log as orig_queue_id. client: XFORWARD's attributes of whom Postfix is to name as the
        message's client, where that isn't us. smtputf8: asked for where the listener offers it.
        """
        job = _Job(sender, tuple(recipients), data, ident, client, smtputf8)
        job.check()
        lost = LostError("no time was left")
        for fresh in (False, True):
            if deadline.passed:
                break
            try:
                connection = (None if fresh else self._take()) or self._open(deadline)
                return self._attempt(connection, job, deadline)
            except LostError as error:
                # Not the error itself: its traceback leads back to here, and the message would lie in
                # memory until Python looks for such circles.
                lost = LostError(error.reason, error.reply)
        if lost.reply is not None:
            return _refused(lost.reply)
        return Refused(451, "4.4.2" if deadline.passed else "4.4.1", lost.reason)

    def close(self) -> None:
        """Hang up the kept connections."""
        with self._lock:
            kept, self._pool = self._pool, []
        for connection in kept:
            connection.quit()

    # -- connections -----------------------------------------------------------------------------

    def _open(self, deadline: Deadline) -> SmtpConnection:
        try:
            sock = connect_unix(self._socket_path, deadline.at_most(self._timeout))
        except OSError as error:
            raise LostError(f"cannot connect: {error.strerror or type(error).__name__}") from error
        connection = SmtpConnection(sock, self._timeout)
        try:
            connection.introduce(self._name, deadline)
        except LostError:
            connection.close()
            raise
        return connection

    def _take(self) -> SmtpConnection | None:
        """The kept connection that was used last, if it is alive."""
        while True:
            with self._lock:
                if not self._pool:
                    return None
                connection = self._pool.pop()
            idle = self._clock.monotonic() - connection.idle_since
            if idle <= _IDLE_LIMIT and not connection.stale:
                return connection
            connection.quit()

    def _keep(self, connection: SmtpConnection) -> None:
        connection.dot_sent = False
        connection.messages += 1
        connection.idle_since = self._clock.monotonic()
        with self._lock:
            if connection.messages < _MESSAGES_LIMIT and len(self._pool) < self._pool_size:
                self._pool.append(connection)
                return
        connection.quit()

    # -- a message -------------------------------------------------------------------------------

    def _attempt(self, connection: SmtpConnection, job: _Job, deadline: Deadline) -> Outcome:
        """One try on one connection; LostError: the dot was not sent."""
        try:
            refusal = _offer(connection, job, deadline) or connection.write_message(job.data, deadline)
            reply = refusal or connection.read_reply(deadline)
        except LostError as lost:
            connection.close()
            if connection.dot_sent:
                return Unknown(lost.reason)
            raise
        if refusal is None and reply.positive:
            self._keep(connection)
            match = _QUEUED.search(reply.text)
            return Submitted(match[1] if match else "")
        connection.close()
        if refusal is None and (reply.code, reply.status) == _CLEANUP_LOST:
            return Unknown(f"{reply.code} {reply.status} {reply.text}")
        if refusal is not None and (refusal.positive or refusal.code == 421):
            raise LostError("the peer is out of step", refusal if refusal.code == 421 else None)
        return _refused(reply)


@dataclass(frozen=True, slots=True)
class _Job:
    """What submit() was asked for."""

    sender: str
    recipients: tuple[str, ...]
    data: bytes
    ident: str
    client: Mapping[str, str]
    smtputf8: bool

    def check(self) -> None:
        """Nothing in it may end a command or grow a parameter."""
        if not self.recipients or not all(self.recipients):
            raise ValueError("a message wants at least one recipient, each with an address")
        if not all(_ADDRESS.fullmatch(address) for address in (self.sender, *self.recipients)):
            raise ValueError("an envelope address could not stand in an SMTP command")

    def commands(self, extensions: Mapping[str, str]) -> Sequence[bytes]:
        """XFORWARD (of what is offered), MAIL, RCPT for each, DATA."""
        dsn = "DSN" in extensions
        mail = f"MAIL FROM:<{self.sender}>"
        if "SIZE" in extensions:
            mail += f" SIZE={len(self.data)}"
        if "8BITMIME" in extensions:
            mail += " BODY=8BITMIME"
        if self.smtputf8 and "SMTPUTF8" in extensions:
            mail += " SMTPUTF8"
        if dsn:
            mail += " RET=HDRS"
        notify = " NOTIFY=FAILURE" if dsn else ""
        lines = [mail, *(f"RCPT TO:<{recipient}>{notify}" for recipient in self.recipients), "DATA"]
        told = {"IDENT": self.ident, **self.client}
        offered = extensions.get("XFORWARD", "").upper().split()
        words = [f"{name}={_xtext(value)}" for name, value in told.items() if name in offered]
        if words:
            lines.insert(0, f"XFORWARD {' '.join(words)}")
        return [octets(line) + b"\r\n" for line in lines]


def _xtext(plain: str) -> str:
    return encode_xtext(octets(plain)).decode("ascii")


def _offer(connection: SmtpConnection, job: _Job, deadline: Deadline) -> Reply | None:
    """Everything up to DATA's 354 (None), or the reply that stopped it.

    A recipient that is refused stops all of it: 354 for the others is answered by hanging up,
    which makes Postfix forget them. A refused XFORWARD is no reason to keep mail back.
    """
    commands = job.commands(connection.extensions)
    pipelining = "PIPELINING" in connection.extensions
    if pipelining:
        connection.write(b"".join(commands), deadline)
    for command in commands:
        if not pipelining:
            connection.write(command, deadline)
        reply = connection.read_reply(deadline)
        wanted = 354 if command == b"DATA\r\n" else 250
        if reply.code != wanted and not (command.startswith(b"XFORWARD") and reply.code >= 500):
            return reply
    return None


def _refused(reply: Reply) -> Refused:
    return Refused(reply.code, reply.status, _NAMED.sub("<...>", reply.text))
