"""The order of engines, their shares of the budget, breakers, the cap, the switch, and the figures."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from postmask.breaker import Limits
from postmask.clock import Deadline, ManualClock
from postmask.config import read
from postmask.spam import scanner as scanners
from postmask.spam.bypass import Bypass
from postmask.spam.engine import Facts, Question
from postmask.spam.judgement import Attempt, EngineError, Reason, Scan, Score
from postmask.spam.opening import open_scanner
from postmask.spam.scanner import Installed, Scanner
from postmask.spam.spamc import Spamd

HAM = Score(1.0, 5.0)
LIMITS = Limits(spread=0.0)

Act: TypeAlias = Callable[[Deadline], Score]


class Bench:
    """Engines that are played: by name, what each does when it is asked, and how often it was."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.clock = ManualClock()
        self.folder = folder
        self.acts: dict[str, Act] = {}
        self.asked: list[str] = []
        monkeypatch.setattr(scanners, "ask", self._ask)

    def installed(self, name: str, total: float = 4.0, size_limit: int = 1_000) -> Installed:
        where = Path("/", name)
        return Installed(name, Spamd(), where, where, connect=1.0, total=total, size_limit=size_limit)

    def scanner(self, *engines: Installed, budget: float = 10.0, max_in_flight: int = 4) -> Scanner:
        return Scanner(
            engines,
            self.clock,
            Bypass(self.folder, self.clock).in_force,
            budget=budget,
            max_in_flight=max_in_flight,
            limits=LIMITS,
        )

    def scan(self, scanner: Scanner, content: bytes = b"x", seconds: float = 100.0) -> Scan:
        return scanner.scan(content, Facts(), Deadline.after(self.clock, seconds))

    def _ask(self, address: Path, question: Question[Score], connect: float, deadline: Deadline) -> Score:
        self.asked.append(address.name)
        return self.acts[address.name](deadline)

    def ham(self, deadline: Deadline) -> Score:
        self.clock.advance(0.1)
        return HAM

    def hang(self, deadline: Deadline) -> Score:
        self.clock.advance(deadline.left())
        raise EngineError(Reason.TIMEOUT)

    def refuse(self, deadline: Deadline) -> Score:
        raise EngineError(Reason.REFUSED)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    return Bench(monkeypatch, tmp_path)


def reasons(scan: Scan) -> list[tuple[str, Reason]]:
    return [(attempt.engine, attempt.reason) for attempt in scan.attempts]


class TestOrder:
    def test_the_first_that_judges_is_the_last_that_is_asked(self, bench: Bench) -> None:
        bench.acts = {"one": bench.ham, "two": bench.ham}
        scan = bench.scan(bench.scanner(bench.installed("one"), bench.installed("two")))
        assert (scan.score, scan.engine, scan.attempts) == (HAM, "one", ())
        assert scan.milliseconds == pytest.approx(100)
        assert scan.why_unscanned == ""
        assert bench.asked == ["one"]

    def test_the_next_has_what_is_left(self, bench: Bench) -> None:
        bench.acts = {"one": bench.hang, "two": bench.hang, "three": bench.hang}
        engines = [bench.installed(name) for name in bench.acts]
        scan = bench.scan(bench.scanner(*engines))
        assert reasons(scan) == [(name, Reason.TIMEOUT) for name in bench.acts]
        assert [attempt.milliseconds for attempt in scan.attempts] == pytest.approx([4_000, 4_000, 2_000])
        assert scan.milliseconds == pytest.approx(10_000)
        assert scan.score is None
        assert scan.why_unscanned == "one timeout, two timeout, three timeout"

    def test_nobody_is_asked_without_time(self, bench: Bench) -> None:
        bench.acts = {"one": bench.hang, "two": bench.ham}
        scan = bench.scan(bench.scanner(bench.installed("one"), bench.installed("two"), budget=3.0))
        assert reasons(scan) == [("one", Reason.TIMEOUT), ("two", Reason.NO_TIME)]
        assert bench.asked == ["one"]

    def test_the_message_s_own_deadline_counts_too(self, bench: Bench) -> None:
        bench.acts = {"one": bench.hang}
        assert bench.scan(bench.scanner(bench.installed("one")), seconds=0.5).milliseconds == 500

    def test_too_large_is_left_to_the_next(self, bench: Bench) -> None:
        bench.acts = {"one": bench.ham, "two": bench.ham}
        scanner = bench.scanner(bench.installed("one", size_limit=10), bench.installed("two"))
        scan = bench.scan(scanner, b"x" * 11)
        assert reasons(scan) == [("one", Reason.TOO_LARGE)]
        assert scan.engine == "two"
        scan = bench.scan(scanner, b"x" * 1_001)
        assert scan.why_unscanned == "one too large, two too large"

    def test_no_engine(self, bench: Bench) -> None:
        assert bench.scan(bench.scanner()).why_unscanned == "no engine"

    def test_a_fault_of_ours_stops_no_mail(self, bench: Bench) -> None:
        def trip(_deadline: Deadline) -> Score:
            raise ZeroDivisionError

        bench.acts = {"one": trip, "two": bench.ham}
        scan = bench.scan(bench.scanner(bench.installed("one"), bench.installed("two")))
        assert scan.attempts == (Attempt("one", Reason.FAULT, "ZeroDivisionError"),)
        assert scan.engine == "two"


