"""Asking the truth: few at a time, not again and again when it fails, and not twice for nothing."""

from __future__ import annotations

import threading

from postmask.clock import ManualClock
from postmask.directory.lookup import ABSENT, GONE, Found, Lookup, Unavailable
from postmask.directory.truth import ABSENT_SECONDS, REST, Asker


class Truth:
    """Answers what it is told to, and counts."""

    def __init__(self, answer: Lookup[str]) -> None:
        self.answer = answer
        self.asked = 0

    def __call__(self) -> Lookup[str]:
        self.asked += 1
        return self.answer


def test_what_is_absent_is_remembered_for_a_moment() -> None:
    clock, truth = ManualClock(), Truth(ABSENT)
    asker = Asker(clock)
    assert [asker.ask("a", truth) for _ in range(3)] == [ABSENT] * 3
    assert truth.asked == 1
    assert asker.ask("b", truth) == ABSENT
    assert truth.asked == 2
    clock.advance(ABSENT_SECONDS)
    truth.answer = Found("new")
    assert asker.ask("a", truth) == Found("new")


def test_what_is_gone_is_not_remembered_as_what_was_never_there() -> None:
    truth = Truth(GONE)
    asker = Asker(ManualClock())
    assert [asker.ask("a", truth) for _ in range(3)] == [GONE] * 3
    assert truth.asked == 1


def test_what_was_found_is_asked_again() -> None:
    truth = Truth(Found("x"))
    asker = Asker(ManualClock())
    for _ in range(3):
        assert asker.ask("a", truth) == Found("x")
    assert truth.asked == 3


def test_more_than_a_few_at_once_are_not_kept_waiting() -> None:
    asker = Asker(ManualClock(), in_flight=2)
    inside, leave = threading.Semaphore(0), threading.Event()

    def slow() -> Lookup[str]:
        inside.release()
        leave.wait(10)
        return Found("x")

    threads = [threading.Thread(target=asker.ask, args=(number, slow)) for number in range(2)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert inside.acquire(timeout=10)
    refused = asker.ask("third", slow)
    assert isinstance(refused, Unavailable)
    leave.set()
    for thread in threads:
        thread.join()
    assert asker.ask("third", slow) == Found("x")


def test_failures_in_a_row_are_answered_at_once_then_one_is_tried() -> None:
    clock, truth = ManualClock(), Truth(Unavailable("down"))
    asker = Asker(clock)
    for _ in range(5):
        assert asker.ask("a", truth) == Unavailable("down")
    assert truth.asked == REST.failures
    clock.advance(REST.first_rest)
    for _ in range(5):
        assert asker.ask("a", truth) == Unavailable("down")
    assert truth.asked == REST.failures + 1
    truth.answer = Found("back")
    clock.advance(2 * REST.first_rest)
    assert asker.ask("a", truth) == Found("back")
    assert asker.ask("a", truth) == Found("back")
