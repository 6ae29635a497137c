"""The replica follows the truth: copied once, then every change, in order, whoever made it and how."""

from __future__ import annotations

import contextlib
import math
import sqlite3
import threading
import time

import pytest
from sqlalchemy import text

from postgres import Cluster
from postmask.alias.sifting import SpamRules
from postmask.directory.lookup import ABSENT, Found
from postmask.directory.records import AliasState, SpamPolicy
from postmask.directory.replica import ReplicaDirectory
from postmask.store import schema
from postmask.store.admin import aliases, policies
from postmask.store.admin.rules import Target
from postmask.store.engine import Use, make_engine, parse_url
from postmask.store.fitness import OURS
from postmask.store.models import Base
from postmask.store.replica import feed
from postmask.store.replica.feed import Feed
from postmask.store.replica.tables import COPIED
from replica_node import POLL, ReplicaNode, wait_for
from truth import KEYS, Truth

SLACK = 2.0
ADDED_LATER = (
    "version", "keys", "replica_at", "drained_at", "drained_by", "waiting", "held", "order_at", "order_by",
    "order_drain", "done_at",
)  # fmt: skip
"""Columns of node, by schema 0006."""


def add(truth: Truth, address: str) -> None:
    truth.do(aliases.add, KEYS, address, ["bob@real.test"], now=1.0)


def same(truth: Truth, node: ReplicaNode) -> bool:
    """Whether every copied table holds the same rows on both sides."""
    alone = node.alone()
    try:
        with truth.engine.connect() as there, alone._engine.connect() as here:
            for table in COPIED:
                rows = f"SELECT {', '.join(table.columns)} FROM {table.name}"
                left, right = (
                    sorted(str([bytes(v) if isinstance(v, memoryview) else v for v in row]) for row in rows)
                    for rows in (there.execute(text(rows)), here.execute(text(rows)))
                )
                if [row.replace("False", "0").replace("True", "1") for row in left] != right:
                    return False
    finally:
        alone.close()
    return True


def test_the_first_copy_has_everything(truth: Truth, node: ReplicaNode) -> None:
    assert same(truth, node)
    found = node.alone().alias("shop@alias.test")
    assert isinstance(found, Found)
    assert found.value.mailboxes[0].address == "bob@real.test"
    # The state is written after the pointer.
    wait_for(lambda: (state := node.folder.read_state()) and not state.trouble, "the state to say so")


def test_changes_are_followed_within_a_second(truth: Truth, node: ReplicaNode) -> None:
    add(truth, "new@alias.test")
    node.await_current(truth, 1.0 + SLACK)
    assert isinstance(node.alone().alias("new@alias.test"), Found)
    truth.do(aliases.disable, "new@alias.test")
    node.await_current(truth, 1.0 + SLACK)
    found = node.alone().alias("new@alias.test")
    assert isinstance(found, Found)
    assert found.value.state is AliasState.DISABLED
    with truth.engine.begin() as connection:
        connection.execute(text("DELETE FROM alias WHERE address = 'new@alias.test'"))
    node.await_current(truth, 1.0 + SLACK)
    assert node.alone().alias("new@alias.test") == ABSENT
    assert node.number() == 1
    assert same(truth, node)


def test_an_address_that_goes_to_another_row(truth: Truth, node: ReplicaNode) -> None:
    """Deleted and made anew, and swapped between two rows, in one transaction."""
    add(truth, "other@alias.test")
    with truth.engine.begin() as connection:
        for statement in (
            "UPDATE alias SET address = 'x@alias.test' WHERE address = 'shop@alias.test'",
            "UPDATE alias SET address = 'shop@alias.test' WHERE address = 'other@alias.test'",
            "UPDATE alias SET address = 'other@alias.test' WHERE address = 'x@alias.test'",
            "DELETE FROM mailbox_sender",
        ):
            connection.execute(text(statement))
    node.await_current(truth)
    assert same(truth, node)


def test_a_primary_key_that_changes(truth: Truth, node: ReplicaNode) -> None:
    with truth.engine.begin() as connection:
        connection.execute(text("INSERT INTO mailbox_sender SELECT id, 'a@x.test' FROM mailbox"))
        connection.execute(text("UPDATE mailbox_sender SET address = 'b@x.test'"))
    node.await_current(truth)
    assert same(truth, node)


def test_a_row_that_goes_and_comes_again_at_once(truth: Truth, node: ReplicaNode) -> None:
    """As the mailbox of an alias that is given to others and back again."""
    with truth.engine.begin() as connection:
        for statement in ("CREATE TEMPORARY TABLE kept AS TABLE alias_mailbox", "DELETE FROM alias_mailbox"):
            connection.execute(text(statement))
        connection.execute(text("INSERT INTO alias_mailbox SELECT * FROM kept"))
    node.await_current(truth)
    assert same(truth, node)


