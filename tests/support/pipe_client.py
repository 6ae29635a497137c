"""The pipe client as pipe(8) runs it: a copy in a folder, the argv of master.cf, a real process."""

from __future__ import annotations

import compileall
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import postmask_transport.pipe
from postmask_postfix.render import pipe_argv

MESSAGE = b"Subject: x\r\n\r\nhello\r\n"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "MAIL_CONFIG": "/etc/postfix"}


def own_name() -> str:
    """This process's name, as the client sees its parent's."""
    return Path("/proc/self/comm").read_text().strip()


@dataclass(frozen=True)
class Result:
    """What pipe(8) would see."""

    status: int
    output: str
    errors: str


class PipeClient:
    """A copy of the client in that folder, which is also the folder that it runs in."""

    def __init__(self, folder: Path, forwarder: Path) -> None:
        self.folder = folder
        self.forwarder = forwarder
        self.stamp = folder / "stamp"
        shutil.copy(postmask_transport.pipe.__file__, folder / "postmask_pipe.py")
        compileall.compile_dir(folder, quiet=2, force=True)

    @property
    def module(self) -> Path:
        """The copy."""
        return self.folder / "postmask_pipe.py"

    def argv(self, **words: str | bytes) -> list[bytes]:
        """As in master.cf; words replace or add to the usual ones."""
        usual = {
            "socket": str(self.forwarder),
            "stamp": str(self.stamp),
            "parent": own_name(),
            "queue_id": "4bXyZ1",
            "client_address": "192.0.2.1",
            "client_hostname": "client.example",
            "client_helo": "helo.example",
            "client_port": "2525",
            "client_protocol": "ESMTP",
            "sasl_username": "",
            "sender": "s@example.com",
            "recipient": "r@alias.example",
        }
        command = [os.fsencode(part) for part in pipe_argv(str(self.folder))]
        return command + [
            os.fsencode(name) + b"=" + os.fsencode(value) for name, value in {**usual, **words}.items()
        ]

    def start(self, **words: str | bytes) -> subprocess.Popen[bytes]:
        """A running client that waits for its message."""
        return subprocess.Popen(
            self.argv(**words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            env=ENVIRONMENT,
        )

    def run(self, message: bytes = MESSAGE, **words: str | bytes) -> Result:
        """A whole delivery."""
        process = self.start(**words)
        output, errors = process.communicate(message, timeout=60)
        return Result(process.returncode, output.decode("ascii"), errors.decode())
