"""An engine that is played: it speaks SPAMC, calls everything ham, and takes the time that it is told to.

with played_engine() as engine:          # or played_engine(seconds=0.2)
    engine.place                         # "127.0.0.1:…", for spamd.address
    engine.freeze() ... engine.thaw()    # takes connections and says nothing, as after a SIGSTOP
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

_ANSWER = b"SPAMD/1.1 0 EX_OK\r\nContent-length: 4\r\nSpam: False ; 1.0 / 5.0\r\n\r\nFINE"
_PATIENCE = 150.0
"""Seconds until a frozen one gives a connection up."""


class PlayedEngine:
    """One thread a connection. seconds: until an answer; judged: how many it has given."""

    def __init__(self, seconds: float) -> None:
        self.judged = 0
        self._seconds = seconds
        self._thawed = threading.Event()
        self._thawed.set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def place(self) -> str:
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    def freeze(self) -> None:
        self._thawed.clear()

    def thaw(self) -> None:
        self._thawed.set()

    def close(self) -> None:
        self.thaw()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with contextlib.closing(client), contextlib.suppress(OSError):
            began = time.monotonic()
            client.settimeout(_PATIENCE)
            while client.recv(262_144):
                pass
            self._thawed.wait(_PATIENCE)
            time.sleep(max(0.0, self._seconds - (time.monotonic() - began)))
            client.sendall(_ANSWER)
            with self._lock:
                self.judged += 1


@contextlib.contextmanager
def played_engine(seconds: float = 0.0) -> Iterator[PlayedEngine]:
    """One, gone at the end."""
    engine = PlayedEngine(seconds)
    try:
        yield engine
    finally:
        engine.close()