def test_a_late_commit_is_not_missed(truth: Truth, node: ReplicaNode) -> None:
    """Who writes later waits for it, so its number is lower than any that is seen before it."""
    late = make_engine(truth.url).connect()
    late.execute(text("UPDATE alias SET note = 'late'"))
    done = threading.Event()

    def write() -> None:
        add(truth, "after@alias.test")
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert not done.wait(POLL + 1)
    assert node.alone().alias("after@alias.test") == ABSENT
    late.commit()
    late.close()
    writer.join(20)
    assert done.is_set()
    node.await_current(truth)
    assert isinstance(node.alone().alias("after@alias.test"), Found)
    assert same(truth, node)


def test_a_forgotten_transaction_is_ended(truth: Truth, node: ReplicaNode) -> None:
    """With a shorter time-out than the roles have."""
    idle = make_engine(truth.url).connect()
    idle.execute(text("SET idle_in_transaction_session_timeout = '500ms'"))
    idle.execute(text("UPDATE alias SET note = 'forgotten'"))
    begun = time.monotonic()
    add(truth, "after@alias.test")
    assert time.monotonic() - begun < 20
    idle.invalidate()
    node.await_current(truth)
    assert same(truth, node)


def test_the_roles_do_not_idle_in_transactions(truth: Truth, node: ReplicaNode) -> None:
    for url in (truth.url, node.url):
        engine = make_engine(url)
        with engine.connect() as connection:
            assert connection.scalar(text("SHOW idle_in_transaction_session_timeout")) in ("1min", "10s")
        engine.dispose()


def test_changes_by_hand_under_session_replication_role(
    truth: Truth, node: ReplicaNode, postgres: Cluster
) -> None:
    """The superuser switches ordinary triggers off; ours fire always."""
    database = str(parse_url(truth.url).database)
    engine = make_engine(postgres.url(database))
    with engine.begin() as connection:
        connection.execute(text("SET session_replication_role = replica"))
        connection.execute(text("UPDATE alias SET state = 'disabled'"))
        connection.execute(text("DELETE FROM mailbox WHERE address = 'ann@real.test'"))
    engine.dispose()
    node.await_current(truth, 1.0 + SLACK)
    found = node.alone().alias("shop@alias.test")
    assert isinstance(found, Found)
    assert found.value.state is AliasState.DISABLED
    assert same(truth, node)


def test_without_being_told_it_looks_by_itself(truth: Truth, node: ReplicaNode) -> None:
    with truth.engine.begin() as connection:
        connection.execute(text("ALTER TABLE alias DISABLE TRIGGER change_90_tell"))
        connection.execute(text("UPDATE alias SET note = 'quietly'"))
    node.await_current(truth, POLL + 5)
    assert same(truth, node)


def test_a_node_that_was_away_catches_up_without_a_new_copy(truth: Truth, node: ReplicaNode) -> None:
    node.stop()
    add(truth, "meanwhile@alias.test")
    truth.do(aliases.remove, "shop@alias.test", now=2.0)
    node.follow()
    node.await_current(truth)
    assert node.number() == 1
    assert same(truth, node)


