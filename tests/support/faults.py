"""Faults on demand: what stands in for a part that is broken, and what is watched meanwhile.

The parts themselves are real. Only what the real thing won't do when asked, an answer out of place or
a pause in the middle of a message, is played here, at the sockets between them.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from lab import Lab
from postmask_postfix import processes
from postmask_postfix.instance import cool
from service import Service

_numbers = itertools.count(1)


def message(recipient: str, subject: str | None = None, body: bytes = b"Hello.\r\n") -> bytes:
    """A small message like no other."""
    named = subject or f"message {next(_numbers)}"
    header = (
        f"From: Bob <bob@example.com>\r\nTo: {recipient}\r\nSubject: {named}\r\n"
        f"Message-ID: <{next(_numbers)}@example.com>\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\n\r\n"
    )
    return header.encode() + body


def subjects(service: Service, mailbox: str) -> list[str]:
    """Of all that came for the mailbox, sorted: one that came twice stands there twice."""
    found = (re.search(rb"^Subject: (.*?)\r$", mail.content, re.M) for mail in service.mail_for(mailbox))
    return sorted(match[1].decode() for match in found if match)


def await_flow(service: Service, mailbox: str, count: int, seconds: float = 60.0) -> list[str]:
    """Until the queue has been tried again and is empty, and so many came; their subjects."""
    tried = float("-inf")

    def done() -> bool:
        nonlocal tried
        if not service.lab.queue():
            return len(service.mail_for(mailbox)) >= count
        if time.monotonic() - tried > 1.0:
            service.lab.flush()
            tried = time.monotonic()
        return False

    service.lab.wait_for(done, f"an empty queue and {count} messages for {mailbox}", seconds)
    return subjects(service, mailbox)


class Watch:
    """Postfix's log from here on."""

    def __init__(self, running: Lab) -> None:
        self._lab = running
        self._start = len(running.log())

    def lines(self, *texts: str) -> list[str]:
        """The lines that hold all the texts."""
        log = self._lab.log()[self._start :]
        return [line for line in log.splitlines() if all(text in line for text in texts)]

    def bounced(self) -> list[str]:
        """Deliveries given up, and the bounces made of them."""
        return [*self.lines("status=bounced"), *self.lines("non-delivery notification")]

    def await_lines(self, count: int, *texts: str, seconds: float = 60.0) -> list[str]:
        """At least so many such lines."""
        what = f"{count} log lines with {texts}"
        self._lab.wait_for(lambda: len(self.lines(*texts)) >= count, what, seconds)
        return self.lines(*texts)


@contextlib.contextmanager
def killed(service: Service, *programs: str) -> Iterator[None]:
    """Programs of the lab gone by SIGKILL; back at the end."""
    for program in programs:
        service.lab.send_signal(program, signal.SIGKILL)
    try:
        yield
    finally:
        service.lab.up()


@contextlib.contextmanager
def frozen(service: Service, program: str) -> Iterator[None]:
    """A program of the lab stopped by SIGSTOP: its sockets are there, and nobody says a word."""
    service.lab.send_signal(program, signal.SIGSTOP)
    try:
        yield
    finally:
        service.lab.send_signal(program, signal.SIGCONT)


@contextlib.contextmanager
def untouched(service: Service, program: str) -> Iterator[None]:
    """For comparison with the two above."""
    yield


@contextlib.contextmanager
def main_cf(service: Service, **parameters: str) -> Iterator[None]:
    """Other values in main.cf; as before at the end."""
    before = {name: _postconf(service, "-h", name).strip() for name in parameters}
    _set_main_cf(service, parameters)
    try:
        yield
    finally:
        _set_main_cf(service, before)


def _set_main_cf(service: Service, parameters: Mapping[str, str]) -> None:
    _postconf(service, "-e", *(f"{name}={value}" for name, value in parameters.items()))
    reload(service)


def _postconf(service: Service, *arguments: str) -> str:
    return service.lab.run("postconf", "-c", str(service.lab.postfix), *arguments).stdout


def reload(service: Service) -> None:
    """Postfix reads its files again, at once."""
    cool(service.lab.postfix / "main.cf")
    service.lab.run("postfix", "-c", str(service.lab.postfix), "reload")


