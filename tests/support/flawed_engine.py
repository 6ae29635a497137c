"""A loopback proxy in front of a real engine that does wrong what it is told to.

    with flawed(("127.0.0.1", 783)) as proxy:
        proxy.flaw = drip
        ... proxy.address ...

A flaw is called with the client's socket, and with a function that asks the real engine: it sends on
what the client says, and returns the engine's whole answer. HUNG_AT_CONNECT takes no connection at all.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeAlias

Asking: TypeAlias = "Callable[[], bytes]"
Flaw: TypeAlias = "Callable[[socket.socket, Asking], None]"

_LINGER_NOT = struct.pack("ii", 1, 0)


class FlawedEngine:
    """The proxy. flaw: what it does to the next connections; started: how many there were."""

    def __init__(self, behind: tuple[str, int]) -> None:
        self.flaw: Flaw = faithful
        self.started = 0
        self._behind = behind
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._listener.getsockname()
        return host, port

    def close(self) -> None:
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(20)

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.started += 1
            threading.Thread(target=self._handle, args=(client, self.flaw), daemon=True).start()

    def _handle(self, client: socket.socket, flaw: Flaw) -> None:
        with contextlib.closing(client), contextlib.suppress(OSError):
            flaw(client, lambda: asked(client, self._behind))


@contextlib.contextmanager
def flawed(behind: tuple[str, int]) -> Iterator[FlawedEngine]:
    """A proxy, gone at the end."""
    proxy = FlawedEngine(behind)
    try:
        yield proxy
    finally:
        proxy.close()


@contextlib.contextmanager
def refusing() -> Iterator[tuple[str, int]]:
    """An address on which nobody listens, kept so."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        host, port = taken.getsockname()
        yield host, port


@contextlib.contextmanager
def hung_at_connect() -> Iterator[tuple[str, int]]:
    """An address whose backlog is full: a connection isn't refused, and isn't made."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        waiting = True
        while waiting:
            client = stack.enter_context(socket.socket())
            client.settimeout(0.3)
            try:
                client.connect(listener.getsockname())
            except TimeoutError:
                waiting = False
        host, port = listener.getsockname()
        yield host, port


def asked(client: socket.socket, behind: tuple[str, int]) -> bytes:
    """The real engine's answer to what the client says."""
    answer = b""
    with socket.create_connection(behind, 30) as engine:
        engine.settimeout(30)
        sources = [client, engine]
        while engine in sources:
            ready, _, _ = select.select(sources, [], [], 30)
            if not ready:
                raise TimeoutError
            if client in ready:
                if octets := client.recv(65536):
                    engine.sendall(octets)
                else:
                    sources.remove(client)
                    engine.shutdown(socket.SHUT_WR)
            if engine in ready:
                if octets := engine.recv(65536):
                    answer += octets
                else:
                    sources.remove(engine)
    return answer


# --- flaws


def faithful(client: socket.socket, asking: Asking) -> None:
    client.sendall(asking())


def silent(client: socket.socket, asking: Asking) -> None:
    """Takes everything and says nothing, until the client goes."""
    asking()
    client.settimeout(60)
    while select.select([client], [], [], 60)[0] and client.recv(65536):
        pass
    time.sleep(10)  # the client's half-close isn't its end


def drip(client: socket.socket, asking: Asking) -> None:
    """An octet every 0.05 s."""
    for octet in asking():
        client.sendall(bytes([octet]))
        time.sleep(0.05)


def half(client: socket.socket, asking: Asking) -> None:
    answer = asking()
    client.sendall(answer[: len(answer) // 2])


def nothing(client: socket.socket, asking: Asking) -> None:
    """Closed at the end of the question."""
    asking()


def reset(client: socket.socket, asking: Asking) -> None:
    """In the middle of the answer."""
    client.sendall(asking()[:20])
    time.sleep(0.05)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)


def closes_at_once(client: socket.socket, asking: Asking) -> None:
    """Before it has read anything."""


def garble(client: socket.socket, asking: Asking) -> None:
    """Every octet turned round."""
    client.sendall(bytes(octet ^ 0x55 for octet in asking()))


def huge(client: socket.socket, asking: Asking) -> None:
    """A field of it without end."""
    head, line_end, _ = asking().partition(b"\r\n")
    client.sendall(head + line_end)
    for _ in range(2_000):
        client.sendall(b"X" * 65_536)


def replaced(old: bytes, new: bytes) -> Flaw:
    """The true answer with something exchanged."""

    def flaw(client: socket.socket, asking: Asking) -> None:
        answer = asking()
        assert old in answer, answer
        client.sendall(answer.replace(old, new))

    return flaw


def says(answer: bytes) -> Flaw:
    """Something else in place of the answer."""

    def flaw(client: socket.socket, asking: Asking) -> None:
        asking()
        client.sendall(answer)

    return flaw
