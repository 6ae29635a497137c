"""A database that is moved while mail flows: the mover as a process of its own, and the load on it.

mover = Mover(config)
mover.run(url)                    # `postmask db move`, to its end
mover.killed(url, step)           # the same, dead by SIGKILL when it comes to the step

with load(service, alias) as sent:
    ...
sent.check(service, mailbox)
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fatal_steps
from faults import Watch, await_flow, message, subject
from meanwhile import meanwhile
from service import Said, Service

_SENDERS = 4


@dataclass(frozen=True, slots=True)
class Mover:
    """`postmask db move` with this configuration."""

    config: Path

    def run(self, url: str, *words: str) -> Any:
        """What it says when all goes well."""
        done = self._started("--json", "db", "move", "--to", url, *words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def killed(self, url: str, step: str) -> None:
        """Dead at the step."""
        fatal_steps.arm(self.config, step)
        done = self._started("db", "move", "--to", url)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert not fatal_steps.armed(self.config)

    def _started(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", fatal_steps.__file__, *words, "cli"]
        environ = {**os.environ, "POSTMASK_CONFIG": str(self.config)}
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)


@dataclass(slots=True)
class Sent:
    """What was sent, by its subject: when, by whom, and what was answered."""

    at: dict[str, float] = field(default_factory=dict)
    senders: dict[str, str] = field(default_factory=dict)
    said: dict[str, Said] = field(default_factory=dict)
    watch: Watch | None = None

    def check(self, service: Service, mailbox: str) -> float:
        """All of it arrived once, nothing was deferred or bounced; the longest time under way, seconds."""
        assert self.watch
        wrong = {name: said for name, said in self.said.items() if not (said.end or "").startswith("250")}
        assert not wrong
        assert sorted(await_flow(service, mailbox, len(self.said))) == sorted(self.said)
        assert self.watch.bounced() == []
        assert self.watch.lines("status=deferred") == []
        return max(arrival - self.at[name] for name, arrival in _arrivals(service, mailbox).items())


def _arrivals(service: Service, mailbox: str) -> dict[str, float]:
    """When the sink got what, by subject."""
    sink = service.lab.directory / "sink"
    return {
        subject(mail): (sink / f"{mail.number:06d}.eml").stat().st_mtime for mail in service.mail_for(mailbox)
    }


@contextlib.contextmanager
def load(service: Service, alias: str, rate: float = 20.0) -> Iterator[Sent]:
    """So many messages a second to an alias for the time of the block, one in ten from somebody new."""
    sent = Sent(watch=Watch(service.lab))
    numbers, lock = itertools.count(), threading.Lock()
    begun = time.monotonic()

    def send(stop: threading.Event) -> None:
        while not stop.is_set():
            with lock:
                number = next(numbers)
            if stop.wait(max(0.0, begun + number / rate - time.monotonic())):
                return
            name = f"{number:05d}"
            sender = "bob@example.com" if number % 10 else f"new{number}@example.com"
            at = time.time()
            content = message(alias, name).replace(b"bob@example.com", sender.encode())
            said = service.send(sender, [alias], content)
            sent.at[name], sent.senders[name], sent.said[name] = at, sender, said

    with meanwhile(send, _SENDERS):
        yield sent
