"""The real LMTP server with a handler that records, in this process: for tests."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from postmask.clock import Clock, Deadline, SystemClock
from postmask.verdict import Verdict, deliver
from postmask_transport.lmtp import Envelope, Handler, Limits, Server, Times


@dataclass
class Recorder:
    """Accepts and keeps everything, or does what it is told."""

    at_dot: Callable[[Envelope, bytes], Sequence[Verdict]] = lambda envelope, data: [
        deliver() for _ in envelope.recipients
    ]
    messages: list[tuple[Envelope, bytes]] = field(default_factory=list)
    deadlines: list[Deadline] = field(default_factory=list)

    def message(self, envelope: Envelope, data: bytes, deadline: Deadline) -> Sequence[Verdict]:
        verdicts = self.at_dot(envelope, data)
        self.deadlines.append(deadline)
        self.messages.append((envelope, data))
        return verdicts


@dataclass
class Service:
    """A running server."""

    path: Path
    recorder: Recorder
    server: Server
    thread: threading.Thread
    drained: list[bool]

    def stop(self) -> bool:
        """Stop gracefully; what serve() returned."""
        self.server.stop()
        self.thread.join(20)
        return self.drained[0]

    def connect(self) -> socket.socket:
        """A client's socket."""
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(20)
        sock.connect(str(self.path))
        return sock


@contextlib.contextmanager
def lmtp_service(
    path: Path,
    recorder: Recorder | None = None,
    *,
    handler: Handler | None = None,
    times: Times | None = None,
    limits: Limits | None = None,
    allowed_uids: frozenset[int] | None = None,
    max_connections: int = 50,
    clock: Clock | None = None,
) -> Iterator[Service]:
    """A server at that path, stopped in the end. handler: asked in the recorder's place."""
    recorder = recorder or Recorder()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o666)
    listener.listen(50)
    server = Server(
        listener,
        handler or recorder,
        clock or SystemClock(),
        host="mx.example",
        allowed_uids=allowed_uids,
        max_connections=max_connections,
        limits=limits or Limits(),
        times=times or Times(),
    )
    drained: list[bool] = []
    thread = threading.Thread(target=lambda: drained.append(server.serve()), daemon=True)
    thread.start()
    service = Service(path, recorder, server, thread, drained)
    try:
        yield service
    finally:
        server.stop()
        thread.join(20)