class TestBreaker:
    def test_it_opens_after_failures_in_a_row_and_one_probe_closes_it(self, bench: Bench) -> None:
        """With one message a minute: however far apart they are."""
        bench.acts = {"one": bench.hang}
        scanner = bench.scanner(bench.installed("one"))
        for _ in range(LIMITS.failures):
            assert reasons(bench.scan(scanner)) == [("one", Reason.TIMEOUT)]
            bench.clock.advance(60)
        bench.clock.advance(-1)
        for _ in range(10):
            scan = bench.scan(scanner)
            assert (reasons(scan), scan.milliseconds) == ([("one", Reason.BREAKER_OPEN)], 0)
        assert scanner.figures().engines[0].breaker == "open"
        bench.clock.advance(1)
        bench.acts = {"one": bench.ham}
        assert bench.scan(scanner).score == HAM
        assert scanner.figures().engines[0].breaker == "closed"

    def test_engines_have_breakers_of_their_own(self, bench: Bench) -> None:
        bench.acts = {"one": bench.refuse, "two": bench.ham}
        scanner = bench.scanner(bench.installed("one"), bench.installed("two"))
        found = [bench.scan(scanner) for _ in range(10)]
        assert all(scan.engine == "two" for scan in found)
        assert bench.asked.count("one") == LIMITS.failures
        assert reasons(found[-1]) == [("one", Reason.BREAKER_OPEN)]

    def test_who_had_less_than_its_share_is_not_blamed(self, bench: Bench) -> None:
        bench.acts = {"one": bench.hang, "two": bench.hang}
        scanner = bench.scanner(bench.installed("one"), bench.installed("two"), budget=6.0)
        for _ in range(LIMITS.failures):
            bench.scan(scanner)
        assert [engine.breaker for engine in scanner.figures().engines] == ["open", "closed"]
        for _ in range(LIMITS.failures):
            bench.scan(scanner)
        assert [engine.breaker for engine in scanner.figures().engines] == ["open", "open"]

    def test_a_budget_below_the_share_is_a_share(self, bench: Bench) -> None:
        bench.acts = {"one": bench.hang}
        scanner = bench.scanner(bench.installed("one", total=20.0), budget=2.0)
        for _ in range(LIMITS.failures):
            bench.scan(scanner)
        assert scanner.figures().engines[0].breaker == "open"

    def test_a_program_that_never_gives_the_budget(self, bench: Bench) -> None:
        bench.acts = {"one": bench.hang}
        settings = read('[spam]\nengines = ["spamd"]\n[spamd]\naddress = "unix:/one"\n', bench.folder, {})
        scanner = open_scanner(settings, bench.clock, bypassed=lambda: False, most=3.0)
        for _ in range(LIMITS.failures):
            bench.scan(scanner, seconds=3.0)
        assert scanner.figures().engines[0].breaker == "open"

    @pytest.mark.parametrize("reason", [Reason.TOO_LARGE, Reason.NOT_SCANNED])
    def test_what_is_no_failure_opens_nothing(self, bench: Bench, reason: Reason) -> None:
        def act(_deadline: Deadline) -> Score:
            raise EngineError(reason)

        bench.acts = {"one": act}
        scanner = bench.scanner(bench.installed("one"))
        for _ in range(3 * LIMITS.failures):
            assert reasons(bench.scan(scanner)) == [("one", reason)]


