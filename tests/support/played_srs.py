"""PostSRSd, played: its two tables for Postfix, as tcp_table(5) has them.

    with played_srs(forward, reverse):       # the ports
        ...

As the real one (1.10) was seen to answer: an address of the host's own, or one that is rewritten already,
stays as it is, any other becomes one of the host's; only these go back. It has signatures, this one hasn't.
"""

from __future__ import annotations

import contextlib
import re
import socketserver
import threading
from collections.abc import Callable, Iterator

OWN = "host.test"


def rewritten(address: str) -> str | None:
    """What the envelope sender becomes."""
    local, at, domain = address.rpartition("@")
    if not at:
        return None
    if domain == OWN or local.startswith("SRS0="):
        return address
    return f"SRS0=HHHH=TT={domain}={local}@{OWN}"


def restored(address: str) -> str | None:
    """What it was made of."""
    found = re.fullmatch(rf"SRS0=\w+=\w+=([^=]+)=(.+)@{re.escape(OWN)}", address, re.IGNORECASE)
    return f"{found[2]}@{found[1]}" if found else None


@contextlib.contextmanager
def played_srs(forward: int, reverse: int) -> Iterator[None]:
    """Both tables answer while the block runs."""
    with _table(forward, rewritten), _table(reverse, restored):
        yield


@contextlib.contextmanager
def _table(port: int, answer: Callable[[str], str | None]) -> Iterator[None]:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                found = answer(line.decode().removeprefix("get ").strip())
                self.wfile.write(f"200 {found}\n".encode() if found else b"500 not here\n")

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    with Server(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