def test_what_was_deleted_is_asked_for_in_pieces(
    truth: Truth, node: ReplicaNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All aliases of a domain, say: Postgres doesn't wait for ten seconds until it is asked again."""
    monkeypatch.setattr(feed, "_PIECE", 2)
    with truth.engine.begin() as connection:
        several = "SELECT id, n || '@x.test' FROM mailbox, generate_series(1, 3) AS n LIMIT 5"
        connection.execute(text(f"INSERT INTO mailbox_sender {several}"))
    node.await_current(truth)
    with truth.engine.begin() as connection:
        connection.execute(text("DELETE FROM mailbox_sender"))
    node.await_current(truth)
    assert same(truth, node)
    with Feed(make_engine(node.url, Use.FEED)) as opened, opened.snapshot() as snapshot:
        assert [len(piece) for piece in snapshot.deletions(0)] == [2, 2, 1]


def test_a_change_during_the_reading_of_another_is_told(truth: Truth, node: ReplicaNode) -> None:
    with Feed(make_engine(node.url, Use.FEED)) as opened:
        opened.listen()
        with opened.snapshot():
            add(truth, "meanwhile@alias.test")
        assert opened.wait(20.0)


def test_many_writers_at_once(truth: Truth, node: ReplicaNode) -> None:
    def write(part: int) -> None:
        for number in range(15):
            add(truth, f"a{part}-{number}@alias.test")

    writers = [threading.Thread(target=write, args=(part,)) for part in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    node.await_current(truth)
    assert same(truth, node)
    assert isinstance(node.alone().alias("a3-14@alias.test"), Found)


def test_only_one_agent_keeps_a_replica(
    truth: Truth, node: ReplicaNode, caplog: pytest.LogCaptureFixture
) -> None:
    with ReplicaNode(node.url, node.folder.path) as second:
        second.follow()
        wait_for(lambda: "another postmask-agent" in caplog.text, "the second's complaint")
    wait_for(lambda: (state := node.folder.read_state()) and not state.trouble, "the first to be well")


def test_spam_policies_are_followed(truth: Truth, node: ReplicaNode) -> None:
    found = node.alone().alias("shop@alias.test")
    assert isinstance(found, Found)
    truth.do(policies.change, Target(alias="shop@alias.test"), {"hold": math.inf}, SpamRules())
    node.await_current(truth)
    assert node.alone().spam_policies(found.value) == Found((SpamPolicy("alias", hold=math.inf),))
    truth.do(policies.change, Target(alias="shop@alias.test"), {"hold": None}, SpamRules())
    node.await_current(truth)
    assert node.alone().spam_policies(found.value) == ABSENT


def test_a_truth_of_before_spam_policies_is_followed_until_it_is_upgraded(
    truth: Truth, node: ReplicaNode, caplog: pytest.LogCaptureFixture
) -> None:
    directory = node.directory()
    with truth.engine.begin() as connection:
        connection.execute(text("DROP TABLE spam_policy, purged_alias, purged_reverse_alias"))
        key = "fk_tombstone_account_id FOREIGN KEY (account_id) REFERENCES account (id)"
        connection.execute(text(f"ALTER TABLE tombstone ADD CONSTRAINT {key}"))  # until schema 0009
        for column in ADDED_LATER:
            connection.execute(text(f'ALTER TABLE node DROP COLUMN "{column}"'))
        connection.execute(text("UPDATE alembic_version SET version_num = '0004'"))
    wait_for(lambda: node.number() == 2, "a copy of the older one")
    truth.do(aliases.edit, "shop@alias.test", name="Shop")
    wait_for(lambda: _named(directory) == "Shop", "its changes")
    found = directory.alias("shop@alias.test")
    assert isinstance(found, Found)
    assert directory.spam_policies(found.value) == ABSENT
    assert directory.reverse_alias("b" * 24) == ABSENT
    schema.upgrade(truth.url)
    truth.do(policies.change, Target(domain="alias.test"), {"mark": 0.5}, SpamRules())
    wanted = Found((SpamPolicy("domain", mark=0.5),))
    wait_for(lambda: directory.spam_policies(found.value) == wanted, "the policy, in the rights of before")
    assert node.directory().reverse_alias("b" * 24) == ABSENT
    word = f"its schema was 0004 and is {OURS}"
    wait_for(lambda: word in caplog.text, "the agent's word on its new copy")


def test_triggers_that_a_restore_left_half_on_are_switched_on_by_an_upgrade(
    truth: Truth, node: ReplicaNode, caplog: pytest.LogCaptureFixture
) -> None:
    """As `pg_restore --data-only --disable-triggers` leaves them, and pg_upgradecluster by it."""
    directory = node.directory()
    with truth.engine.begin() as connection:
        for table in Base.metadata.tables:
            for state in ("DISABLE", "ENABLE"):
                connection.execute(text(f'ALTER TABLE "{table}" {state} TRIGGER USER'))
    wait_for(lambda: "see, once that is done, postmask db upgrade" in caplog.text, "the agent's word")
    add(truth, "late@alias.test")
    assert schema.upgrade(truth.url) == (OURS, OURS)
    wait_for(lambda: isinstance(directory.alias("late@alias.test"), Found), "the alias")
    with truth.engine.connect() as connection:
        states = connection.scalars(text("SELECT tgenabled FROM pg_trigger WHERE NOT tgisinternal"))
        assert {str(state) for state in states} == {"A"}


def test_a_replica_of_before_spam_policies_serves(truth: Truth, node: ReplicaNode) -> None:
    node.stop()
    path = node.folder.current()
    assert path is not None
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE spam_policy")
        connection.commit()
    directory = node.directory()
    for _ in range(3):
        found = directory.alias("shop@alias.test")
        assert isinstance(found, Found)
        assert directory.spam_policies(found.value) == ABSENT
    assert not node.folder.complained(path)


def _named(directory: ReplicaDirectory) -> str | None:
    found = directory.alias("shop@alias.test")
    return found.value.name if isinstance(found, Found) else None
