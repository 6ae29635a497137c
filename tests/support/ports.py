"""Ports on loopback for what tests start.

Between finding a port free and listening there another might take it. So each pytest worker has a range of
its own, goes through it in a random order, and gives no port twice until it has given all. The ranges are
below the ports that the kernel gives to clients and those that a lab chooses for itself.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import socket
from collections.abc import Iterator

_ALL = range(10_000, 20_000)


def _own() -> list[int]:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports = list(_ALL[worker::workers])
    random.shuffle(ports)
    return ports


_next: Iterator[int] = itertools.cycle(_own())


def free_port() -> int:
    """One that nobody uses just now, by TCP nor UDP."""
    for port in itertools.islice(_next, len(_ALL)):
        if _is_free(port, socket.SOCK_STREAM) and _is_free(port, socket.SOCK_DGRAM):
            return port
    raise OSError(f"all ports from {_ALL[0]} to {_ALL[-1]} on 127.0.0.1 are in use")


def _is_free(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(kind == socket.SOCK_STREAM))
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False
