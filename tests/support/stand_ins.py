"""What stands in for a part at its socket: to give answers out of place, or to stop in mid-message."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, TypeVar

from service import Service

_Fake = TypeVar("_Fake", bound="_Answering")


@contextlib.contextmanager
def put_aside(path: Path) -> Iterator[Path]:
    """Another may listen at the socket's path; yields where the socket lies meanwhile."""
    aside = path.with_name(f"{path.name}.aside")
    path.rename(aside)
    try:
        yield aside
    finally:
        aside.replace(path)


def _listening(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o666)
    listener.listen(128)
    return listener


class _Listener:
    """Serves each connection in a thread of its own until it is closed."""

    def __init__(self, path: Path) -> None:
        self._socket = _listening(path)
        self.open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        raise NotImplementedError

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection: socket.socket) -> None:
        self.open.add(connection)
        try:
            self.serve(connection)
        except (OSError, EOFError):
            pass  # the other side left
        finally:
            self.open.discard(connection)
            connection.close()

    def close(self) -> None:
        """Nobody listens, and everybody is cut off."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Answering(_Listener):
    """A server that answers each verb as it is told, else as it should, and keeps nothing.

    answers: verb (CONNECT, the hello, MAIL, RCPT, DATA, "." or any) → reply without line end; b"" hangs up.
    taken: the commands before each message whose final dot was answered 250.
    """

    hello = ""
    offers: tuple[bytes, ...] = ()

    def __init__(self, path: Path) -> None:
        self.answers: Mapping[str, bytes] = {}
        self.taken: list[list[bytes]] = []
        self.connections = 0
        super().__init__(path)

    def before(self, verb: str) -> None:
        """Called before the verb is answered."""

    def ends(self, recipients: int) -> int:
        """How many answers follow the final dot."""
        raise NotImplementedError

    def serve(self, connection: socket.socket) -> None:
        self.connections += 1
        connection.settimeout(60)
        lines = connection.makefile("rb")
        self._say(connection, "CONNECT", b"220 fake")
        commands: list[bytes] = []
        recipients = 0
        while line := lines.readline():
            commands.append(line.rstrip())
            verb = line.partition(b" ")[0].strip().decode("latin-1").upper()
            said = self._say(connection, verb, self._usual(verb))
            recipients += verb == "RCPT" and said.startswith(b"250")
            if verb == "DATA" and said.startswith(b"354"):
                self._take(connection, lines, recipients, commands)
                commands, recipients = [], 0

    def _take(
        self, connection: socket.socket, lines: BinaryIO, recipients: int, commands: list[bytes]
    ) -> None:
        while (line := lines.readline()) != b".\r\n":
            if not line:
                raise EOFError
        for _ in range(self.ends(recipients)):
            if self._say(connection, ".", b"250 2.0.0 Ok: queued as FAKE1").startswith(b"250"):
                self.taken.append(commands)

    def _usual(self, verb: str) -> bytes:
        if verb == self.hello:
            return b"".join(b"250-%s\r\n" % offer for offer in (b"fake", *self.offers[:-1])) + (
                b"250 %s" % self.offers[-1]
            )
        return b"354 go on" if verb == "DATA" else b"250 2.0.0 ok"

    def _say(self, connection: socket.socket, verb: str, usual: bytes) -> bytes:
        self.before(verb)
        answer = self.answers.get(verb, usual)
        if not answer:
            raise EOFError
        connection.sendall(answer + b"\r\n")
        return answer


class FakeForwarder(_Answering):
    """Speaks LMTP: an answer for each recipient."""

    hello = "LHLO"
    offers = (b"8BITMIME", b"SMTPUTF8")

    def ends(self, recipients: int) -> int:
        return recipients


class FakeReinjection(_Answering):
    """Speaks ESMTP, as the re-injection listener does. stalled: verb → seconds until it is answered."""

    hello = "EHLO"
    offers = (b"PIPELINING", b"SIZE", b"DSN", b"8BITMIME", b"SMTPUTF8", b"XFORWARD IDENT")

    def __init__(self, path: Path) -> None:
        self.stalled: Mapping[str, float] = {}
        super().__init__(path)

    def ends(self, recipients: int) -> int:
        return min(recipients, 1)

    def before(self, verb: str) -> None:
        time.sleep(self.stalled.get(verb, 0.0))


class Passage(_Listener):
    """Stands before a Unix socket and passes octets both ways; can be told to stop and to go on.

    A connection stops once at most.
    pause_after: octets of one connection towards the server after which nothing is passed any more.
    pause_at: what in the server's answers isn't passed on, nor what follows it, until go_on().
    heard_as: pattern → what is passed on instead of a server's answer that it matches.
    """

    def __init__(self, path: Path, target: Path) -> None:
        self.pause_after: int | None = None
        self.pause_at: bytes | None = None
        self.heard_as: dict[bytes, bytes] = {}
        self.paused = threading.Event()
        self._going = threading.Event()
        self._going.set()
        self._target = target
        super().__init__(path)

    def stop(self, *, after: int | None = None, at: bytes | None = None) -> None:
        """Arm the pause. A connection that has stopped before passes the rest; the next one stops here."""
        self.paused.clear()
        going, self._going = self._going, threading.Event()
        self.pause_after, self.pause_at = after, at
        going.set()

    def go_on(self) -> None:
        """Pass all that waits, and stop no more."""
        self.pause_after = self.pause_at = None
        self._going.set()

    def serve(self, connection: socket.socket) -> None:
        with socket.socket(socket.AF_UNIX) as server:
            server.connect(str(self._target))
            back = threading.Thread(target=self._pass_back, args=(server, connection), daemon=True)
            back.start()
            passed, stopped = 0, False
            while chunk := connection.recv(16_384):
                passed += len(chunk)
                if not stopped and self.pause_after is not None and passed > self.pause_after:
                    stopped = True
                    self._wait()
                server.sendall(chunk)
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_WR)
            back.join()

    def _pass_back(self, server: socket.socket, connection: socket.socket) -> None:
        stopped = False
        with contextlib.suppress(OSError):
            while chunk := server.recv(16_384):
                if not stopped and self.pause_at is not None and self.pause_at in chunk:
                    stopped = True
                    self._wait()
                for pattern, instead in self.heard_as.items():
                    chunk = re.sub(pattern, instead, chunk)
                connection.sendall(chunk)
            connection.shutdown(socket.SHUT_WR)

    def _wait(self) -> None:
        going = self._going
        self.paused.set()
        assert going.wait(120), "nobody told the passage to go on"


@contextlib.contextmanager
def fake_forwarder(service: Service) -> Iterator[FakeForwarder]:
    """A FakeForwarder at the forwarder's socket; the real one runs on and is back at the end."""
    with _at_socket(service, "forwarder", FakeForwarder) as fake:
        yield fake


@contextlib.contextmanager
def fake_reinjection(service: Service) -> Iterator[FakeReinjection]:
    """A FakeReinjection at the re-injection listener's socket, which is back at the end."""
    with _at_socket(service, "reinject", FakeReinjection) as fake:
        yield fake


@contextlib.contextmanager
def _at_socket(service: Service, name: str, kind: Callable[[Path], _Fake]) -> Iterator[_Fake]:
    path = Path(service.lab.described["sockets"][name])
    with put_aside(path):
        fake = kind(path)
        try:
            yield fake
        finally:
            fake.close()


@contextlib.contextmanager
def passage(service: Service, name: str) -> Iterator[Passage]:
    """A Passage before one of the lab's sockets."""
    path = Path(service.lab.described["sockets"][name])
    with put_aside(path) as aside:
        made = Passage(path, aside)
        try:
            yield made
        finally:
            made.go_on()
            made.close()
