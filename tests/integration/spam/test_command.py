"""`postmask spam` and `postmask lab up --spamd … --rspamd …`, with both engines."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from flawed_engine import FlawedEngine, faithful, flawed, half
from lab import IDLE, Lab, lab
from postmask.clock import SystemClock
from postmask.config import load
from postmask.spool import LedgerRow, Outcome, Spool
from spam_engines import PASSWORD, RunningEngine
from spam_messages import GTUBE, PLAIN

CLIENT = ("--client", "203.0.113.7", "--helo", "mail.example.com", "--sender", "alice@example.com")


@pytest.fixture(scope="module")
def proxy(spamd: RunningEngine) -> Iterator[FlawedEngine]:
    with flawed(spamd.address) as running:
        yield running


@pytest.fixture(scope="module")
def running(proxy: FlawedEngine, rspamd: RunningEngine) -> Iterator[Lab]:
    addresses = {name: "{}:{}".format(*one.address) for name, one in (("spamd", proxy), ("rspamd", rspamd))}
    with lab(programs=IDLE, **addresses) as made:
        # Patient, for a noisy machine.
        text = made.config.read_text().replace("[spam]\n", "[spam]\nbudget = 100\n")
        for name in addresses:
            text = text.replace(f"[{name}]\n", f"[{name}]\ntotal = 30\n")
        controller = 'controller = "{}:{}"'.format(*rspamd.controller)
        text = text.replace("[rspamd]\n", f'[rspamd]\n{controller}\npassword = "{PASSWORD}"\n')
        made.config.write_text(text)
        yield made


def check(running: Lab, content: bytes, *options: str) -> dict[str, Any]:
    command = [sys.executable, "-P", "-m", "postmask.cli", "spam", "check", "-", "--json", *options]
    environ = {**os.environ, "POSTMASK_CONFIG": str(running.config)}
    told = subprocess.run(command, input=content, capture_output=True, env=environ)
    assert told.returncode == 0, told.stderr
    answer: dict[str, Any] = json.loads(told.stdout)
    return answer


def test_a_message_is_judged(running: Lab) -> None:
    spam, plain = check(running, GTUBE), check(running, PLAIN, *CLIENT)
    assert (spam["spam"], spam["engine"], spam["attempts"]) == (True, "spamd", [])
    assert spam["ratio"] >= 1.0
    assert "GTUBE" in spam["symbols"]
    assert (plain["spam"], plain["engine"]) == (False, "spamd"), plain


def test_the_next_engine_judges_while_the_switch_is_on(running: Lab, proxy: FlawedEngine) -> None:
    running.postmask("spam", "bypass", "on", "--for", "1h")
    proxy.flaw = half
    found = check(running, GTUBE)
    proxy.flaw = faithful
    assert (found["spam"], found["engine"]) == (True, "rspamd")
    (attempt,) = found["attempts"]
    assert (attempt["engine"], attempt["reason"]) == ("spamd", "half answer")
    assert running.postmask("spam", "bypass", "off") == {"bypass": False, "until": None}


def test_what_is_held_is_reported_and_stays(running: Lab, proxy: FlawedEngine) -> None:
    queue_id = hold(running, bytes(32), GTUBE)
    lessons = running.postmask("held", "report", queue_id, "--as", "spam")
    assert [(one["name"], one["learned"], one["problem"]) for one in lessons] == [
        ("spamd", True, ""),
        ("rspamd", True, ""),
    ]
    proxy.flaw = half
    done = running.postmask("held", "report", queue_id, "--as", "ham", check=False)
    proxy.flaw = faithful
    assert done.exit_code == os.EX_UNAVAILABLE
    assert [one["learned"] for one in json.loads(done.stdout)] == [False, True]
    assert [entry["queue_id"] for entry in running.queue()] == [queue_id]


def hold(running: Lab, key: bytes, content: bytes) -> str:
    """Put a copy on hold as the forwarder does; its queue id."""
    with running.reinjection("hold") as session:
        session.docmd(f"XFORWARD IDENT={key.hex()}")
        session.sendmail("b@alias.test", ["me@real.test"], content)
    (entry,) = running.queue()
    queue_id = str(entry["queue_id"])
    row = LedgerRow(key, "shop@alias.test", "FIRST1", Outcome.HELD, new_queue_id=queue_id, reason="spam")
    with contextlib.closing(Spool(load(running.config, {}).spool.path, SystemClock())) as spool:
        spool.finish([row])
    return queue_id


def test_status(running: Lab, proxy: FlawedEngine, rspamd: RunningEngine) -> None:
    told = running.postmask("spam", "status")
    found = [(one["name"], one["address"], one["answers"], one["problem"]) for one in told["engines"]]
    assert found == [
        ("spamd", "{}:{}".format(*proxy.address), True, ""),
        ("rspamd", "{}:{}".format(*rspamd.address), True, ""),
    ]
