"""The sum over a log that was cut off: Postfix's daemons were killed before they could say what they did."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from postmask.maillog.lines import Line
from postmask.maillog.reckoning import Fate, Period, Queued, Reckoner, Reckoning
from postmask.maillog.records import at_our_door, parse
from postmask.maillog.tracking import Tracker
from postmask.spool import LedgerRow, Outcome

KEY = bytes(range(32))
COPY_KEY = KEY.hex()
LOG = (
    "smtpd ABC123: client=mx.test[192.0.2.1]",
    "qmgr ABC123: from=<bob@example.com>, size=300, nrcpt=1 (queue active)",
    "pipe ABC123: to=<shop@alias.test>, relay=postmask, delay=0.1, delays=0/0/0/0.1, dsn=2.1.5, "
    "status=sent (delivered via postmask service (2.1.5 ok))",
    "qmgr ABC123: removed",
    f"postmask-reinject/smtpd DEF456: client=localhost[127.0.0.1], orig_queue_id={COPY_KEY}",
    "qmgr DEF456: from=<b@alias.test>, size=900, nrcpt=1 (queue active)",
    "smtp DEF456: to=<me@real.test>, relay=mx.real.test[192.0.2.9]:25, delay=0.1, delays=0/0/0/0.1, "
    "dsn=2.0.0, status=sent (250 ok)",
    "qmgr DEF456: removed",
)


def reckon(
    log: Sequence[str],
    outcome: Outcome = Outcome.DELIVERED,
    queue: Sequence[str] = (),
    reason: str = "",
    recorded: float = 103.0,
    since: float = 0.0,
    until: float = 1_000.0,
) -> Reckoning:
    """A log from second 100 on, the ledger's one row, and what lies in the queue."""
    tracker = Tracker(lambda attempt: at_our_door(attempt) or is_ours(attempt.recipient))
    for at, text in enumerate(log, 100):
        name, _, said = text.partition(" ")
        service, _, daemon = f"postfix/{name}".rpartition("/")
        tracker.add(float(at), parse(Line(float(at), service, daemon, said)))
    row = LedgerRow(
        KEY, "shop@alias.test", "ABC123", outcome, new_queue_id="DEF456", reason=reason, at=recorded
    )
    waiting = {name: Queued(name, "deferred", ("me@real.test",)) for name in queue}
    period = Period(since, until, looked=1_000.0)
    return Reckoner(tracker, [row], waiting, period, is_ours).run()


def is_ours(address: str) -> bool:
    return address.endswith("@alias.test")


def without(*numbers: int) -> list[str]:
    return [text for number, text in enumerate(LOG) if number not in numbers]


@pytest.mark.parametrize(
    "missing",
    [(), (7,), (2,), (2, 3)],
    ids=["nothing", "the copy's removal", "the hand-over", "the hand-over and the removal"],
)
def test_what_the_ledger_and_the_rest_of_the_log_make_certain(missing: tuple[int, ...]) -> None:
    result = reckon(without(*missing))
    assert (result.messages, +result.fates, result.unaccounted) == (1, {Fate.DELIVERED: 1}, [])


@pytest.mark.parametrize(
    ("missing", "queue_id", "why"),
    [
        ((6,), "ABC123", "its copy DEF456: it is gone from the queue"),
        ((6, 7), "ABC123", "its copy DEF456: it is gone from the queue"),
        ((4, 5, 6, 7), "ABC123", "its copy DEF456 is nowhere to be found"),
        (range(8), "ABC123", "the ledger knows it, but the log ends before"),
    ],
)
def test_what_nobody_can_know(missing: Sequence[int], queue_id: str, why: str) -> None:
    (told,) = reckon(without(*missing)).unaccounted
    assert told.queue_id == queue_id
    assert told.why.startswith(why)


def test_a_copy_put_off_and_gone_has_no_outcome() -> None:
    log = [*LOG[:6], LOG[6].replace("status=sent (250", "status=deferred (450"), LOG[7]]
    (told,) = reckon(log).unaccounted
    assert told.why == "its copy DEF456: it ended without an answer"


@pytest.mark.parametrize(
    ("since", "until", "lost"),
    [(100.0, 101.0, 1), (101.0, 1_000.0, 0), (0.0, 100.0, 0)],
    ids=["in the period", "before it", "after it"],
)
def test_a_copy_that_the_ledger_does_not_know(since: float, until: float, lost: int) -> None:
    """Of what was sent before the period the row may be forgotten, of what comes later not there yet."""
    log = [text.replace(COPY_KEY, "f" * 64) for text in LOG[4:]]
    result = reckon(log, recorded=until, since=since, until=until)
    assert [one.why for one in result.unaccounted] == ["a copy of ours that the ledger doesn't know"] * lost