def kill_daemons(service: Service, name: str) -> None:
    """SIGKILL to Postfix's daemons of that name. The doors are called as what is behind them."""
    master = service.lab.described["pids"]["postfix"][0]
    victims = [pid for pid in processes.children(master) if processes.name(pid) == name]
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    service.lab.wait_for(lambda: not any(map(processes.alive, victims)), f"the end of {name}")


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


class FakeForwarder(_Listener):
    """An LMTP server that answers each verb as it is told, else as it should, and keeps nothing.

    answers: verb (CONNECT, LHLO, MAIL, RCPT, DATA, "." or any) → reply without line end; b"" hangs up.
    """

    def __init__(self, path: Path) -> None:
        self.answers: Mapping[str, bytes] = {}
        super().__init__(path)

    def serve(self, connection: socket.socket) -> None:
        connection.settimeout(60)
        lines = connection.makefile("rb")
        recipients = 0
        self._say(connection, "CONNECT", b"220 fake LMTP")
        while line := lines.readline():
            verb = line.partition(b" ")[0].strip().decode("latin-1").upper()
            usual = b"250-fake\r\n250-8BITMIME\r\n250 SMTPUTF8" if verb == "LHLO" else b"250 2.0.0 ok"
            if verb == "DATA":
                usual = b"354 go on"
            said = self._say(connection, verb, usual)
            recipients += verb == "RCPT" and said.startswith(b"250")
            if verb == "DATA" and said.startswith(b"354"):
                while lines.readline() not in (b".\r\n", b""):
                    pass
                for _ in range(recipients):
                    self._say(connection, ".", b"250 2.0.0 ok")
                recipients = 0

    def _say(self, connection: socket.socket, verb: str, usual: bytes) -> bytes:
        answer = self.answers.get(verb, usual)
        if not answer:
            raise EOFError
        connection.sendall(answer + b"\r\n")
        return answer


class Passage(_Listener):
    """Stands before a Unix socket and passes octets both ways; can be told to stop and to go on.

    pause_after: octets of one connection towards the server after which nothing is passed any more.
    pause_at: what in the server's answers isn't passed on, nor what follows it, until go_on().
    """

    def __init__(self, path: Path, target: Path) -> None:
        self.pause_after: int | None = None
        self.pause_at: bytes | None = None
        self.paused = threading.Event()
        self._going = threading.Event()
        self._going.set()
        self._target = target
        super().__init__(path)

    def stop(self, *, after: int | None = None, at: bytes | None = None) -> None:
        """Arm the pause."""
        self.paused.clear()
        self._going.clear()
        self.pause_after, self.pause_at = after, at

    def go_on(self) -> None:
        """Pass all that waits, and stop no more."""
        self.pause_after = self.pause_at = None
        self._going.set()

    def serve(self, connection: socket.socket) -> None:
        with socket.socket(socket.AF_UNIX) as server:
            server.connect(str(self._target))
            back = threading.Thread(target=self._pass_back, args=(server, connection), daemon=True)
            back.start()
            passed = 0
            while chunk := connection.recv(16_384):
                passed += len(chunk)
                if self.pause_after is not None and passed > self.pause_after:
                    self._wait()
                server.sendall(chunk)
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_WR)
            back.join()

    def _pass_back(self, server: socket.socket, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := server.recv(16_384):
                if self.pause_at is not None and self.pause_at in chunk:
                    self._wait()
                connection.sendall(chunk)
            connection.shutdown(socket.SHUT_WR)

    def _wait(self) -> None:
        self.paused.set()
        assert self._going.wait(120), "nobody told the passage to go on"


@contextlib.contextmanager
def fake_forwarder(service: Service) -> Iterator[FakeForwarder]:
    """A FakeForwarder at the forwarder's socket; the real one runs on and is back at the end."""
    path = Path(service.lab.described["sockets"]["forwarder"])
    with put_aside(path):
        fake = FakeForwarder(path)
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


@contextlib.contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """A small disk of its own at the folder."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextlib.contextmanager
def within(seconds: float, what: str) -> Iterator[None]:
    """The block must not take longer: for where a time-out is what is tested."""
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    assert took < seconds, f"{what} took {took:.1f} s, more than {seconds} s"
