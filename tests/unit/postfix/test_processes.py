"""Processes that somebody else started."""

import os
import signal
import subprocess

import pytest

from postmask_postfix import processes
from postmask_postfix.processes import Process


@pytest.fixture
def sleeper():
    """A process that is alive until the test ends."""
    child = subprocess.Popen(["sleep", "1000"])
    yield child
    child.kill()
    child.wait()


def known(child):
    return Process(child.pid, processes.started(child.pid))


def test_ourselves():
    assert processes.alive(os.getpid())
    assert Process(os.getpid(), processes.started(os.getpid())).alive


def test_another_process_with_the_same_pid_is_not_the_same(sleeper):
    assert not Process(sleeper.pid, known(sleeper).started - 1).alive


def test_a_zombie_is_dead(sleeper):
    process = known(sleeper)
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert not process.alive


def test_one_that_never_was():
    assert processes.started(2**22 + 1) is None
    assert processes.name(2**22 + 1) == ""
    Process(2**22 + 1, 1).send(signal.SIGKILL)


def test_children(sleeper):
    assert sleeper.pid in processes.children(os.getpid())
    assert processes.name(sleeper.pid) == "sleep"


def test_ending_takes_stubborn_and_frozen_ones_too(sleeper):
    stubborn = subprocess.Popen(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"],
                                stdout=subprocess.PIPE)  # fmt: skip
    stubborn.stdout.readline()
    os.kill(sleeper.pid, signal.SIGSTOP)
    both = [known(sleeper), known(stubborn)]
    processes.end(both, patience=0.2)
    assert not any(process.alive for process in both)
    stubborn.stdout.close()
    stubborn.wait()


def test_the_tail_of_a_file(tmp_path):
    log = tmp_path / "log"
    assert "No such file" in processes.tail(log)
    log.write_text("")
    assert "empty" in processes.tail(log)
    log.write_text("".join(f"line {number}\n" for number in range(5000)))
    assert processes.tail(log, 2) == "line 4998\nline 4999"
