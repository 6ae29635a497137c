"""A lab for a test: up, talked to, looked at, down and gone.

    with lab() as running:                       # or lab(door="lmtp", database=url, programs={...})
        running.postmask("domain", "add", "alias.test", "--postmaster", "me@real.test")
        with running.client() as smtp:           # a foreign client, by XCLIENT
            smtp.sendmail("bob@example.com", ["shop@alias.test"], message)
        mail = running.await_mail(1)[0]          # what the sink got

Waits are for conditions, never for a time.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

import freezing
import replicas
from postmask.cli.program import program
from postmask.config import load
from postmask.store.engine import make_engine
from postmask_postfix import commands, processes
from postmask_postfix import lab as labs
from postmask_postfix.instance import cool
from postmask_postfix.lab.readiness import answers

IDLE = dict.fromkeys(("milter-alias", "milter-scan", "forwarder", "agent"), "sleep 100000")
"""Programs that do nothing, for tests of Postfix alone."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """One message at the sink, as it came."""

    number: int
    content: bytes
    sender: str
    recipients: tuple[str, ...]
    mail_options: tuple[str, ...]


class Lab:
    """A running lab. described: what `postmask lab up` printed."""

    def __init__(self, directory: Path, described: dict[str, Any]) -> None:
        self.directory = directory
        self.described = described
        self._read: dict[Path, Delivered] = {}

    # --- looking

    @property
    def config(self) -> Path:
        return Path(self.described["config"])

    @property
    def postfix(self) -> Path:
        """The instance's configuration directory."""
        return Path(self.described["postfix"])

    def log(self) -> str:
        """Postfix's whole log."""
        return Path(self.described["log"]).read_text(encoding="utf-8", errors="replace")

    def program_log(self, program: str) -> str:
        return (self.directory / "log" / f"{program}.log").read_text(encoding="utf-8", errors="replace")

    def delivered(self) -> list[Delivered]:
        """What the lab's own sink has got so far, in order."""
        paths = sorted((self.directory / "sink").glob("*.eml"))
        self._read |= {path: _delivered(path) for path in paths if path not in self._read}
        return [self._read[path] for path in paths]

    def queue(self) -> list[dict[str, Any]]:
        """What lies in Postfix's queue (postqueue -j)."""
        told = self.run("postqueue", "-c", str(self.postfix), "-j")
        return [json.loads(line) for line in told.stdout.splitlines()]

    def queued_content(self, queue_id: str) -> bytes:
        """A queued message as Postfix's queue holds it, with LF line ends (postcat -hb)."""
        command = ["postcat", "-c", str(self.postfix), "-q", "-h", "-b", queue_id]
        return subprocess.run(command, capture_output=True, check=True).stdout

    # --- waiting

    def wait_for(self, condition: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
        """The first true answer of the condition; fails with the logs' ends when there is none in time."""
        until = time.monotonic() + seconds
        while True:
            answer = condition()
            if answer:
                return answer
            if time.monotonic() > until:
                raise AssertionError(f"waited {seconds:.0f} s in vain for {what}\n{self._logs()}")
            time.sleep(0.02)

    def await_mail(self, count: int, seconds: float = 30.0) -> list[Delivered]:
        """At least so many messages at the sink."""
        what = f"{count} messages at the sink"
        self.wait_for(lambda: len(list((self.directory / "sink").glob("*.eml"))) >= count, what, seconds)
        return self.delivered()

    def wait_retrying(self, condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
        """The same, with what is deferred tried again each second: qmgr skips what it has in hand still."""
        tried = float("-inf")

        def answer() -> Any:
            nonlocal tried
            found = condition()
            if not found and time.monotonic() - tried > 1.0:
                self._retry()
                tried = time.monotonic()
            return found

        return self.wait_for(answer, what, seconds)

    def await_empty_queue(self) -> None:
        """Until what is there, an earlier test's too, has come to its end."""
        self.wait_retrying(lambda: not self.queue(), "an empty queue")

    def await_forwarder(self) -> None:
        """Until it listens. (Of what was given in a program's place `lab up` expects nothing for long.)"""
        self.wait_for(lambda: answers(self.described["sockets"]["forwarder"]), "the forwarder", 120.0)

    def await_log(self, text: str, seconds: float = 30.0) -> str:
        """The first line of Postfix's log that holds the text."""

        def line() -> str | None:
            return next((line for line in self.log().splitlines() if text in line), None)

        return str(self.wait_for(line, f"{text!r} in the log", seconds))

    # --- acting

    def postmask(self, *arguments: str, check: bool = True) -> Any:
        """The command line with --json, in this process; what it printed, decoded.

        Not checked: the whole result, as click's test runner gives it. With a replica, what was changed
        is in it on return.
        """
        done = CliRunner().invoke(program, ["--json", "--config", str(self.config), *arguments])
        self.await_replica()
        if not check:
            return done
        assert done.exit_code == 0, f"postmask {' '.join(arguments)}: {done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    def await_replica(self) -> None:
        """Until the replica has all of the truth; at once where there is none, or nobody to keep it."""
        settings = load(self.config, {})
        if (self.directory / "directory").is_dir() and labs.status(self.directory)["pids"]["agent"]:
            replicas.await_current(settings.replica.directory, make_engine(settings.database.owner_url))

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command that must succeed."""
        done = subprocess.run(command, capture_output=True, text=True, errors="surrogateescape")
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done

    def postconf(self, *arguments: str) -> str:
        """What postconf(1) says with these arguments."""
        return self.run("postconf", "-c", str(self.postfix), *arguments).stdout

    @contextlib.contextmanager
    def main_cf(self, **parameters: str) -> Iterator[None]:
        """Other values in main.cf; as before at the end."""
        before = {name: self.postconf("-h", name).strip() for name in parameters}
        self._set_main_cf(parameters)
        try:
            yield
        finally:
            self._set_main_cf(before)

    def _set_main_cf(self, parameters: Mapping[str, str]) -> None:
        self.postconf("-e", *(f"{name}={value}" for name, value in parameters.items()))
        self.reload()

    def reload(self) -> None:
        """Postfix reads its files again, at once."""
        cool(self.postfix / "main.cf")
        commands.reload(self.postfix)

    def client(
        self, address: str = "198.51.100.7", name: str = "mail.example.com", login: str | None = None
    ) -> smtplib.SMTP:
        """An SMTP session that Postfix takes for that client's; a context manager."""
        host, _, port = self.described["smtp"].rpartition(":")
        session = smtplib.SMTP(host.strip("[]"), int(port), local_hostname=name, timeout=60)
        session.ehlo()
        claimed = f"ADDR={f'IPV6:{address}' if ':' in address else address} NAME={name}"
        claimed += f" LOGIN={login}" if login else ""
        code, text = session.docmd("XCLIENT", claimed)
        assert code == 220, text
        session.ehlo()
        return session

    def submit(self, *arguments: str, content: bytes) -> None:
        """A local submission: sendmail(1) with these arguments."""
        command = ["sendmail", "-C", str(self.postfix), *arguments]
        subprocess.run(command, input=content, check=True, capture_output=True)

    def reinjection(self, name: str = "reinject") -> smtplib.SMTP:
        """An SMTP session with the re-injection or the hold listener."""
        session = smtplib.SMTP(local_hostname="lab.postmask.test", timeout=60)
        session.sock = socket.socket(socket.AF_UNIX)
        folder = os.open(Path(self.described["sockets"][name]).parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            session.sock.connect(f"/proc/self/fd/{folder}/postmask-{name}")
        finally:
            os.close(folder)
        code, text = session.getreply()
        assert code == 220, text
        session.ehlo()
        return session

    def flush(self) -> None:
        """Try what is deferred at once. (What qmgr has in hand still, after an attempt, it would skip.)"""
        until = time.monotonic() + 3.0
        while any(map(_just_tried, self.queue())) and time.monotonic() < until:
            time.sleep(0.05)
        self._retry()

    def _retry(self) -> None:
        self.run("postqueue", "-c", str(self.postfix), "-f")

    def send_signal(self, program: str, number: signal.Signals) -> None:
        """To each process of a program; KILL returns when they are gone, STOP when no thread runs."""
        pids = labs.status(self.directory)["pids"][program]
        assert pids, f"{program} isn't running"
        for pid in pids:
            # One of Postfix's may have ended by itself.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        if number is signal.SIGSTOP:
            freezing.freeze(*pids)
        elif number is signal.SIGKILL:
            self.wait_for(lambda: not any(map(processes.alive, pids)), f"the end of {program}")

    @contextlib.contextmanager
    def frozen(self, *programs: str) -> Iterator[None]:
        """Within it the programs are frozen: their sockets are there, and nobody says a word."""
        pids = labs.status(self.directory)["pids"]
        assert all(pids[program] for program in programs), pids
        with freezing.frozen(*(pid for program in programs for pid in pids[program])):
            yield

    def up(self) -> None:
        """Restart what has died."""
        self.described = labs.up(labs.LabOptions(self.directory))

    def _logs(self) -> str:
        """For whoever has to find out: the logs' ends, the queue, and where Postfix's processes sleep."""
        told = [f"--- {path.name}\n{processes.tail(path)}" for path in sorted(self.directory.glob("log/*"))]
        asked = ["postqueue", "-c", str(self.postfix), "-j"]
        told += ["--- queue", subprocess.run(asked, capture_output=True, text=True).stdout]
        for pid in self.described["pids"].get("postfix", [])[:1]:
            for child in (pid, *processes.children(pid)):
                with contextlib.suppress(OSError):
                    asleep = Path(f"/proc/{child}/wchan").read_text()
                    told.append(f"{processes.name(child)}[{child}] {asleep}")
        return "\n".join(told)


@contextlib.contextmanager
def lab(directory: Path | None = None, **options: Any) -> Iterator[Lab]:
    """A lab in a folder of its own in /tmp (or in that one), down and removed at the end."""
    where = directory or Path(tempfile.mkdtemp(prefix="postmask-lab-"))
    try:
        running = Lab(where, labs.up(labs.LabOptions(where, **options)))
        try:
            yield running
        finally:
            labs.down(where)
    finally:
        if directory is None and not os.environ.get("POSTMASK_KEEP_LABS"):
            shutil.rmtree(where, ignore_errors=True)


def _delivered(path: Path) -> Delivered:
    envelope = json.loads(path.with_suffix(".json").read_text(encoding="ascii"))
    return Delivered(
        int(path.stem),
        path.read_bytes(),
        envelope["from"],
        tuple(envelope["rcpt"]),
        tuple(envelope["mail_options"]),
    )


def _just_tried(entry: dict[str, Any]) -> bool:
    """Whether it is still in qmgr's hands, with an attempt behind it."""
    tried = any("delay_reason" in recipient for recipient in entry["recipients"])
    return tried and entry["queue_name"] == "active"
