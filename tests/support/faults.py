"""Faults on demand: what is done to the parts, which are real, and what is watched meanwhile.

What the real thing won't do when asked, an answer out of place say, is played by stand_ins.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from lab import Delivered, Lab
from postmask.clock import SystemClock
from postmask.config import load
from postmask.spool import Spool
from postmask_postfix import processes
from service import Service

PATIENT_MASTER = {"service_throttle_time": "1s"}
"""For Lab.main_cf(): how long master(8) waits before it starts a service again whose process was killed."""

FOREIGN = "you@elsewhere.test"
"""Somebody for whom the host has mail, besides us."""

_numbers = itertools.count(1)


def message(recipient: str, subject: str | None = None, body: bytes = b"Hello.\r\n") -> bytes:
    """A small message like no other."""
    named = subject or f"message {next(_numbers)}"
    header = (
        f"From: Bob <bob@example.com>\r\nTo: {recipient}\r\nSubject: {named}\r\n"
        f"Message-ID: <{next(_numbers)}@example.com>\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\n\r\n"
    )
    return header.encode() + body


def pass_foreign(service: Service, seconds: float = 60.0) -> None:
    """The host's other mail gets from client to sink within that time."""
    known = len(service.mail_for(FOREIGN))
    with within(seconds, "the host's other mail"):
        service.send("bob@example.com", [FOREIGN], message(FOREIGN), address="127.0.0.1")
        service.await_mail_for(FOREIGN, known + 1)


def subjects(service: Service, mailbox: str) -> list[str]:
    """Of all that came for the mailbox, sorted: one that came twice stands there twice."""
    return sorted(map(subject, service.mail_for(mailbox)))


def subject(mail: Delivered) -> str:
    """Of one."""
    found = re.search(rb"^Subject: (.*?)\r$", mail.content, re.M)
    return found[1].decode() if found else ""


def taken_as(mail: Delivered) -> str:
    """The queue id under which Postfix took the finished copy: the newest Received has it."""
    found = re.search(rb"^Received: [^;]* with ESMTP id ([0-9A-Za-z]+)", mail.content)
    assert found, mail.content
    return found[1].decode()


def await_flow(service: Service, mailbox: str, count: int, seconds: float = 60.0) -> list[str]:
    """Until the queue has been tried again and is empty, and so many came; their subjects."""

    def done() -> bool:
        return not service.lab.queue() and len(service.mail_for(mailbox)) >= count

    service.lab.wait_retrying(done, f"an empty queue and {count} messages for {mailbox}", seconds)
    return subjects(service, mailbox)


def await_empty_outbox(service: Service) -> None:
    """Until the agent has taken all that the node learned to the truth."""
    clock = SystemClock()
    with contextlib.closing(Spool(load(service.lab.config, {}).spool.path, clock)) as spool:
        service.lab.wait_for(lambda: spool.outbox_state() == (0, 0), "an empty outbox")


def amiss(service: Service, finding: str = "") -> list[str]:
    """What `postmask status` finds amiss, as "part: what"; of that what matches."""
    done = service.lab.postmask("status", check=False)
    checks = [check for check in json.loads(done.stdout)["checks"] if not check["ok"]]
    return [said for check in checks if re.search(finding, said := f"{check['part']}: {check['what']}")]


class Watch:
    """Postfix's log from here on."""

    def __init__(self, running: Lab) -> None:
        self._lab = running
        self._start = len(running.log())

    def lines(self, *texts: str) -> list[str]:
        """The lines that hold all the texts."""
        log = self._lab.log()[self._start :]
        return [line for line in log.splitlines() if all(text in line for text in texts)]

    def bounced(self) -> list[str]:
        """Deliveries given up, and the bounces made of them."""
        return [*self.lines("status=bounced"), *self.lines("non-delivery notification")]

    def await_lines(self, count: int, *texts: str, seconds: float = 60.0) -> list[str]:
        """At least so many such lines."""
        what = f"{count} log lines with {texts}"
        self._lab.wait_for(lambda: len(self.lines(*texts)) >= count, what, seconds)
        return self.lines(*texts)


def postsuper(service: Service, *words: str) -> None:
    """Postfix's postsuper, as root."""
    service.lab.run("postsuper", "-c", str(service.lab.postfix), *words)


def requeue(service: Service, *queue_ids: str) -> None:
    """`postsuper -r` of these or all that is in the queue, and pickup woken to take it up."""
    kick = ["postkick", "-c", str(service.lab.postfix), "public", "pickup", "W"]

    def woken() -> bool:
        """While master is busy, postkick may give up without a word."""
        return subprocess.run(kick, capture_output=True).returncode == 0

    postsuper(service, *(word for queue_id in queue_ids or ["ALL"] for word in ("-r", queue_id)))
    service.lab.wait_for(woken, "pickup to be woken")


@contextlib.contextmanager
def killed(service: Service, *programs: str) -> Iterator[None]:
    """Programs of the lab gone by SIGKILL; back at the end."""
    for program in programs:
        service.lab.send_signal(program, signal.SIGKILL)
    try:
        yield
    finally:
        service.lab.up()


@contextlib.contextmanager
def frozen(service: Service, program: str) -> Iterator[None]:
    """A program of the lab: its sockets are there, and nobody says a word."""
    with service.lab.frozen(program):
        yield


@contextlib.contextmanager
def untouched(service: Service, program: str) -> Iterator[None]:
    """For comparison with the two above."""
    yield


@contextlib.contextmanager
def refused_at_reinjection(service: Service, mailbox: str) -> Iterator[None]:
    """The re-injection listener says 450 to one recipient."""
    restrictions = "postmask-reinject/unix/smtpd_recipient_restrictions"
    service.lab.postconf("-P", f"{restrictions}=$faults_refused")
    table = f"check_recipient_access inline:{{ {{ {mailbox} = 450 4.2.0 not now }} }}"
    try:
        with service.lab.main_cf(faults_refused=table):
            # The connections that it kept know the value of before.
            service.restart("forwarder")
            yield
    finally:
        service.lab.postconf("-P", f"{restrictions}=")
        service.lab.reload()


def kill_daemons(service: Service, name: str) -> int:
    """SIGKILL to Postfix's daemons of that name, and how many there were.

    name: as ps(1) shows it; "door" for the one that delivers to us, "client" for postmask-pipe.
    """
    master = service.lab.described["pids"]["postfix"][0]
    children = {pid: processes.name(pid) for pid in processes.children(master)}
    if name == "master":
        victims = [master]
    elif name == "client":
        victims = [pid for one in children if children[one] == "pipe" for pid in processes.children(one)]
    else:
        wanted = service.lab.described["door"] if name == "door" else name
        victims = [pid for pid in children if children[pid] == wanted]
    hit = 0
    for pid in victims:
        # It may have ended by itself.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            hit += 1
    service.lab.wait_for(lambda: not any(map(processes.alive, victims)), f"the end of {name}")
    return hit


@contextlib.contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """A small disk of its own at the folder."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Let not an octet be left; the file that takes it all."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65_536, 4_096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
    return filler


def remount(folder: Path, how: str) -> bool:
    """Whether it was possible. A killed program's threads may have files open after its own end."""
    command = ["mount", "-o", f"remount,{how}", str(folder)]
    return subprocess.run(command, capture_output=True).returncode == 0


@contextlib.contextmanager
def within(seconds: float, what: str) -> Iterator[None]:
    """The block must not take longer: for where a time-out is what is tested."""
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    assert took < seconds, f"{what} took {took:.1f} s, more than {seconds} s"
