"""The ledger: each copy once, whatever is tried again, and mail waits where it can't be kept."""

from __future__ import annotations

import contextlib
import re
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults import Watch, await_flow, frozen, killed, main_cf, message, mounted, passage, reload, subjects
from service import Service

# ---- tried again --------------------------------------------------------------------------------


def test_the_same_file_submitted_twice_is_two_messages(faulty: Service) -> None:
    owned = faulty.alias()
    content = message(owned.alias, "same")
    for _ in range(2):
        faulty.lab.submit("-i", "-f", "someone@host.test", owned.alias, content=content)
    assert await_flow(faulty, owned.mailbox, 2) == ["same", "same"]


def test_the_same_message_received_twice_is_two_messages(faulty: Service) -> None:
    owned = faulty.alias()
    content = message(owned.alias, "same")
    for _ in range(2):
        faulty.send("bob@example.com", [owned.alias], content)
    assert await_flow(faulty, owned.mailbox, 2) == ["same", "same"]


def test_half_delivered_and_requeued(faulty: Service) -> None:
    """One of two mailboxes is refused at re-injection; then the message gets a new queue id, twice."""
    owned = faulty.alias()
    second = f"second-{owned.mailbox}"
    faulty.lab.postmask("mailbox", "add", second, "--verified")
    faulty.lab.postmask("alias", "edit", owned.alias, "--to", owned.mailbox, "--to", second)
    watch = Watch(faulty.lab)
    with _refused_at_reinjection(faulty, second):
        queue_id = faulty.send("bob@example.com", [owned.alias], message(owned.alias, "both")).queue_id
        watch.await_lines(1, queue_id, "status=deferred")
        for times in (1, 2):
            tried = len(watch.lines(f"to=<{owned.alias}>", "status=deferred"))
            faulty.lab.run("postsuper", "-c", str(faulty.lab.postfix), "-r", "ALL")
            faulty.lab.run("postkick", "-c", str(faulty.lab.postfix), "public", "pickup", "W")
            watch.await_lines(times, "postfix/pickup", "from=<bob@example.com>")
            watch.await_lines(tried + 1, f"to=<{owned.alias}>", "status=deferred")
        assert subjects(faulty, owned.mailbox) == ["both"]
        assert subjects(faulty, second) == []
    await_flow(faulty, second, 1)
    assert subjects(faulty, owned.mailbox) == ["both"]
    assert subjects(faulty, second) == ["both"]
    assert watch.bounced() == []


@contextlib.contextmanager
def _refused_at_reinjection(service: Service, mailbox: str) -> Iterator[None]:
    """The re-injection listener says 450 to one recipient."""
    restrictions = "postmask-reinject/unix/smtpd_recipient_restrictions"
    postconf = ("postconf", "-c", str(service.lab.postfix), "-P")
    service.lab.run(*postconf, f"{restrictions}=$faults_refused")
    table = f"check_recipient_access inline:{{ {{ {mailbox} = 450 4.2.0 not now }} }}"
    try:
        with main_cf(service, faults_refused=table), killed(service, "forwarder"):
            # The connections that it kept know the value of before.
            service.lab.up()
            yield
    finally:
        service.lab.run(*postconf, f"{restrictions}=")
        reload(service)


def test_killed_again_and_again_while_mail_flows(faulty: Service) -> None:
    """120 messages, the forwarder killed three times: all arrive, twice at most those that the log names."""
    owned = faulty.alias()
    names = [f"{number:03d}" for number in range(120)]
    logged = len(faulty.lab.program_log("forwarder"))
    with frozen(faulty, "forwarder"), faulty.lab.client() as session:
        for name in names:
            session.sendmail("bob@example.com", [owned.alias], message(owned.alias, name))
    faulty.lab.flush()
    for share in (10, 40, 80):
        faulty.lab.wait_for(
            lambda share=share: len(faulty.mail_for(owned.mailbox)) >= share, f"{share} messages"
        )
        with killed(faulty, "forwarder"):
            assert len(faulty.lab.queue()) > len(names) // 10, "killed too late to matter"
        faulty.lab.flush()
    arrived = Counter(await_flow(faulty, owned.mailbox, len(names)))
    assert sorted(arrived) == names
    twice = sum(count - 1 for count in arrived.values())
    resent = faulty.lab.program_log("forwarder")[logged:].count(" resend ")
    assert twice <= resent


# ---- a disk without room ------------------------------------------------------------------------

FOREIGN = "you@elsewhere.test"
UNKNOWN = "nobody-of-this-name@alias.test"


@contextlib.contextmanager
def _disk(service: Service) -> Iterator[Path]:
    """A small disk for the spool alone."""
    with mounted(service.lab.directory / "disk", "3m") as folder, _spool_at(service, folder / "spool.db"):
        yield folder


