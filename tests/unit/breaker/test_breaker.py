"""When a breaker opens, how long it rests, and what closes it."""

from __future__ import annotations

import pytest

from postmask.breaker import Breaker, Limits
from postmask.clock import ManualClock

LIMITS = Limits()
EXACT = Limits(spread=0.0)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def opened(clock: ManualClock, limits: Limits = EXACT, chance: float = 0.5) -> Breaker:
    breaker = Breaker(clock, limits, lambda: chance)
    for _ in range(limits.failures):
        breaker.failed()
    return breaker


def test_failures_in_a_row_open_it_however_far_apart(clock):
    breaker = Breaker(clock, LIMITS)
    for _ in range(LIMITS.failures):
        assert breaker.allows()
        breaker.failed()
        clock.advance(3_600)
    # It rested while the clock went on: this is the probe, and the only one.
    assert [breaker.allows() for _ in range(3)] == [True, False, False]


def test_a_success_between_them_starts_the_row_anew(clock):
    breaker = Breaker(clock, LIMITS)
    for _ in range(20):
        for _ in range(LIMITS.failures - 1):
            breaker.failed()
            clock.advance(LIMITS.window / 2)
        breaker.succeeded()
        assert breaker.allows()


def test_as_many_within_a_short_time_open_it_whatever_succeeds(clock):
    breaker = Breaker(clock, LIMITS)
    for _ in range(LIMITS.failures):
        assert breaker.allows()
        breaker.succeeded()
        breaker.failed()
        clock.advance(LIMITS.window / LIMITS.failures - 0.1)
    assert not breaker.allows()


def test_without_a_window_only_a_row_counts(clock):
    breaker = Breaker(clock, Limits(window=0.0))
    for _ in range(10):
        breaker.failed()
        breaker.succeeded()
    assert breaker.allows()


def test_while_one_probes_the_others_do_not(clock):
    breaker = opened(clock)
    clock.advance(EXACT.first_rest - 0.1)
    assert not breaker.allows()
    clock.advance(0.1)
    assert [breaker.allows() for _ in range(3)] == [True, False, False]


def test_a_good_probe_closes_it(clock):
    breaker = opened(clock)
    clock.advance(EXACT.first_rest)
    assert breaker.allows()
    breaker.succeeded()
    for _ in range(EXACT.failures - 1):
        assert breaker.allows()
        breaker.failed()
    assert breaker.allows(), "what failed before is forgotten"


def test_rests_double_up_to_a_limit(clock):
    breaker = opened(clock)
    rest = EXACT.first_rest
    for _ in range(8):
        clock.advance(rest - 0.1)
        assert not breaker.allows()
        clock.advance(0.1)
        assert breaker.allows()
        breaker.failed()
        rest = min(EXACT.longest_rest, rest * 2)


@pytest.mark.parametrize(("chance", "rest"), [(0.0, 36.0), (0.5, 60.0), (1.0, 84.0)])
def test_rests_differ_by_chance(clock, chance, rest):
    breaker = opened(clock, LIMITS, chance)
    clock.advance(rest - 0.1)
    assert not breaker.allows()
    clock.advance(0.2)
    assert breaker.allows()


def test_tries_that_began_before_the_opening_change_nothing(clock):
    breaker = opened(clock)
    breaker.failed()
    breaker.succeeded()
    assert not breaker.allows()
    clock.advance(EXACT.first_rest)
    assert breaker.allows()


def test_a_probe_that_is_never_heard_of_costs_one_rest(clock):
    breaker = opened(clock)
    clock.advance(EXACT.first_rest)
    assert breaker.allows()
    clock.advance(EXACT.first_rest)
    assert breaker.allows()


def test_recovered_closes_it_at_once(clock):
    breaker = opened(clock)
    breaker.recovered()
    assert breaker.allows()


def test_what_is_told_of_it(clock):
    breaker = Breaker(clock, EXACT)
    assert (breaker.state, breaker.rests_for) == ("closed", 0.0)
    breaker = opened(clock)
    assert (breaker.state, breaker.rests_for) == ("open", EXACT.first_rest)
    clock.advance(EXACT.first_rest - 1)
    assert breaker.rests_for == 1.0
    clock.advance(1)
    assert (breaker.state, breaker.rests_for) == ("open", 0.0)
    assert breaker.allows()
    assert breaker.state == "half-open"
    breaker.succeeded()
    assert breaker.state == "closed"
