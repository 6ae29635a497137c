"""What lies outside of a mail host: name servers, and a mail server that takes everything.

    with outside(wire) as world:        hosts "dns" and "out" of the network
        world.nameserver.record("…")
        world.send("mx.host.test", "bob@example.com", ["shop@alias.test"], message)
        message = world.received("you@real.test")

Mail for example.com and real.test goes to "out", which may send for both by SPF.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import smtplib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nameserver import Nameserver
from network import Network

_PATIENCE = 180.0
_STRANGERS = ("example.com", "real.test")


@dataclass(frozen=True, slots=True)
class World:
    """sink: the folder of what "out" took."""

    wire: Network
    nameserver: Nameserver
    sink: Path

    def send(self, host: str, sender: str, recipients: Sequence[str], message: bytes) -> None:
        """Hand a message to a mail host, from outside."""
        with (
            self.wire.inside("out"),
            smtplib.SMTP(self.wire.address(host), 25, "out.test", timeout=_PATIENCE) as connection,
        ):
            connection.sendmail(sender, list(recipients), message)

    def received(self, recipient: str) -> bytes:
        """The only message that came for this recipient; waits for it, and takes it away."""
        limit = time.monotonic() + _PATIENCE
        while True:
            for path in sorted(self.sink.glob("*.eml")):
                envelope = json.loads(path.with_suffix(".json").read_text())
                if recipient in envelope["rcpt"]:
                    content = path.read_bytes()
                    path.unlink()
                    return content
            assert time.monotonic() < limit, f"nothing came for {recipient}"
            time.sleep(0.1)


@contextlib.contextmanager
def outside(wire: Network) -> Iterator[World]:
    """Both hosts are up; the name server knows them and the mail hosts of the network."""
    with contextlib.ExitStack() as ends:
        with wire.inside("dns"):
            nameserver = Nameserver(wire.address("dns"), 53)
        ends.callback(nameserver.close)
        for host in wire.hosts:
            nameserver.record(f"{host if '.' in host else f'{host}.test'}. IN A {wire.address(host)}")
        # Who hasn't a name for his address looks like a spammer.
        pointer = ipaddress.ip_address(wire.address("out")).reverse_pointer
        nameserver.record(f"{pointer}. IN PTR out.test.")
        for name in _STRANGERS:
            nameserver.record(f"{name}. IN MX 10 out.test.")
            nameserver.txt(name, f"v=spf1 ip4:{wire.address('out')} -all")
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="world-")))
        listening = ("--listen", f"{wire.address('out')}:25", "--directory", str(folder))
        with wire.inside("out"):
            sink = subprocess.Popen([sys.executable, "-m", "postmask_postfix.sink", *listening])
            ends.callback(_end, sink)
            _await(wire.address("out"))
        yield World(wire, nameserver, folder)


def _await(address: str) -> None:
    limit = time.monotonic() + _PATIENCE
    while True:
        with contextlib.suppress(OSError), socket.create_connection((address, 25), 5):
            return
        assert time.monotonic() < limit, "the outside mail server didn't start"
        time.sleep(0.1)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()