@pytest.fixture
def disk(faulty: Service) -> Iterator[Path]:
    with _disk(faulty) as folder:
        yield folder


@contextlib.contextmanager
def _spool_at(service: Service, path: Path) -> Iterator[None]:
    """The programs with their spool there."""
    config = service.lab.config.read_text()
    with killed(service, "milter-alias", "forwarder", "agent"):
        service.lab.config.write_text(re.sub(r'(\[spool\]\npath = )"[^"]*"', rf'\1"{path}"', config))
        assert str(path) in service.lab.config.read_text()
        service.lab.up()
        try:
            yield
        finally:
            for program in ("milter-alias", "forwarder", "agent"):
                service.lab.send_signal(program, signal.SIGKILL)
            service.lab.config.write_text(config)


def _fill(folder: Path) -> Path:
    """Not an octet is left."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65_536, 4_096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
    return filler


def test_a_full_disk(faulty: Service, disk: Path) -> None:
    """What is sent is sent; the rest waits, and RCPT is answered and other mail passes as ever."""
    owned = faulty.alias()
    watch = Watch(faulty.lab)
    with passage(faulty, "reinject") as passed:
        passed.stop(at=b"queued as")
        queue_id = faulty.send("bob@example.com", [owned.alias], message(owned.alias, "before")).queue_id
        assert passed.paused.wait(60)
        filler = _fill(disk)
        passed.go_on()
        # Its row can't be finished. A deferral would bring it again and again.
        watch.await_lines(1, queue_id, "status=sent")
        assert " ledger " in faulty.lab.program_log("forwarder")
        said = faulty.send("bob@example.com", [owned.alias, UNKNOWN], message(owned.alias, "after"))
        assert said.recipients[UNKNOWN].startswith("550 5.1.1")
        watch.await_lines(1, said.queue_id, "status=deferred", "4.3.0")
        _pass_foreign(faulty)
        faulty.lab.flush()
        watch.await_lines(2, said.queue_id, "status=deferred", "4.3.0")
        assert len(faulty.await_mail_for(owned.mailbox)) == 1
    assert subjects(faulty, owned.mailbox) == ["before"]
    filler.unlink()
    assert await_flow(faulty, owned.mailbox, 2) == ["after", "before"]
    assert watch.bounced() == []
    assert _outcomes(disk / "spool.db") == {"delivered": 2}


def test_a_disk_that_is_read_only(faulty_pipe: Service) -> None:
    """As a full one, from the start of the programs on."""
    with _disk(faulty_pipe) as disk:
        owned = faulty_pipe.alias()
        watch = Watch(faulty_pipe.lab)
        for program in ("milter-alias", "forwarder", "agent"):
            faulty_pipe.lab.send_signal(program, signal.SIGKILL)
        faulty_pipe.lab.run("mount", "-o", "remount,ro", str(disk))
        faulty_pipe.lab.up()
        said = faulty_pipe.send("bob@example.com", [owned.alias, UNKNOWN], message(owned.alias, "waits"))
        assert said.recipients[UNKNOWN].startswith("550 5.1.1")
        watch.await_lines(1, said.queue_id, "status=deferred", "4.3.0")
        _pass_foreign(faulty_pipe)
        assert subjects(faulty_pipe, owned.mailbox) == []
        faulty_pipe.lab.run("mount", "-o", "remount,rw", str(disk))
        assert await_flow(faulty_pipe, owned.mailbox, 1) == ["waits"]
        assert watch.bounced() == []


def test_a_spool_that_somebody_keeps_locked(faulty_pipe: Service) -> None:
    """As when another program is frozen in the middle of a write."""
    owned = faulty_pipe.alias()
    watch = Watch(faulty_pipe.lab)
    with contextlib.closing(sqlite3.connect(_spool(faulty_pipe), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        said = faulty_pipe.send("bob@example.com", [owned.alias, UNKNOWN], message(owned.alias, "waits"))
        assert said.recipients[UNKNOWN].startswith("550 5.1.1")
        watch.await_lines(1, said.queue_id, "status=deferred", "4.3.0")
        _pass_foreign(faulty_pipe)
    assert await_flow(faulty_pipe, owned.mailbox, 1) == ["waits"]


def _spool(service: Service) -> Path:
    return service.lab.directory / "spool.db"


def _outcomes(spool: Path) -> dict[str, int]:
    """How many rows of the ledger are what."""
    with contextlib.closing(sqlite3.connect(spool)) as connection:
        return dict(connection.execute("SELECT outcome, count(*) FROM ledger GROUP BY outcome"))


def _pass_foreign(faulty: Service) -> None:
    """The host's other mail gets through."""
    known = len(faulty.mail_for(FOREIGN))
    faulty.send("bob@example.com", [FOREIGN], message(FOREIGN), address="127.0.0.1")
    faulty.await_mail_for(FOREIGN, known + 1)
