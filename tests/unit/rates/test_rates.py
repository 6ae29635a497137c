"""Rates by the hour: for each key, of the last hour, in bounded memory, whatever the clock says."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from postmask.clock import ManualClock
from postmask.rates import Rate


def filled(rate: Rate, key: object) -> int:
    """How often it can be counted now."""
    times = 0
    while not rate.reached(key) and times < 10_000:
        rate.count(key)
        times += 1
    return times


def kept(rate: Rate) -> int:
    """Of how many keys it knows something."""
    return len(rate._young) + len(rate._old)


def test_so_many_at_once_then_one_by_one() -> None:
    clock = ManualClock()
    rate = Rate(60, clock)
    assert filled(rate, "bob") == 60
    assert not rate.reached("eve")
    clock.advance(30)
    assert filled(rate, "bob") <= 1
    clock.advance(600)
    assert filled(rate, "bob") in (10, 11)
    clock.advance(3_600)
    assert filled(rate, "bob") == 60


@given(st.integers(1, 5_000), st.lists(st.floats(0, 2_000), max_size=20))
def test_never_more_than_twice_as_many_in_an_hour(most: int, pauses: list[float]) -> None:
    clock = ManualClock()
    rate = Rate(most, clock)
    counted = [(clock.monotonic(), filled(rate, 1))]
    for pause in pauses:
        clock.advance(pause)
        counted.append((clock.monotonic(), filled(rate, 1)))
    assert counted[0][1] == most
    for end, _ in counted:
        assert sum(number for at, number in counted if end - 3_600 < at <= end) <= 2 * most


def test_no_limit_keeps_nothing() -> None:
    rate = Rate(math.inf, ManualClock())
    assert filled(rate, "bob") == 10_000
    assert kept(rate) == 0


def test_the_time_of_day_may_jump() -> None:
    clock = ManualClock()
    rate = Rate(5, clock)
    assert filled(rate, "bob") == 5
    for jump in (1e9, -2e9):
        clock.at += jump
        assert rate.reached("bob")
    clock.advance(3_600)
    assert filled(rate, "bob") == 5


def test_a_million_senders_take_no_more_memory_than_some_and_hide_nobody_who_goes_on() -> None:
    rate = Rate(100, ManualClock(), keys=1_000)
    for number in range(50_000):
        if number % 500 == 0:
            rate.count("bob")
        rate.count(f"sender{number}@example.com")
    assert kept(rate) <= 2_000
    assert rate.reached("bob")
