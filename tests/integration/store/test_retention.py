"""What is past its time is forgotten, by nodes that may delete nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, insert, select, text

from postgres import Cluster
from postmask.agent.housekeeping import FORGET_EVERY, SEEN_EVERY, Housekeeping
from postmask.clock import DAY, ManualClock
from postmask.directory.lookup import Found
from postmask.spool import Entry, Spool
from postmask.store import intake, retention, roles, schema
from postmask.store.engine import Use, make_engine, parse_url
from postmask.store.errors import StoreError
from postmask.store.models import Base, Bounce, Counter, Deletion, Event, ReplayMark
from told_node import state_of
from truth import Truth, made

NOW = time.time()
"""Postgres goes by its own clock."""


@pytest.fixture
def node(furnished: Truth) -> Iterator[Engine]:
    """As the agent has it: on Postgres in the nodes' role."""
    url = furnished.url
    if furnished.engine.dialect.name == "postgresql":
        role = f"{parse_url(url).username}_node"
        roles.grant_node_role(furnished.engine, role, "secret")
        url = parse_url(url).set(username=role, password="secret").render_as_string(hide_password=False)
    engine = make_engine(url, Use.INTAKE)
    yield engine
    engine.dispose()


@pytest.fixture
def old_and_new(furnished: Truth) -> Truth:
    """An event and a bounce of 15 and of 13 days ago, a mark of 7 and of 5 days ago."""
    alias = furnished.directory().alias("shop@alias.test")
    assert isinstance(alias, Found)
    number, box = alias.value.id, alias.value.mailboxes[0].id
    entries = []
    for days in (15, 13):
        at = NOW - days * DAY
        entries += [
            Entry.new("event", at=at, account_id=alias.value.account_id, alias_id=number, kind="forwarded"),
            Entry.new(
                "bounce", at=at, alias_id=number, contact_token="0" * 16, mailbox_id=box, kind="forward",
                action="failed", status="5.1.1", reason="",
            ),
        ]  # fmt: skip
    for days in (7, 5):
        at = NOW - days * DAY
        entries.append(Entry.new("replay", mark=f"{days}", reverse_token="t", ledger_key="00", at=at))
    with furnished.engine.begin() as connection:
        assert intake.apply(connection, "mx1", entries) == ()
    return furnished


def counts(truth: Truth, *tables: type[Base]) -> list[int]:
    with truth.session() as session:
        return [session.scalar(select(func.count()).select_from(table)) or 0 for table in tables]


def test_only_what_is_past_its_time(old_and_new: Truth, node: Engine) -> None:
    assert retention.forget(node, days=14, now=NOW) == 3
    assert counts(old_and_new, Event, Bounce, ReplayMark) == [1, 1, 1]
    assert retention.forget(node, days=14, now=NOW) == 0
    with old_and_new.session() as session:
        assert session.scalars(select(Counter.count)).all() == [2]


def test_deletions_too_and_whoever_deletes_does_not_look_for_them(postgres: Cluster) -> None:
    """On Postgres. It would make each statement the longer, the more was deleted by those before it."""
    looked = text("SELECT seq_scan + idx_scan FROM pg_stat_xact_user_tables WHERE relname = 'deletion'")
    with made(postgres.fresh()) as truth:
        truth.furnish()
        with truth.session() as session:
            old = [
                {"change": -days, "relation": "alias", "key": "{}", "at": NOW - days * DAY}
                for days in (15, 13)
            ]
            session.execute(insert(Deletion), old)
        with truth.session() as session:
            session.execute(text("DELETE FROM alias"))
            assert session.scalar(looked) == 0
        assert counts(truth, Deletion) == [4], "those, the alias, and its mailbox's place"
        assert retention.forget(truth.engine, days=14, now=NOW) == 1
        assert counts(truth, Deletion) == [3]


