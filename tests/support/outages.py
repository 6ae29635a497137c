"""The ways in which a Postgres server fails its clients, on demand.

    with outages(cluster, url) as brittle:           # programs use brittle.url
        with brittle.out("frozen"):
            ...

DIAGNOSTICS
    OUTAGES names them. With "read-only" look-ups are still answered.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from postgres import Cluster
from postmask.store.engine import parse_url

OUTAGES = ("stopped", "frozen", "slow", "read-only", "full")
SLOW_SECONDS = 2.0


class Proxy:
    """Passes octets between clients and the server; what a client says is held back for `delay` seconds.

    octets: so many it was, both ways.
    """

    def __init__(self, port: int) -> None:
        """port: the server's, on 127.0.0.1."""
        self.delay = 0.0
        self.octets = 0
        self._counting = threading.Lock()
        self._server_port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Nobody new."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._server_port))
            except OSError:
                client.close()
                continue
            for one, other, held in ((client, server, True), (server, client, False)):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pass, args=(one, other, held), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, held: bool) -> None:
        with contextlib.suppress(OSError):
            while octets := source.recv(65536):
                if held and self.delay:
                    time.sleep(self.delay)
                target.sendall(octets)
                with self._counting:
                    self.octets += len(octets)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True, slots=True)
class Brittle:
    """A database that can be made to fail. url: the owner's, by which programs get to it."""

    cluster: Cluster
    proxy: Proxy
    url: str

    @property
    def database(self) -> str:
        return str(parse_url(self.url).database)

    @contextlib.contextmanager
    def out(self, how: str) -> Iterator[None]:
        """Failing in one of the OUTAGES' ways for the time of the block."""
        with getattr(self, f"_{how.replace('-', '_')}")():
            yield

    def _stopped(self) -> contextlib.AbstractContextManager[None]:
        return self.cluster.stopped()

    def _frozen(self) -> contextlib.AbstractContextManager[None]:
        return self.cluster.frozen()

    @contextlib.contextmanager
    def _slow(self) -> Iterator[None]:
        self.proxy.delay = SLOW_SECONDS
        try:
            yield
        finally:
            self.proxy.delay = 0.0

    @contextlib.contextmanager
    def _read_only(self) -> Iterator[None]:
        with self._altered("SET default_transaction_read_only = on", "RESET default_transaction_read_only"):
            yield

    @contextlib.contextmanager
    def _full(self) -> Iterator[None]:
        """Nobody but a superuser gets a connection."""
        with self._altered("CONNECTION LIMIT 0", "CONNECTION LIMIT -1"):
            yield

    @contextlib.contextmanager
    def _altered(self, change: str, undo: str) -> Iterator[None]:
        """For sessions that begin from now on, so that those there are end."""
        self.cluster.command(f'ALTER DATABASE "{self.database}" {change}')
        self.cluster.disconnect_all()
        try:
            yield
        finally:
            self.cluster.command(f'ALTER DATABASE "{self.database}" {undo}')
            self.cluster.disconnect_all()


@contextlib.contextmanager
def outages(cluster: Cluster, url: str) -> Iterator[Brittle]:
    """A database of the cluster, reached by a proxy of its own."""
    proxy = Proxy(cluster.port)
    try:
        through = parse_url(url).set(drivername="postgresql", port=proxy.port)
        yield Brittle(cluster, proxy, through.render_as_string(hide_password=False))
    finally:
        proxy.close()