class TestCap:
    def test_one_more_than_may_be_is_told_at_once(self, bench: Bench) -> None:
        inside, go_on = threading.Semaphore(0), threading.Event()

        def wait(_deadline: Deadline) -> Score:
            inside.release()
            go_on.wait(30)
            return HAM

        bench.acts = {"one": wait}
        scanner = bench.scanner(bench.installed("one"), max_in_flight=3)
        found: list[Scan] = []
        threads = [threading.Thread(target=lambda: found.append(bench.scan(scanner))) for _ in range(3)]
        for thread in threads:
            thread.start()
            inside.acquire(timeout=30)
        scan = bench.scan(scanner)
        assert (scan.score, scan.why_unscanned) == (None, "no slot")
        figures = scanner.figures()
        assert (figures.in_flight, figures.engines[0].in_flight) == (3, 3)
        go_on.set()
        for thread in threads:
            thread.join(30)
        assert [scan.score for scan in found] == [HAM] * 3
        assert bench.scan(scanner).score == HAM
        figures = scanner.figures()
        assert (figures.in_flight, figures.engines[0].in_flight) == (0, 0)
        assert figures.unscanned == {"no slot": 1}


def test_the_switch(bench: Bench) -> None:
    bench.acts = {"one": bench.ham}
    scanner = bench.scanner(bench.installed("one"))
    switch = Bypass(bench.folder, bench.clock)
    switch.switch_on(bench.clock.now() + 60)
    assert bench.scan(scanner).why_unscanned == "bypassed"
    assert bench.asked == []
    bench.clock.advance(61)
    assert bench.scan(scanner).score == HAM


def test_figures(bench: Bench) -> None:
    bench.acts = {"one": bench.refuse, "two": bench.ham}
    scanner = bench.scanner(bench.installed("one"), bench.installed("two", size_limit=10))
    for _ in range(5):
        bench.scan(scanner)
    bench.scan(scanner, b"x" * 100)
    figures = scanner.figures()
    assert (figures.messages, figures.scanned, figures.unscanned) == (6, 5, {"too large": 1})
    one, two = figures.engines
    assert dataclasses.asdict(one) == {
        "name": "one",
        "address": "unix:/one",
        "breaker": "open",
        "rests_for": pytest.approx(59.8),
        "in_flight": 0,
        "checks": 6,
        "judged": 0,
        "failures": {"refused": 4, "breaker open": 2},
        "median_ms": None,
        "last_ms": None,
        "last_failure": "refused",
        "last_failure_at": pytest.approx(bench.clock.now() - 0.2),
    }
    assert (two.checks, two.judged, two.failures) == (6, 5, {"too large": 1})
    assert (two.median_ms, two.last_ms) == (pytest.approx(100), pytest.approx(100))


def test_addresses_as_in_the_configuration() -> None:
    def place(address: Path | tuple[str, int]) -> str:
        return Installed("x", Spamd(), address, address, 1, 1, 1).place

    assert place(("127.0.0.1", 783)) == "127.0.0.1:783"
    assert place(("::1", 783)) == "[::1]:783"
    assert place(Path("/run/s")) == "unix:/run/s"
