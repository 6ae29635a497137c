"""`postmask spam` and `postmask lab up --spamd … --rspamd …`, with both engines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from flawed_engine import FlawedEngine, faithful, flawed, half
from lab import IDLE, Lab, lab
from spam_engines import RunningEngine
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


def test_status(running: Lab, proxy: FlawedEngine, rspamd: RunningEngine) -> None:
    told = running.postmask("spam", "status")
    found = [(one["name"], one["address"], one["answers"], one["problem"]) for one in told["engines"]]
    assert found == [
        ("spamd", "{}:{}".format(*proxy.address), True, ""),
        ("rspamd", "{}:{}".format(*rspamd.address), True, ""),
    ]
