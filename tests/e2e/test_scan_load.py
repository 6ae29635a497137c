"""Under load: the scan milter killed, frozen and restarted, and an engine that hangs and flaps.

No message is lost, refused or deferred by it; what the milter has not seen the forwarder scans; and the
host's other mail waits no longer than one time-out. The engine is played, for it must answer at once.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from faults import FOREIGN, killed, message, subject, within
from lab import lab
from nameserver import Nameserver
from played_engine import PlayedEngine, played_engine
from postmask_postfix import lab as labs
from service import Owned, Service

OTHERS_SECONDS = 12.0
"""One time-out at connect (2 s) and what a busy machine takes; below the 15 s of the content's."""


@pytest.fixture(scope="module")
def engine() -> Iterator[PlayedEngine]:
    with played_engine() as played:
        yield played


@pytest.fixture(scope="module")
def service(names: Nameserver, engine: PlayedEngine) -> Iterator[Service]:
    with lab(door="lmtp", nameserver=names.text, spamd=engine.place) as running:
        yield Service("load", running, names)


def configure(service: Service, patience: float) -> None:
    """How many seconds the engine has, and a breaker that doesn't rest for long."""
    text = re.sub(r"(?m)^(total|breaker_\w+) = .*\n", "", service.lab.config.read_text())
    text = text.replace("[spam]\n", "[spam]\nbreaker_rest = 1.0\nbreaker_longest_rest = 1.0\n")
    text = text.replace("[spamd]\n", f"[spamd]\ntotal = {patience}\n")
    with killed(service, "milter-scan", "forwarder"):
        service.lab.config.write_text(text)


def flow(
    service: Service, owned: Owned, count: int, pause: float, events: Mapping[int, Callable[[], None]]
) -> None:
    """So many messages for an alias, one each `pause` seconds, every fourth with one for a foreign
    recipient beside it; before the n-th something happens. All are accepted, arrive, and are not deferred.
    """

    def foreign() -> None:
        with within(OTHERS_SECONDS, "a foreign message"):
            said = service.send("bob@example.com", [FOREIGN], message(FOREIGN), address="127.0.0.1")
        assert said.queue_id

    def ours(number: int) -> None:
        content = message(owned.alias, f"number {number}")
        assert service.send("bob@example.com", [owned.alias], content).queue_id

    before = len(service.lab.program_log("forwarder"))
    known = len(service.mail_for(FOREIGN))
    with ThreadPoolExecutor(60) as pool:
        sent: list[Future[None]] = []
        for number in range(count):
            events.get(number, lambda: None)()
            sent.append(pool.submit(ours, number))
            if number % 4 == 0:
                sent.append(pool.submit(foreign))
            time.sleep(pause)
        for one in sent:
            one.result(120)
    arrived = service.await_mail_for(owned.mailbox, count, 120)
    service.await_mail_for(FOREIGN, known + (count + 3) // 4)
    assert sorted(map(subject, arrived)) == sorted(f"number {number}" for number in range(count))
    assert "verdict=defer" not in service.lab.program_log("forwarder")[before:]


def told(service: Service, owned: Owned) -> list[str]:
    """What each copy says of spam."""
    fields = (
        re.search(rb"^X-Postmask-Spam: (.*?)\r$", mail.content, re.M)
        for mail in service.mail_for(owned.mailbox)
    )
    return [field[1].decode() if field else "nothing" for field in fields]


def scanned(service: Service, program: str) -> int:
    """Messages that a running program has had judged, as far as it has told."""
    programs = service.lab.postmask("spam", "status", check=False)
    found = re.search(rf'"program": "{program}".*?"scanned": (\d+)', programs.stdout, re.S)
    return int(found[1]) if found else 0


def test_the_scan_milter_killed_frozen_and_restarted(service: Service) -> None:
    """What it has in hand when it is frozen has time enough all the same."""
    configure(service, 10.0)
    owned = service.alias()
    before = scanned(service, "forwarder")

    def signalled(number: signal.Signals) -> Callable[[], None]:
        return lambda: service.lab.send_signal("milter-scan", number)

    def restart() -> None:
        service.lab.send_signal("milter-scan", signal.SIGTERM)
        service.lab.wait_for(
            lambda: not labs.status(service.lab.directory)["pids"]["milter-scan"], "the milter's end"
        )
        service.lab.up()

    events = {
        8: signalled(signal.SIGKILL),
        16: service.lab.up,
        22: signalled(signal.SIGSTOP),
        30: signalled(signal.SIGCONT),
        33: restart,
    }
    flow(service, owned, 40, 0.2, events)
    assert set(told(service, owned)) == {"no; ratio=0.20 engine=spamd symbols=FINE"}
    service.lab.wait_for(lambda: scanned(service, "forwarder") > before, "the forwarder's own judgements")


def test_an_engine_that_hangs_and_flaps(service: Service, engine: PlayedEngine) -> None:
    configure(service, 1.0)
    owned, beside = service.alias(), service.alias()

    def thaw_once_the_breaker_is_open() -> None:
        def is_open() -> bool:
            if "spamd breaker open" in service.lab.program_log("milter-scan"):
                return True
            return not service.send("bob@example.com", [beside.alias], message(beside.alias)).queue_id

        service.lab.wait_for(is_open, "an open breaker", 60)
        engine.thaw()

    # 20 messages/s: hung for a second or more, then it flaps every second.
    events = {
        10: engine.freeze,
        40: thaw_once_the_breaker_is_open,
        60: engine.freeze,
        80: engine.thaw,
    }
    judged = engine.judged
    flow(service, owned, 100, 0.05, events)
    assert engine.judged > judged
    assert {one.partition(";")[0] for one in told(service, owned)} <= {"no", "unscanned"}
