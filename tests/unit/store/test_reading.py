"""Which patterns a sender is looked up by, and which row wins."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from postmask.directory.records import BlockAction, SenderRule
from postmask.store import reading


def test_the_patterns_of_a_sender() -> None:
    assert reading.patterns("x@a.b.test") == ["x@a.b.test", "@a.b.test", "@b.test", "@test"]
    assert reading.patterns("a@b@c.test") == ["a@b@c.test", "@c.test", "@test"]


@given(st.text(max_size=2000))
def test_any_sender_has_a_bounded_number_of_patterns(sender: str) -> None:
    patterns = reading.patterns(f"x@{sender}")
    assert patterns[0] == f"x@{sender}"
    assert len(patterns) <= 128


def test_the_narrowest_then_the_longest() -> None:
    rows = [
        ("global", "x@a.b.test", "reject"),
        ("alias", "@b.test", "reject"),
        ("alias", "@a.b.test", "discard"),
        ("account", "x@a.b.test", "reject"),
    ]
    for order in (rows, rows[::-1]):
        assert reading.sender_rule(order) == SenderRule(BlockAction.DISCARD, "alias", "@a.b.test")
    assert reading.sender_rule([*rows, ("contact", "x@a.b.test", None)]) is None
    assert reading.sender_rule([]) is None
