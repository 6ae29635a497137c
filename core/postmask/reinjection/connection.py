"""One SMTP client connection to Postfix's re-injection listener: octets, replies, deadlines.

DIAGNOSTICS
    LostError   the peer hung up, refused to talk, or did not talk SMTP. sent_dot says whether the
                message's end had left the house, after which nobody knows what became of it.

STANDARDS
    RFC 5321 §4.2 (replies), §4.5.2 (transparency); RFC 2034 (enhanced status codes).
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from postmask.clock import Deadline

_LINE = re.compile(rb"([2345][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_STATUS = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?: |$)")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")
_LINE_LIMIT = 4096
_LINES_LIMIT = 100
_END = b".\r\n"


class LostError(Exception):
    """The connection is of no more use. reply: the one that said so, where there was one (421)."""

    def __init__(self, reason: str, reply: Reply | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Reply:
    """code: 200 to 599; lines: the texts behind it, printable ASCII, at least one."""

    code: int
    lines: tuple[str, ...]

    @property
    def positive(self) -> bool:
        return self.code < 400

    @property
    def status(self) -> str:
        """RFC 3463 status of the last line; x.0.0 where it has none that agrees with the code."""
        match = _STATUS.match(self.lines[-1])
        if match and match[1][0] == str(self.code)[0]:
            return match[1]
        return f"{self.code // 100}.0.0"

    @property
    def text(self) -> str:
        """The last line without its status."""
        return _STATUS.sub("", self.lines[-1], count=1)


class SmtpConnection:
    """A connected socket, greeted and introduced; every wait ends at the deadline that is passed in."""

    def __init__(self, sock: socket.socket, wait: float) -> None:
        """wait: seconds that a single wait may take within a deadline."""
        sock.setblocking(False)
        self._sock = sock
        self._wait_limit = wait
        self._input = bytearray()
        self.dot_sent = False
        self.extensions: Mapping[str, str] = {}
        self.messages = 0
        self.idle_since = 0.0

    def introduce(self, name: str, deadline: Deadline) -> None:
        """Await the greeting, say EHLO, learn the extensions. LostError, with the reply, when turned away."""
        greeting = self.read_reply(deadline)
        if greeting.code != 220:
            raise LostError("turned away at the greeting", greeting)
        self.write(f"EHLO {name}\r\n".encode("ascii"), deadline)
        reply = self.read_reply(deadline)
        if reply.code != 250:
            raise LostError("turned away at EHLO", reply)
        words = (line.partition(" ") for line in reply.lines[1:])
        self.extensions = {keyword.upper(): parameters for keyword, _, parameters in words}

    @property
    def stale(self) -> bool:
        """True when the peer has hung up, or said something that nobody asked for."""
        try:
            self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def quit(self) -> None:
        """Say good-bye, without waiting for the answer, and hang up."""
        with contextlib.suppress(OSError):
            self._sock.send(b"QUIT\r\n")
        self.close()

    def close(self) -> None:
        """Hang up without a word: Postfix forgets a message whose dot it has not seen."""
        with contextlib.suppress(OSError):
            self._sock.close()

    def write(self, octets: bytes, deadline: Deadline) -> None:
        """All of it."""
        while octets:
            try:
                octets = octets[self._sock.send(octets) :]
            except BlockingIOError:
                self._await(select.POLLOUT, deadline)
            except OSError as error:
                raise self._lost(error) from error

    def write_message(self, data: bytes, deadline: Deadline) -> Reply | None:
        """The message, made transparent, and the final dot; None: all was sent.

        A peer that answers before the dot has been sent is listened to: its reply is returned and
        no dot follows. dot_sent turns True with the write that takes the last octet.
        """
        pieces = [memoryview(stuffed(data)), memoryview(_END)]
        while pieces:
            if self._input:
                return self.read_reply(deadline)
            try:
                count = self._sock.sendmsg(pieces)
            except BlockingIOError:
                if self._await(select.POLLOUT | select.POLLIN, deadline) & select.POLLIN:
                    return self.read_reply(deadline)
                continue
            except OSError as error:
                raise self._lost(error) from error
            while pieces and count >= len(pieces[0]):
                count -= len(pieces.pop(0))
            if pieces:
                pieces[0] = pieces[0][count:]
        self.dot_sent = True
        return None

    def read_reply(self, deadline: Deadline) -> Reply:
        """The next reply, with all its lines."""
        lines: list[str] = []
        while True:
            match = _LINE.fullmatch(self._read_line(deadline))
            if match is None or len(lines) >= _LINES_LIMIT:
                raise LostError("the reply is not SMTP")
            lines.append(_UNPRINTABLE.sub("?", (match[3] or b"").decode("latin-1")))
            if match[2] != b"-":
                return Reply(int(match[1]), tuple(lines))

    def _read_line(self, deadline: Deadline) -> bytes:
        while (end := self._input.find(b"\n")) < 0:
            if len(self._input) > _LINE_LIMIT:
                raise LostError("the reply is not SMTP")
            try:
                received = self._sock.recv(4096)
            except BlockingIOError:
                self._await(select.POLLIN, deadline)
                continue
            except OSError as error:
                raise self._lost(error) from error
            if not received:
                raise LostError("the peer hung up")
            self._input += received
        line = bytes(self._input[:end])
        del self._input[: end + 1]
        return line.removesuffix(b"\r")

    def _await(self, mask: int, deadline: Deadline) -> int:
        """Which of the events in mask has come; a peer that hung up counts as input."""
        seconds = deadline.at_most(self._wait_limit)
        poll = select.poll()
        poll.register(self._sock, mask)
        ready = poll.poll(seconds * 1000) if seconds > 0 else []
        if not ready:
            raise LostError("the peer did not answer in time")
        event = ready[0][1]
        return event if event & mask else select.POLLIN

    def _lost(self, error: OSError) -> LostError:
        return LostError(f"the connection broke: {error.strerror or type(error).__name__}")


def stuffed(data: bytes) -> bytes:
    """As it goes over the wire, without the final dot: dots doubled, ending in CRLF.

    A dot behind a bare LF is doubled too. Postfix ends lines there as well, so it takes that dot
    away again; left alone, LF "." CRLF would end the message, and what follows would be commands.
    """
    if data.endswith(b"\n") and not data.endswith(b"\r\n"):
        data = data[:-1] + b"\r\n"
    elif data and not data.endswith(b"\r\n"):
        data += b"\r\n"
    data = data.replace(b"\n.", b"\n..")
    return b"." + data if data.startswith(b".") else data
