"""Postfix's times as postconf prints them, and the age from which a message is about to be returned."""

from __future__ import annotations

import pytest

from postmask_postfix.lifetime import PARAMETERS, Lifetime

HOUR, DAY = 3600.0, 86_400.0


def lifetime(*values: str) -> Lifetime:
    return Lifetime.of(dict(zip(PARAMETERS, values, strict=True)))


def test_postfixs_defaults() -> None:
    assert lifetime("5d", "5d", "4000s", "300s") == Lifetime()
    assert Lifetime().ending("a@b") == 5 * DAY - 2 * 4300


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("1", DAY), ("90s", 90), ("2m", 120), ("3h", 3 * HOUR), ("1w", 7 * DAY), ("0", 0)],
)
def test_units(written: str, seconds: float) -> None:
    assert lifetime(written, "1d", "1", "1").message == seconds


def test_a_number_without_a_unit() -> None:
    """Days for a lifetime, seconds for the others (postconf(5))."""
    assert lifetime("1", "2", "3", "4") == Lifetime(DAY, 2 * DAY, 3, 4)


@pytest.mark.parametrize("written", ["", "x", "5 d", "-1d", "5y"])
def test_no_time(written: str) -> None:
    with pytest.raises(ValueError, match="maximal_queue_lifetime"):
        lifetime(written, "1d", "1", "1")


def test_of_a_short_life_the_second_half() -> None:
    assert lifetime("1h", "2h", "4000s", "300s").ending("a@b") == HOUR / 2
    assert lifetime("0", "2h", "4000s", "300s").ending("a@b") == 0
    assert lifetime("1h", "2h", "4000s", "300s").ending("") == HOUR
