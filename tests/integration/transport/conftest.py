"""A lab whose own programs do nothing: the tests play the forwarder, and a gate that lets all pass."""

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import IDLE, Lab, lab
from postmask_postfix.sync import sync_domains


class _Dunno(socketserver.StreamRequestHandler):
    """A policy server that has no opinion (SMTPD_POLICY_README)."""

    def handle(self) -> None:
        for line in self.rfile:
            if line == b"\n":
                self.wfile.write(b"action=DUNNO\n\n")


class _Gate(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False


@contextlib.contextmanager
def _open_gate(path: Path) -> Iterator[None]:
    with _Gate(str(path), _Dunno) as server:
        path.chmod(0o666)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def bare_lab(door: str) -> Iterator[Lab]:
    """alias.test is ours and goes through that door; nobody listens at forwarder.sock."""
    with lab(programs=IDLE, door=door) as running:
        # How long master(8) waits before it starts a service again whose process was killed.
        running.postconf("-e", "service_throttle_time=1s")
        sync_domains(running.postfix, ["alias.test"])
        sockets = running.described["sockets"]
        with _open_gate(Path(sockets["gate"])):
            yield running


@pytest.fixture(scope="module", params=["pipe", "lmtp"])
def door(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A lab with either door."""
    with bare_lab(request.param) as running:
        yield running


@pytest.fixture(scope="module")
def pipe_lab() -> Iterator[Lab]:
    """A lab with the pipe door."""
    with bare_lab("pipe") as running:
        yield running


@pytest.fixture
def forwarder(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Where a test's forwarder listens; free before and after."""
    running = next(
        request.getfixturevalue(name) for name in ("door", "pipe_lab") if name in request.fixturenames
    )
    path = Path(running.described["sockets"]["forwarder"])
    path.unlink(missing_ok=True)
    yield path
    path.unlink(missing_ok=True)
    running.run("postsuper", "-c", str(running.postfix), "-d", "ALL")
