"""The spam engines asked by the scan milter: their judgement in the evidence, and an answer in time without.

The forwarder's place is taken by the test; the engines are real, behind a proxy that does wrong at will.
"""

from __future__ import annotations

import itertools
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import pytest

import spam_engines
from faults import within
from flawed_engine import Asking, FlawedEngine, drip, faithful, flawed, garble, reset, silent
from handed_over import HandedOver, handed_over
from lab import lab
from nameserver import Nameserver
from postmask.message.evidence import SpamNote
from postmask_postfix import lab as labs
from service import Service
from spam_messages import BODYLESS, GTUBE, PLAIN

ENGINE_SECONDS = 4.0
BUDGET = 10.0
SLACK = 4.0


@dataclass(frozen=True, slots=True)
class Rig:
    """A service with spamd behind a proxy, then Rspamd behind another, and what reaches the forwarder."""

    service: Service
    forwarder: HandedOver
    spamd: FlawedEngine
    rspamd: FlawedEngine

    def judged(self, content: bytes) -> SpamNote:
        """What the evidence says of a message, whose sender had its answer in time."""
        owned = self.service.alias()
        with within(BUDGET + 1.0 + SLACK, "the answer to a message"):
            assert self.service.send("alice@example.com", [owned.alias], content).queue_id
        found = self.forwarder.evidence_for(owned.alias)
        assert found is not None
        assert found.spam is not None
        return found.spam


@pytest.fixture(scope="module")
def running(names: Nameserver) -> Iterator[tuple[Service, FlawedEngine, FlawedEngine]]:
    with (
        spam_engines.spamd() as spamd,
        spam_engines.rspamd() as rspamd,
        flawed(spamd.address) as first,
        flawed(rspamd.address) as second,
        lab(
            door="lmtp",
            nameserver=names.text,
            spamd="{}:{}".format(*first.address),
            rspamd="{}:{}".format(*second.address),
        ) as made,
    ):
        yield Service("spam", made, names), first, second


@pytest.fixture
def rig(running: tuple[Service, FlawedEngine, FlawedEngine]) -> Iterator[Rig]:
    service, spamd, rspamd = running
    spamd.flaw = rspamd.flaw = faithful
    with handed_over(service) as forwarder:
        yield Rig(service, forwarder, spamd, rspamd)
        # What came late would be another test's question, or the real forwarder's.
        service.lab.await_empty_queue()


def test_spam_and_ham_are_told_apart(rig: Rig) -> None:
    for content, is_spam in ((PLAIN, False), (GTUBE, True)):
        note = rig.judged(content)
        assert note.engine == "spamd"
        assert note.ratio is not None
        assert (note.ratio >= 1.0) is is_spam
    assert "GTUBE" in note.symbols


@pytest.mark.parametrize(
    "content",
    [PLAIN.removesuffix(b"\r\n"), PLAIN.replace(b"\r\n", b"\n"), *BODYLESS.values()],
    ids=["no final newline", "bare LF", *BODYLESS],
)
def test_odd_ones_are_judged(rig: Rig, content: bytes) -> None:
    assert rig.judged(content).ratio is not None


def test_what_is_too_large_is_skipped_by_rule(rig: Rig) -> None:
    seen = rig.spamd.started, rig.rspamd.started
    note = rig.judged(PLAIN + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 430_000)
    assert note.unscanned == "spamd too large, rspamd too large"
    assert (rig.spamd.started, rig.rspamd.started) == seen
    assert rig.judged(PLAIN + (b"y" * 70 + b"\r\n") * 8_000).engine == "rspamd"


def test_what_is_foreign_or_mixed_no_engine_sees(rig: Rig) -> None:
    owned = rig.service.alias()
    seen = rig.spamd.started
    for recipients in (["you@elsewhere.test"], [owned.alias, "you@elsewhere.test"]):
        rig.service.send("bob@example.com", recipients, PLAIN, address="127.0.0.1")
    assert rig.spamd.started == seen


def test_bypassed(rig: Rig) -> None:
    rig.service.lab.postmask("spam", "bypass", "on", "--for", "10m")
    try:
        assert rig.judged(GTUBE).unscanned == "bypassed"
    finally:
        rig.service.lab.postmask("spam", "bypass", "off")
    assert rig.judged(GTUBE).unscanned == ""


@pytest.mark.parametrize(("number", "finished"), [(signal.SIGTERM, True), (signal.SIGKILL, False)])
def test_ended_while_an_engine_thinks(rig: Rig, number: signal.Signals, finished: bool) -> None:
    """Asked to end it finishes what it has; killed it leaves the message to the forwarder."""
    thinks, go_on = threading.Event(), threading.Event()

    def slow(client: socket.socket, asking: Asking) -> None:
        thinks.set()
        go_on.wait(30)
        faithful(client, asking)

    rig.spamd.flaw = slow
    owned = rig.service.alias()
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(rig.service.send, "alice@example.com", [owned.alias], PLAIN)
        assert thinks.wait(30)
        rig.service.lab.send_signal("milter-scan", number)
        if finished:
            rig.service.lab.wait_for(
                lambda: "stopping: " in rig.service.lab.program_log("milter-scan"), "the drain"
            )
        go_on.set()
        assert sending.result(60).queue_id
    found = rig.forwarder.evidence_for(owned.alias)
    assert (found is not None) is finished
    ended = partial(labs.status, rig.service.lab.directory)
    rig.service.lab.wait_for(lambda: not ended()["pids"]["milter-scan"], "the end")
    rig.service.lab.up()


def test_the_next_is_asked_and_all_is_told_in_time(rig: Rig) -> None:
    """The last but one: the breakers remember."""
    rig.spamd.flaw = silent
    with within(ENGINE_SECONDS + SLACK, "the next engine's judgement"):
        note = rig.judged(PLAIN)
    assert note.engine == "rspamd"
    rig.rspamd.flaw = drip
    note = rig.judged(PLAIN)
    assert note.ratio is None
    assert note.unscanned == "spamd timeout, rspamd timeout"

    def told() -> bool:
        status = rig.service.lab.postmask("spam", "status", check=False)
        return '"scan"' in status.stdout and '"timeout"' in status.stdout

    rig.service.lab.wait_for(told, "the figures")


def test_flapping_every_second_they_judge_rightly_or_not_at_all(rig: Rig) -> None:
    states = itertools.cycle([(faithful, silent), (silent, faithful), (reset, garble), (silent, silent)])
    over = threading.Event()

    def flap() -> None:
        while not over.is_set():
            rig.spamd.flaw, rig.rspamd.flaw = next(states)
            over.wait(1.0)

    contents = [PLAIN, GTUBE] * 12
    with ThreadPoolExecutor(7) as pool:
        flapping = pool.submit(flap)
        try:
            notes = list(pool.map(rig.judged, contents))
        finally:
            over.set()
        flapping.result()
    for content, note in zip(contents, notes, strict=True):
        if note.ratio is None:
            assert note.unscanned
        else:
            assert (note.ratio >= 1.0) is (content == GTUBE)
