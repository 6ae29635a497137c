"""A thread that a program can't do without ends for want of memory: the program ends with it, as something
that the service manager notices, and mail flows when it is back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import failing_threads
from faults import message, subjects
from lab import Lab, lab
from nameserver import Nameserver
from postmask_postfix import processes
from postmask_postfix.lab.readiness import answers
from service import Service

THREADS = [
    *(("milter-alias", thread) for thread in ("gate", "gate-deadline", "succession")),
    ("milter-scan", "recipients-1"),
    *(("forwarder", thread) for thread in ("spool-writer", "notices", "spam figures")),
    *(("agent", thread) for thread in ("spool-writer", "successor")),
]


@pytest.fixture(scope="module")
def failing(names: Nameserver) -> Iterator[Service]:
    """A service whose programs can be told to fail."""
    with lab(door="lmtp", nameserver=names.text, programs=failing_threads.COMMANDS) as running:
        _await_all(running)
        yield Service("failing", running, names)


def _await_all(running: Lab) -> None:
    """Until all programs listen."""
    sockets = running.described["sockets"].values()
    running.wait_for(lambda: all(map(answers, sockets)), "all sockets", 120.0)


@pytest.mark.parametrize(("program", "thread"), THREADS)
def test_the_program_ends_with_it(failing: Service, program: str, thread: str) -> None:
    running, owned = failing.lab, failing.alias()
    (pid,) = running.described["pids"][program]
    failing_threads.order(running.config, program, thread)
    running.wait_for(lambda: failing_threads.obeyed(running.config), f"{program} to hear of it")
    wanted = set()

    def ended() -> bool:
        """It is given work until then: most wait for some before they come to a step."""
        subject = f"message {len(wanted)}"
        if failing.send("bob@example.com", [owned.alias], message(owned.alias, subject)).end is not None:
            wanted.add(subject)
        return not processes.alive(pid)

    running.wait_for(ended, f"the end of {program}")
    assert f"it can't do without its thread {thread} error=" in running.program_log(program)
    running.up()
    _await_all(running)
    failing.send("bob@example.com", [owned.alias], message(owned.alias, "last"))
    wanted.add("last")
    running.wait_retrying(lambda: wanted <= set(subjects(failing, owned.mailbox)), "the mail")
