"""The conversation with an engine, where the other side is played: buffers of all sizes, slowness, ends."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from postmask.clock import Deadline, SystemClock
from postmask.spam.engine import Question
from postmask.spam.exchange import ask
from postmask.spam.judgement import EngineError, Reason

CLOCK = SystemClock()


class Echo:
    """A reader: the answer is a line."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def feed(self, octets: bytes) -> bytes | None:
        self.pieces.append(octets)
        whole = b"".join(self.pieces)
        return whole if whole.endswith(b"\n") else None

    def end(self) -> bytes:
        raise EngineError(Reason.HALF_ANSWER)


@contextlib.contextmanager
def played(act: Callable[[socket.socket], None]) -> Iterator[tuple[str, int]]:
    """An address where one connection is taken and acted on."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(30)
                act(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        host, port = listener.getsockname()
        yield host, port
        thread.join(30)
        assert not thread.is_alive()


def read_to_end(connection: socket.socket, size: int = 65_536, pause: float = 0.0) -> bytes:
    received = b""
    while octets := connection.recv(size):
        received += octets
        time.sleep(pause)
    return received


def outcome(address: tuple[str, int], question: Question[bytes], seconds: float = 30.0) -> bytes | Reason:
    try:
        return ask(address, question, seconds, Deadline.after(CLOCK, seconds))
    except EngineError as error:
        return error.reason


@pytest.mark.parametrize("size", [1, 16, 128, 4096])
def test_all_of_it_comes_over_whatever_the_buffers(size: int) -> None:
    content = bytes(range(256)) * 40
    received = []

    def act(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
        received.append(read_to_end(connection, size))
        for octet in b"fine\n":
            connection.sendall(bytes([octet]))

    with played(act) as address:
        assert outcome(address, Question((b"head", b"", content), Echo(), half_close=True)) == b"fine\n"
    assert received == [b"head" + content]


def test_a_slow_reader_gets_all_of_a_large_message() -> None:
    content = bytes(range(256)) * 100_000
    received = []

    def act(connection: socket.socket) -> None:
        received.append(read_to_end(connection, 1_000_000, 0.005))
        connection.sendall(b"fine\n")

    with played(act) as address:
        assert outcome(address, Question((content,), Echo(), half_close=True)) == b"fine\n"
    assert received == [content]


def test_without_half_close_the_other_side_sees_no_end() -> None:
    seen = []

    def act(connection: socket.socket) -> None:
        seen.append(connection.recv(100))
        connection.settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            seen.append(connection.recv(100))
        connection.sendall(b"fine\n")

    with played(act) as address:
        assert outcome(address, Question((b"x",), Echo())) == b"fine\n"
    assert seen == [b"x"]


def test_who_never_reads_holds_us_no_longer_than_the_deadline() -> None:
    done = threading.Event()

    def act(_connection: socket.socket) -> None:
        done.wait(30)

    with played(act) as address:
        began = time.monotonic()
        assert outcome(address, Question((bytes(50_000_000),), Echo()), 0.5) == Reason.TIMEOUT
        assert 0.5 <= time.monotonic() - began < 1.5
        done.set()


def test_a_judgement_of_half_a_message_is_none() -> None:
    done = threading.Event()

    def act(connection: socket.socket) -> None:
        connection.sendall(b"fine\n")
        done.wait(30)

    with played(act) as address:
        assert outcome(address, Question((bytes(50_000_000),), Echo())) == Reason.NONSENSE
        done.set()


def test_the_reason_that_is_told_before_the_end_of_the_message_is_heard() -> None:
    class Telling(Echo):
        def feed(self, octets: bytes) -> bytes | None:
            raise EngineError(Reason.ERROR_STATUS, octets.decode())

    def act(connection: socket.socket) -> None:
        connection.sendall(b"too large")
        connection.shutdown(socket.SHUT_WR)
        read_to_end(connection)

    with played(act) as address:
        assert outcome(address, Question((bytes(50_000_000),), Telling())) == Reason.ERROR_STATUS


@pytest.mark.parametrize("size", [10, 50_000_000])
def test_closed_without_a_word(size: int) -> None:
    with played(lambda connection: None) as address:
        found = outcome(address, Question((bytes(size),), Echo(), half_close=True))
    assert found in {Reason.RESET, Reason.HALF_ANSWER}


def test_no_time_at_all() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        assert outcome((host, port), Question((b"x",), Echo()), 0.0) == Reason.CONNECT_TIMEOUT
