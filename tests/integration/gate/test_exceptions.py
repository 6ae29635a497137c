"""A milter that breaks in a callback, on the wire: the host's other mail comes that way too, and flows."""

import contextlib
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from milter_offer import OFFERED_ACTIONS, OFFERED_STEPS

BROKEN = """
import sys
from pathlib import Path
from postmask.daemon import listen_unix
from postmask_milter.adapter import Running, alias_milter, scan_milter, serve
from postmask_milter.scan import NOTHING, Session

def broken(*question):
    raise ZeroDivisionError

kinds = {
    "alias": lambda: alias_milter(broken, Running()),
    "scan": lambda: scan_milter(lambda: Session(broken, lambda message: NOTHING, 1000), Running()),
}
listener = listen_unix(Path(sys.argv[2]))
print("ready", flush=True)
serve(kinds[sys.argv[1]](), listener)
"""
OFFER = b"O" + struct.pack("!III", 6, OFFERED_ACTIONS, OFFERED_STEPS)
CLIENT = b"Cmail.example\x004" + struct.pack("!H", 4711) + b"192.0.2.1\x00"
CONTINUE = b"c"


@contextlib.contextmanager
def served(kind: str, path: Path) -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-c", BROKEN, kind, path], stdout=subprocess.PIPE) as milter:
        assert milter.stdout
        assert milter.stdout.readline() == b"ready\n"
        try:
            yield
        finally:
            milter.kill()


@pytest.mark.parametrize(
    ("kind", "unanswered", "asked"),
    [
        ("alias", (b"M<bob@example.com>\x00",), b"R<user@elsewhere.example>\x00"),
        ("scan", (b"M<bob@example.com>\x00", b"R<user@elsewhere.example>\x00"), b"T"),
    ],
)
def test_mail_goes_on(kind: str, unanswered: tuple[bytes, ...], asked: bytes, tmp_path: Path) -> None:
    path = tmp_path / "milter.sock"
    with served(kind, path), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(path))
        answers = client.makefile("rb")

        def say(packet: bytes) -> None:
            client.sendall(struct.pack("!I", len(packet)) + packet)

        def hear() -> bytes:
            (length,) = struct.unpack("!I", answers.read(4))
            return answers.read(length)

        say(OFFER)
        assert hear()[:1] == b"O"
        say(CLIENT)
        assert hear() == CONTINUE
        for packet in unanswered:
            say(packet)
        say(asked)
        assert hear() == CONTINUE