def test_more_than_can_be_deleted_at_once(furnished: Truth, node: Engine) -> None:
    """Each call takes a piece, within its time, until there is no more."""
    old = {"node": "mx1", "at": NOW - 15 * DAY, "kind": "forwarded"}
    with furnished.engine.begin() as connection:
        connection.execute(insert(Event), [{"id": f"{number:032x}", **old} for number in range(20_003)])
    gone = []
    while not gone or gone[-1]:
        gone.append(retention.forget(node, days=14, now=NOW))
    assert gone == ([20_000, 3, 0] if node.dialect.name == "postgresql" else [*4 * [5_000], 3, 0])


def test_a_node_whose_clock_is_ahead(old_and_new: Truth, node: Engine) -> None:
    """With a database of its own clock it forgets nothing before its time; on SQLite there is one clock."""
    gone = retention.forget(node, days=14, now=NOW + 100 * DAY)
    assert gone == (3 if node.dialect.name == "postgresql" else 6)


def test_events_are_kept_for_a_day_at_least(old_and_new: Truth, node: Engine) -> None:
    if node.dialect.name == "postgresql":
        with pytest.raises(StoreError, match="a day at least"):
            retention.forget(node, days=0, now=NOW)
    else:
        assert retention.forget(node, days=1, now=NOW) == 5


@pytest.fixture
def keeping(furnished: Truth, node: Engine, tmp_path: Path) -> Iterator[tuple[Housekeeping, ManualClock]]:
    clock = ManualClock(at=NOW)
    spool = Spool(tmp_path / "spool.db", clock)
    yield Housekeeping(spool, node, "mx1", 14, clock, state_of(node, "mx1", tmp_path, clock)), clock
    spool.close()


def test_the_agent_sees_to_it(old_and_new: Truth, keeping: tuple[Housekeeping, ManualClock]) -> None:
    housekeeping, clock = keeping
    housekeeping.do()
    (told,) = schema.status(old_and_new.url).nodes
    assert (told.name, told.last_seen) == ("mx1", NOW)
    clock.advance(SEEN_EVERY - 1)
    housekeeping.do()
    assert schema.status(old_and_new.url).nodes[0].last_seen == NOW
    clock.advance(1)
    housekeeping.do()
    assert schema.status(old_and_new.url).nodes[0].last_seen == NOW + SEEN_EVERY
    clock.advance(FORGET_EVERY)
    housekeeping.do()
    assert counts(old_and_new, Event, Bounce, ReplayMark) == [1, 1, 1]


def test_the_agent_goes_on_until_there_is_no_more(
    old_and_new: Truth, keeping: tuple[Housekeeping, ManualClock], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A piece a round: the outbox doesn't wait for all of it."""
    housekeeping, clock = keeping
    clock.advance(FORGET_EVERY)
    left = [2, 1]
    monkeypatch.setattr(retention, "forget", lambda *_, **__: left.pop(0) if left else 0)
    for expected in ([1], [], []):
        housekeeping.do()
        assert left == expected
    left.append(1)
    housekeeping.do()
    assert left == [1], "in an hour"


@pytest.mark.parametrize("by", [float(DAY), float(-DAY)])
def test_a_clock_that_jumps_is_noticed(
    old_and_new: Truth,
    keeping: tuple[Housekeeping, ManualClock],
    caplog: pytest.LogCaptureFixture,
    by: float,
) -> None:
    """And others learn at once by which clock this node goes."""
    housekeeping, clock = keeping
    housekeeping.do()
    clock.at += by
    housekeeping.do()
    assert f"clock.jumped seconds={by:.0f}" in caplog.text
    assert schema.status(old_and_new.url).nodes[0].last_seen == NOW + by
    clock.advance(SEEN_EVERY)
    housekeeping.do()
    assert caplog.text.count("clock.jumped") == 1


def test_what_fails_is_said_once_and_tried_again(
    old_and_new: Truth,
    keeping: tuple[Housekeeping, ManualClock],
    caplog: pytest.LogCaptureFixture,
) -> None:
    housekeeping, clock = keeping
    with old_and_new.engine.begin() as connection:
        connection.execute(text("DROP TABLE event"))
    for _ in range(3):
        clock.advance(FORGET_EVERY)
        housekeeping.do()
    said = [record for record in caplog.records if "truth.forget" in record.getMessage()]
    assert len(said) == 1
