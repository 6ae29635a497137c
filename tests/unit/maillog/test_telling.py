"""The story of one message, and that nothing is kept of all the others."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from typing import TypeVar

from postmask.maillog.lines import Line
from postmask.maillog.reckoning import Period, Reckoner
from postmask.maillog.records import at_our_door
from postmask.maillog.telling import Story, Wanted
from postmask.maillog.tracking import Tracker
from postmask.spool import LedgerRow, Outcome

MANY = 20_000
SMALL = 1_000_000
"""Octets; so many rows alone take ten times as many."""

KEY, SECOND_KEY = b"\1" * 32, b"\2" * 32
LOG = (
    f"postmask-reinject/smtpd SECOND1: client=localhost[127.0.0.1], orig_queue_id={SECOND_KEY.hex()}",
    "smtpd ABC123: client=mx.test[192.0.2.1]",
    "cleanup ABC123: message-id=<one@example.com>",
    "qmgr ABC123: from=<Bob@example.com>, size=300, nrcpt=2 (queue active)",
    f"postmask-reinject/smtpd COPY111: client=localhost[127.0.0.1], orig_queue_id={KEY.hex()}",
    "pickup AGAIN11: uid=106 from=<b@alias.test> orig_id=COPY111",
    "bounce AGAIN11: sender non-delivery notification: DSN1111",
    "smtpd OTHER11: client=mx.test[192.0.2.1]",
)
OWN = (
    # The second row stands before the one by which it is found.
    LedgerRow(SECOND_KEY, "two@alias.test", "ABC123", Outcome.PENDING, at=102.0),
    LedgerRow(KEY, "one@alias.test", "ABC123", Outcome.DELIVERED, new_queue_id="COPY111", at=103.0),
)


def ledger() -> Iterator[LedgerRow]:
    yield from OWN
    for number in range(MANY):
        yield LedgerRow(
            number.to_bytes(32), f"shop{number}@alias.test", f"Q{number}", new_queue_id=f"N{number}", at=50.0
        )


def log() -> Iterator[Line]:
    for at, text in enumerate(LOG, 100):
        name, _, said = text.partition(" ")
        service, _, daemon = f"postfix/{name}".rpartition("/")
        yield Line(float(at), service, daemon, said)
    for number in range(MANY):
        yield Line(200.0, "postfix", "smtpd", f"Q{number:06}: client=mx.test[192.0.2.1]")


def story(wanted: str) -> list[str]:
    steps = Story(Wanted(wanted), ledger, log).tell()
    return [step.queue_id for step in steps]


T = TypeVar("T")


def peak(work: Callable[[], T]) -> tuple[T, int]:
    """What it gives, and how many octets it took at most."""
    tracemalloc.start()
    try:
        return work(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


WHOLE = ["SECOND1", *["ABC123"] * 5, "COPY111", "AGAIN11", "AGAIN11"]


def test_whichever_end_it_is_asked_by_it_is_whole() -> None:
    ids = "ABC123", "COPY111", "SECOND1", "AGAIN11", "DSN1111"
    for wanted in (*ids, "one@alias.test", "<one@example.com>", "bob@example.com"):
        assert story(wanted) == WHOLE, wanted


def test_of_all_other_messages_nothing_is_kept() -> None:
    told, octets = peak(lambda: story("ABC123"))
    assert told == WHOLE
    assert octets < SMALL


def test_nothing_is_kept_of_what_the_log_has_ended_or_begun_without() -> None:
    def reckon() -> bool:
        period = Period(since=100.0, until=1_000.0, looked=1_000.0)
        return Reckoner(Tracker(at_our_door), ledger(), {}, period, lambda _: False).run().closes

    closes, octets = peak(reckon)
    assert closes
    assert octets < SMALL


def test_nothing_asked_is_nothing_known() -> None:
    assert story("") == []
