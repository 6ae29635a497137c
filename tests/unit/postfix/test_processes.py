"""Processes that somebody else started."""

import os
import signal
import subprocess
import sys
import time

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
    assert processes.tail(log) == "\n".join(f"line {number}" for number in range(4985, 5000))


_HOLDS_IT_BACK = """
import signal, sys, time
signal.signal(signal.SIGHUP, lambda *_: None)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
print("ready", flush=True)
sys.stdin.readline()
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP])
while True:
    time.sleep(1000)
"""


def test_a_signal_is_waited_for_until_it_was_seen():
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDS_IT_BACK], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin
        assert child.stdout
        try:
            child.stdout.readline()
            child.send_signal(signal.SIGHUP)
            began = time.monotonic()
            processes.await_seen(child.pid, signal.SIGHUP, 0.3)
            assert time.monotonic() - began >= 0.3
            child.stdin.write(b"\n")
            child.stdin.flush()
            processes.await_seen(child.pid, signal.SIGHUP, 60.0)
            assert not processes._pending(child.pid, signal.SIGHUP)
        finally:
            child.kill()


def test_of_nobody_nothing_is_waited_for(sleeper):
    sleeper.kill()
    sleeper.wait()
    began = time.monotonic()
    processes.await_seen(sleeper.pid, signal.SIGHUP, 60.0)
    assert time.monotonic() - began < 30.0