@pytest.mark.parametrize(
    ("since", "until", "messages"), [(100.0, 101.0, 1), (101.0, 1_000.0, 0), (0.0, 100.0, 0)]
)
def test_what_began_in_the_period_is_reckoned(since: float, until: float, messages: int) -> None:
    result = reckon(LOG, since=since, until=until)
    assert (result.messages, sum(result.fates.values()), result.closes) == (messages, messages, True)


def test_what_never_reached_our_transport_and_was_returned() -> None:
    log = [
        *LOG[:2],
        "error ABC123: to=<shop@alias.test>, relay=none, delay=9, delays=9/0/0/0, dsn=4.3.0, "
        "status=deferred (mail transport unavailable)",
        "qmgr ABC123: from=<bob@example.com>, status=expired, returned to sender",
        LOG[3],
    ]
    result = reckon(log, Outcome.PENDING)
    assert (result.messages, +result.fates, result.closes) == (1, {Fate.RETURNED: 1}, True)


def test_a_hand_over_of_which_neither_log_nor_ledger_tells() -> None:
    (told,) = reckon(LOG[:2], Outcome.PENDING).unaccounted
    assert told.why == "it is gone from the queue, and the log doesn't say how"


@pytest.mark.parametrize(("recorded", "closes"), [(167.0, True), (168.0, False), (1_000.0, True)])
def test_a_log_that_ends_before_the_ledger_proves_nothing(recorded: float, closes: bool) -> None:
    """A log daemon that stopped for good at a full disk. What is recorded from now on is not looked at."""
    result = reckon(LOG, recorded=recorded)
    assert result.closes is closes
    assert all(one.why == "the ledger knows it, but the log ends before" for one in result.unaccounted)


def test_of_two_recipients_one_is_not_told_of() -> None:
    log = without(7)
    log[5] = log[5].replace("nrcpt=1", "nrcpt=2")
    assert len(reckon(log).unaccounted) == 1


def test_a_copy_still_in_the_queue_waits() -> None:
    result = reckon(LOG[:6], queue=["DEF456"])
    assert +result.fates == {Fate.WAITING: 1}


HELD = (
    *LOG[:4],
    f"postmask-hold/smtpd AAA111: client=localhost[127.0.0.1], orig_queue_id={COPY_KEY}",
    *LOG[4:],
)
WAS_HELD = "not proven; released, was held as AAA111"


@pytest.mark.parametrize("left", [[], ["AAA111"]], ids=["deleted", "still on hold"])
def test_a_released_copy_is_one(left: list[str]) -> None:
    log = HELD if left else (*HELD, "postsuper AAA111: removed")
    result = reckon(log, queue=left, reason=WAS_HELD)
    assert (+result.fates, result.duplicates, result.closes) == ({Fate.DELIVERED: 1}, [], True)


def test_two_copies_are_two_where_the_ledger_names_no_release() -> None:
    assert len(reckon(HELD, queue=["AAA111"]).duplicates) == 1


def test_a_copy_that_was_broken_off_before_the_final_dot_is_none() -> None:
    log = [*LOG[:4], f"postmask-reinject/smtpd AAA111: client=localhost[127.0.0.1], orig_queue_id={COPY_KEY}"]
    result = reckon([*log, *LOG[4:]])
    assert (+result.fates, result.duplicates, result.closes) == ({Fate.DELIVERED: 1}, [], True)


def test_a_copy_that_postfix_delivered_twice() -> None:
    """Its delivery agent was killed between the next server's 250 and its own word to the queue manager."""
    (told,) = reckon([*LOG[:7], LOG[6], LOG[7]]).duplicates
    assert (told.queue_id, told.recipient, told.copies) == ("ABC123", "shop@alias.test", ("DEF456",))
    assert told.cause.startswith("Postfix delivered the same copy again")


def test_a_queue_id_that_is_used_again_is_another_message() -> None:
    """Short ones are, within hours. The second is for others alone, or ours as well."""
    foreign = [
        LOG[0],
        LOG[1],
        LOG[2].replace("alias.test", "real.test").replace("relay=postmask", "relay=x"),
        LOG[3],
    ]
    assert reckon([*LOG, *foreign]).messages == 1
    again = reckon([*LOG, *LOG[:4]])
    assert (again.messages, [one.queue_id for one in again.unaccounted]) == (2, ["ABC123"])
