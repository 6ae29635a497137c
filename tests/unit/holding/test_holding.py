"""What is on hold and ours: ledger and queue brought together, and how each way out is written down."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postmask import holding
from postmask.holding import Envelope, Holding, sort_out
from postmask.spool import LedgerRow, Outcome

KEY = bytes(range(32))


def row(
    outcome: Outcome = Outcome.HELD, reason: str = "not proven: no DKIM", new: str = "HELD01"
) -> LedgerRow:
    return LedgerRow(KEY, "shop@alias.test", "FIRST1", outcome, new_queue_id=new, reason=reason)


def envelope(queue_id: str = "HELD01", ident: str = KEY.hex(), arrived: float = 100.0) -> Envelope:
    return Envelope(queue_id, "b@alias.test", ("me@real.test",), arrived, 300, ident)


def test_the_ledger_says_that_it_is_ours() -> None:
    found = sort_out([row()], [envelope()])
    (one,) = found.held
    assert (one.queue_id, one.queue_ids, one.why, one.begun) == (
        "HELD01",
        ("HELD01",),
        "not proven: no DKIM",
        False,
    )
    assert found.find("HELD01") is one
    assert found.find("HELD02") is None
    assert (found.leftovers, found.unknown, found.foreign) == ((), (), ())


@pytest.mark.parametrize("ident", ["", "4ABCDEF", "AB" * 32, "ab" * 31])
def test_what_has_no_key_is_foreign(ident: str) -> None:
    assert sort_out([row()], [envelope(ident=ident)]) == Holding((), (), (), ("HELD01",))


def test_which_rows_are_looked_at() -> None:
    found = [envelope(), envelope("HELD02"), envelope("OTHER1", "4ABCDEF"), envelope("OTHER2", "")]
    assert holding.keys(found) == {KEY}


def test_a_key_that_the_ledger_lacks_is_unknown() -> None:
    assert sort_out([], [envelope()]) == Holding((), (), ("HELD01",), ())


@pytest.mark.parametrize("outcome", [Outcome.DELIVERED, Outcome.DISCARDED, Outcome.PENDING])
def test_a_copy_that_somebody_else_put_on_hold_is_foreign(outcome: Outcome) -> None:
    assert sort_out([row(outcome)], [envelope()]) == Holding((), (), (), ("HELD01",))


def test_held_twice_is_one() -> None:
    """The forwarder was killed before it could write down the first."""
    found = sort_out([row(new="HELD02")], [envelope("HELD01"), envelope("HELD02"), envelope("OTHER1", "")])
    (one,) = found.held
    assert (one.queue_id, one.queue_ids) == ("HELD02", ("HELD01", "HELD02"))
    assert found.find("HELD01") is one
    ended = holding.released(one, "NEW001")
    assert holding.held_as(ended) == ("HELD01", "HELD02")
    left = sort_out([ended], [envelope("HELD01"), envelope("HELD02")])
    assert left == Holding((), ("HELD01", "HELD02"), (), ())


def test_a_renamed_queue_file_is_still_ours() -> None:
    (one,) = sort_out([row()], [envelope("4renamed0"), envelope("4renamed1", arrived=200.0)]).held
    assert one.queue_id == "4renamed1"


def test_they_come_in_the_order_of_their_arrival() -> None:
    other = replace(row(new="HELD02"), key=bytes(32))
    found = sort_out([row(), other], [envelope(arrived=9.0), envelope("HELD02", bytes(32).hex(), 5.0)])
    assert [one.queue_id for one in found.held] == ["HELD02", "HELD01"]


def test_a_release() -> None:
    (one,) = sort_out([row()], [envelope()]).held
    begun = holding.begin_release(one)
    assert (begun.outcome, begun.new_queue_id) == (Outcome.HELD, "HELD01")
    (again,) = sort_out([begun], [envelope()]).held
    assert again.begun
    assert again.why == one.why
    assert holding.begin_release(again) == begun
    ended = holding.released(again, "NEW001")
    assert (ended.outcome, ended.new_queue_id) == (Outcome.DELIVERED, "NEW001")
    assert ended.reason == f"{begun.reason}; released, was held as HELD01"
    assert sort_out([ended], [envelope()]) == Holding((), ("HELD01",), (), ())
    by_hand = sort_out([ended], [envelope("NEW001")])
    assert by_hand == Holding((), (), (), ("NEW001",)), "put on hold again by the operator"


@pytest.mark.parametrize("expired", [False, True])
def test_a_discarding(expired: bool) -> None:
    (one,) = sort_out([row()], [envelope()]).held
    ended = holding.discarded(one, expired=expired)
    assert ended.outcome is Outcome.DISCARDED
    assert holding.held_as(ended) == ("HELD01",)
    assert ("expired" in ended.reason) is expired
    assert sort_out([ended], [envelope()]).leftovers == ("HELD01",)


def test_a_reason_that_only_looks_like_an_end_counts_where_it_stands() -> None:
    """A reason quotes what a stranger wrote; ours is the last word."""
    (one,) = sort_out([row(reason="x; released, was held as OTHER1")], [envelope()]).held
    assert holding.held_as(holding.released(one, "NEW001")) == ("HELD01",)


def test_how_long_it_is_kept() -> None:
    assert holding.keep_seconds(None, 432_000.0) == 172_800.0
    assert holding.keep_seconds(3_600.0, 432_000.0) == 3_600.0
    with pytest.raises(ValueError, match="maximal_queue_lifetime"):
        holding.keep_seconds(216_000.0, 432_000.0)


def test_whom_it_is_for() -> None:
    (one,) = sort_out([row()], [envelope()]).held
    assert holding.is_for(one, "Me@REAL.test")
    assert not holding.is_for(one, "you@real.test")
    assert not holding.is_for(one, "nonsense")
