"""Everything that an engine may do wrong, by a proxy in front of the real one: the reason is told, within
the time, and it is never taken for ham."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import flawed_engine as flaws
from flawed_engine import Flaw, FlawedEngine, flawed
from postmask.breaker import Limits
from postmask.clock import Clock, Deadline, SystemClock
from postmask.spam.engine import Facts
from postmask.spam.judgement import Reason, Scan
from postmask.spam.scanner import Installed, Scanner
from spam_engines import RunningEngine
from spam_messages import GTUBE, PLAIN

CLOCK = SystemClock()


class MovedClock(SystemClock):
    """Real time, moved ahead at will."""

    ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


UNBREAKABLE = Limits(failures=1_000)
SLACK = 2_000
"""Milliseconds, for a busy machine."""

EVERYWHERE: dict[str, tuple[Flaw, Reason]] = {
    "silent": (flaws.silent, Reason.TIMEOUT),
    "drip": (flaws.drip, Reason.TIMEOUT),
    "half": (flaws.half, Reason.HALF_ANSWER),
    "nothing": (flaws.nothing, Reason.HALF_ANSWER),
    "reset": (flaws.reset, Reason.RESET),
    "garble": (flaws.garble, Reason.NONSENSE),
    "huge": (flaws.huge, Reason.HUGE_ANSWER),
    "another protocol": (flaws.says(b"220 mx.host.test ESMTP\r\n\r\n"), Reason.NONSENSE),
}

OWN: dict[str, dict[str, tuple[Flaw, Reason]]] = {
    "spamd": {
        "its own error": (flaws.says(b"SPAMD/1.1 75 EX_TEMPFAIL\r\n\r\n"), Reason.ERROR_STATUS),
        "NaN": (flaws.replaced(b" / 5.0", b"nan / 5.0"), Reason.NO_NUMBER),
        "contradiction": (flaws.replaced(b"True", b"False"), Reason.NONSENSE),
    },
    "rspamd": {
        "HTTP 500": (flaws.replaced(b" 200 OK", b" 500 Oops"), Reason.ERROR_STATUS),
        "NaN": (flaws.replaced(b'"score":6.0', b'"score":NaN'), Reason.NO_NUMBER),
        "endless": (
            flaws.replaced(b'"is_skipped":true,"score":6.0', b'"is_skipped":1, "score":9e999'),
            Reason.NO_NUMBER,
        ),
        "no length": (flaws.replaced(b"Content-Length", b"Content-Breadth"), Reason.NONSENSE),
        "other JSON": (flaws.replaced(b"score", b"scare"), Reason.NO_NUMBER),
    },
}


@pytest.fixture
def proxy(engine: RunningEngine) -> Iterator[FlawedEngine]:
    with flawed(engine.address) as running:
        yield running


def scanner(
    folder: Path,
    *engines: Installed,
    budget: float = 60.0,
    limits: Limits = UNBREAKABLE,
    most: int = 100,
    clock: Clock = CLOCK,
) -> Scanner:
    return Scanner(engines, clock, lambda: False, budget=budget, max_in_flight=most, limits=limits)


def scan(asked: Scanner, content: bytes = GTUBE) -> Scan:
    return asked.scan(content, Facts(), Deadline.after(CLOCK, 120))


CASES = [
    pytest.param(name, *case, id=f"{name}-{what}")
    for name, own in OWN.items()
    for what, case in {**EVERYWHERE, **own}.items()
]


@pytest.mark.parametrize(("engine", "flaw", "reason"), CASES, indirect=["engine"])
def test_a_flaw_has_its_reason_and_the_next_engine_judges(
    engine: RunningEngine, proxy: FlawedEngine, tmp_path: Path, flaw: Flaw, reason: Reason
) -> None:
    proxy.flaw = flaw
    patience = 1.0 if reason is Reason.TIMEOUT else 60.0
    asked = scanner(tmp_path, engine.installed(proxy.address, total=patience), engine.installed())
    found = scan(asked)
    assert [attempt.reason for attempt in found.attempts] == [reason]
    assert found.score is not None
    assert found.score.ratio >= 1.0
    if reason is Reason.TIMEOUT:
        assert 1_000 <= found.attempts[0].milliseconds < 1_000 + SLACK
    (first, _) = asked.figures().engines
    assert first.failures == {reason.value: 1}


def test_one_that_answers_before_it_has_the_message(
    engine: RunningEngine, proxy: FlawedEngine, tmp_path: Path
) -> None:
    proxy.flaw = flaws.closes_at_once
    found = scan(scanner(tmp_path, engine.installed(proxy.address)), PLAIN + b"x" * 20_000_000)
    assert [attempt.reason for attempt in found.attempts] == [Reason.RESET]


def test_refused_and_hung_at_connect(engine: RunningEngine, tmp_path: Path) -> None:
    with flaws.refusing() as nobody, flaws.hung_at_connect() as hung:
        asked = scanner(
            tmp_path,
            engine.installed(nobody),
            engine.installed(Path("/nonexistent/socket")),
            engine.installed(hung, connect=0.3),
            engine.installed(),
        )
        found = scan(asked)
    assert [attempt.reason for attempt in found.attempts] == [
        Reason.REFUSED,
        Reason.REFUSED,
        Reason.CONNECT_TIMEOUT,
    ]
    assert 300 <= found.attempts[2].milliseconds < 300 + SLACK
    assert found.score is not None


def test_frozen_by_sigstop(engine: RunningEngine, tmp_path: Path) -> None:
    """TCP and Unix sockets take the connection all the same; nobody answers; and back it is judged."""
    asked = scanner(
        tmp_path,
        engine.installed(total=0.5),
        engine.installed(engine.socket, total=0.5),
        limits=Limits(failures=2, first_rest=0.2, longest_rest=0.2, spread=0.0),
    )
    with engine.frozen():
        found = scan(asked)
        assert [attempt.reason for attempt in found.attempts] == [Reason.TIMEOUT, Reason.TIMEOUT]
        assert found.milliseconds < 1_000 + SLACK
        scan(asked)
        assert [one.breaker for one in asked.figures().engines] == ["open", "open"]
    patient = scanner(tmp_path, engine.installed())
    assert scan(patient).score is not None


def test_frozen_under_twenty_messages_a_second(engine: RunningEngine) -> None:
    """Every message has an outcome in time; once the breaker is open none waits."""
    asked = Scanner([engine.installed(total=0.3)], CLOCK, lambda: False, budget=2.0)

    def later(number: int) -> Scan:
        time.sleep(0.05 * number)
        return scan(asked)

    with engine.frozen(), ThreadPoolExecutor(60) as pool:
        found = list(pool.map(later, range(30)))
        found += [scan(asked) for _ in range(10)]
    rested = [one.milliseconds for one in found if one.attempts[0].reason is Reason.BREAKER_OPEN]
    assert {one.attempts[0].reason for one in found} == {Reason.TIMEOUT, Reason.BREAKER_OPEN}
    assert all(one.milliseconds < 2_000 + SLACK for one in found)
    assert statistics.median(rested) < 200
    assert asked.figures().unscanned == {
        "timeout": len(found) - len(rested),
        "breaker open": len(rested),
    }


def test_hanging_with_one_message_a_minute(spamd: RunningEngine) -> None:
    """Four wait for it; then none but the probes, after one, two, four, eight minutes, then every ten."""
    clock = MovedClock()
    found = []
    with flawed(spamd.address) as proxy:
        proxy.flaw = flaws.silent
        asked = Scanner([spamd.installed(proxy.address, total=0.3)], clock, lambda: False)
        for _ in range(24):
            found.append(asked.scan(GTUBE, Facts(), Deadline.after(clock, 10)))
            clock.ahead += 60
        asked_at_all = proxy.started
    reasons = [one.attempts[0].reason for one in found]
    assert reasons[:4] == [Reason.TIMEOUT] * 4
    assert reasons[4:].count(Reason.TIMEOUT) <= 6
    assert statistics.median(one.milliseconds for one in found[4:]) < 200
    assert asked_at_all <= reasons.count(Reason.TIMEOUT)


def test_all_out_takes_no_longer_than_the_budget(
    engine: RunningEngine, proxy: FlawedEngine, tmp_path: Path
) -> None:
    proxy.flaw = flaws.drip
    hanging = [engine.installed(proxy.address, total=0.8) for _ in range(5)]
    found = scan(scanner(tmp_path, *hanging, budget=2.0))
    assert found.score is None
    assert [attempt.reason for attempt in found.attempts[:3]] == [Reason.TIMEOUT] * 3
    assert {attempt.reason for attempt in found.attempts[3:]} == {Reason.NO_TIME}
    assert 2_000 <= found.milliseconds < 2_000 + SLACK
    assert found.why_unscanned.startswith(f"{engine.name} timeout, ")


def test_an_open_breaker_costs_no_time_and_closes_by_a_probe(
    engine: RunningEngine, proxy: FlawedEngine, tmp_path: Path
) -> None:
    proxy.flaw = flaws.silent
    clock = MovedClock()
    limits = Limits(failures=2, first_rest=600.0, longest_rest=600.0, spread=0.0)
    asked = scanner(tmp_path, engine.installed(proxy.address, total=1.5), limits=limits, clock=clock)
    waits = [scan(asked).milliseconds for _ in range(20)]
    assert proxy.started == 2
    assert sorted(waits)[10] < 200
    proxy.flaw = flaws.faithful
    proxied = scanner(tmp_path, engine.installed(proxy.address), limits=limits)
    assert scan(proxied).score is not None
    until = time.monotonic() + 60
    while asked.figures().engines[0].breaker != "closed":
        assert time.monotonic() < until
        clock.ahead += 600.0
        scan(asked)


def test_flapping_under_load(engine: RunningEngine, proxy: FlawedEngine, tmp_path: Path) -> None:
    """Every message has an outcome in time, and never a wrong one."""
    limits = Limits(failures=4, first_rest=0.3, longest_rest=0.6, spread=0.4)
    asked = scanner(tmp_path, engine.installed(proxy.address, total=1.0), budget=2.0, limits=limits, most=8)
    found: list[Scan] = []

    def work() -> None:
        for _ in range(12):
            found.append(scan(asked))
            time.sleep(0.02)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        for flaw in (flaws.silent, flaws.faithful, flaws.reset, flaws.faithful, flaws.garble):
            proxy.flaw = flaw
            time.sleep(0.2)
    for thread in threads:
        thread.join()
    assert len(found) == 72
    assert all(one.milliseconds < 2_000 + SLACK for one in found)
    assert all(one.score.ratio >= 1.0 for one in found if one.score is not None)
    figures = asked.figures()
    assert figures.messages == 72
    assert figures.scanned + sum(figures.unscanned.values()) == 72
    assert (figures.in_flight, figures.engines[0].in_flight) == (0, 0)
