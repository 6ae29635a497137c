"""An MTA-STS policy, fetched over real TLS from servers good and bad."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator

import pytest

from certificates import Authority
from postmask.clock import Deadline, SystemClock
from postmask.doctor.domain.fetching import Fetcher, FetchError

POLICY = b"version: STSv1\nmode: none\nmax_age: 1\n"
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(POLICY), POLICY)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


@contextlib.contextmanager
def served(authority: Authority, name: str, answer: bytes, closes: bool = True) -> Iterator[int]:
    """A server with a certificate for that name, which gives one answer. Its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*map(str, authority.issue(name)))
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)

        def serve() -> None:
            with contextlib.suppress(OSError), server.accept()[0] as plain:
                plain.settimeout(60)
                with context.wrap_socket(plain, server_side=True) as connection:
                    connection.recv(65_536)
                    connection.sendall(answer)
                    if not closes:
                        done.wait(60)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            done.set()
            thread.join()


def fetched(authority: Authority, port: int, seconds: float = 60.0) -> bytes:
    context = ssl.create_default_context(cafile=str(authority.certificate))
    deadline = Deadline.after(SystemClock(), seconds)
    return Fetcher(context, port).fetch("mta-sts.a.test", ["127.0.0.1"], deadline)


def test_a_policy(authority: Authority) -> None:
    with served(authority, "mta-sts.a.test", GOOD) as port:
        assert fetched(authority, port) == POLICY


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "status 404"),
        (b"HTTP/1.1 301 Moved\r\nLocation: https://a.test/\r\nContent-Length: 0\r\n\r\n", "status 301"),
        (b"220 mx.a.test ESMTP\r\n", "doesn't talk HTTP"),
        (b"", "doesn't talk HTTP"),
        (GOOD[:-5], "doesn't talk HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 70_000, "too long"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, "doesn't talk HTTP"),
    ],
)
def test_what_is_no_policy(authority: Authority, answer: bytes, says: str) -> None:
    with served(authority, "mta-sts.a.test", answer) as port, pytest.raises(FetchError, match=says):
        fetched(authority, port)


def test_a_certificate_for_another_name(authority: Authority) -> None:
    with served(authority, "a.test", GOOD) as port, pytest.raises(FetchError, match="certificate is no good"):
        fetched(authority, port)


def test_a_server_that_does_not_come_to_an_end(authority: Authority) -> None:
    with (
        served(authority, "mta-sts.a.test", GOOD[:-5], closes=False) as port,
        pytest.raises(FetchError, match=r"timed out|too slow"),
    ):
        fetched(authority, port, seconds=1.0)


def test_nobody_there(authority: Authority) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        with pytest.raises(FetchError, match="refused"):
            fetched(authority, silent.getsockname()[1])
        with pytest.raises(FetchError, match="no time"):
            fetched(authority, silent.getsockname()[1], seconds=0.0)
