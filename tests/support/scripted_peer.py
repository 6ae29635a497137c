"""A server on a Unix socket that plays a script to each connection in turn: for faults on demand."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

GREETING = b"220 fake ESMTP\r\n"
OFFERS = b"PIPELINING SIZE DSN 8BITMIME SMTPUTF8 ENHANCEDSTATUSCODES".split()


class Peer:
    """One connection, seen from the server. read_* raise EOFError at the other side's end."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(20)
        self.input = b""

    def say(self, octets: bytes) -> None:
        """Send."""
        self.sock.sendall(octets)

    def read_until(self, end: bytes) -> bytes:
        """Everything up to and with the end."""
        while end not in self.input:
            received = self.sock.recv(65536)
            if not received:
                raise EOFError
            self.input += received
        found, _, self.input = self.input.partition(end)
        return found + end

    def read_line(self) -> bytes:
        """A command without its line end."""
        return self.read_until(b"\r\n")[:-2]

    def await_hangup(self) -> bytes:
        """What comes until the other side hangs up."""
        with contextlib.suppress(ConnectionResetError):
            while received := self.sock.recv(65536):
                self.input += received
        return self.input

    def open(self, offers: tuple[bytes, ...] = (*OFFERS, b"XFORWARD NAME IDENT")) -> None:
        """Greet, and answer EHLO or LHLO."""
        self.say(GREETING)
        self.read_line()
        lines = (b"fake", *offers)
        self.say(b"".join(b"250-%s\r\n" % line for line in lines[:-1]) + b"250 %s\r\n" % lines[-1])

    def take_envelope(self) -> list[bytes]:
        """Say 250 to everything up to DATA, and 354 to that; return the commands."""
        commands = []
        while True:
            commands.append(self.read_line())
            if commands[-1] == b"DATA":
                self.say(b"354 go on\r\n")
                return commands
            self.say(b"250 2.0.0 ok\r\n")

    def take_data(self) -> bytes:
        """The message as it came over the wire, with its end."""
        self.input = b"\r\n" + self.input
        return self.read_until(b"\r\n.\r\n")[2:]


class ScriptedPeer:
    """Plays scripts[n] to connection n; hangs up when a script returns. failures: what scripts raised."""

    def __init__(self, path: Path, scripts: list[Callable[[Peer], None]], *, backlog: int = 16) -> None:
        self.path = path
        self.connections = 0
        self.failures: list[BaseException] = []
        self._scripts = scripts
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(backlog)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        for script in self._scripts:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                script(Peer(sock))
            except (EOFError, ConnectionError):
                pass
            except BaseException as error:  # noqa: BLE001 - told to the test by finish()
                self.failures.append(error)
            finally:
                sock.close()

    def finish(self) -> None:
        """Await the scripts' end; raise what one of them raised."""
        self._thread.join(20)
        assert not self._thread.is_alive(), "a script did not come to its end"
        self.close()
        if self.failures:
            raise self.failures[0]

    def close(self) -> None:
        """Nobody listens any more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextlib.contextmanager
def scripted_peer(path: Path, *scripts: Callable[[Peer], None]) -> Iterator[ScriptedPeer]:
    """A ScriptedPeer that is closed in the end, whatever happens."""
    peer = ScriptedPeer(path, list(scripts))
    try:
        yield peer
    finally:
        peer.close()
