"""Where all mail ends: smtp-sink(1), which counts the messages that it has taken."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from ports import free_port

_COUNT = re.compile(rb"mesg=([0-9]+)")
_TAIL = 200
_SECONDS = 10.0


class Sink:
    """A running sink. address: "HOST:PORT"."""

    def __init__(self, address: str, counters: Path) -> None:
        self.address = address
        self._counters = counters

    def count(self) -> int:
        """Messages taken since the start."""
        with self._counters.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            counts = _COUNT.findall(file.read())
        return int(counts[-1]) if counts else 0


@contextlib.contextmanager
def sink(directory: Path, name: str) -> Iterator[Sink]:
    """A sink for the time of the block; its counters go to a file in the directory."""
    port = free_port()
    counters = directory / f"{name}.sink"
    with counters.open("wb") as file:
        process = subprocess.Popen(
            ["smtp-sink", "-c", "-u", "nobody", f"127.0.0.1:{port}", "512"], stdout=file, stderr=file
        )
    try:
        _await_port(port)
        yield Sink(f"127.0.0.1:{port}", counters)
    finally:
        process.terminate()
        process.wait()


def _await_port(port: int) -> None:
    until = time.monotonic() + _SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return
