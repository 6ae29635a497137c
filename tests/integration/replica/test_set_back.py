"""A Postgres whose files are put back as they were, as by a machine's snapshot: no number in it says so."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import postgres as server
from postgres import Cluster
from postmask.agent.contacts import Reminder
from postmask.agent.outbox import OutboxCarrier
from postmask.clock import ManualClock
from postmask.directory.lookup import ABSENT, Found
from postmask.spool import LocalContact, Spool
from postmask.store.admin import aliases
from postmask.store.engine import Use, make_engine
from postmask.tokens import reverse_token
from replica_node import ReplicaNode, node_url, wait_for
from truth import KEYS, Truth, made


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with server.running() as cluster:
        yield cluster


def tell(spool: Spool, url: str) -> None:
    """What the agent does in a minute."""
    engine = make_engine(url, Use.INTAKE)
    Reminder(spool, engine, ManualClock()).look()
    OutboxCarrier(spool, engine, "mx1").carry()
    engine.dispose()


def add(truth: Truth, address: str) -> None:
    truth.do(aliases.add, KEYS, address, ["bob@real.test"], now=1.0)


def test_what_was_lost_is_noticed(cluster: Cluster, tmp_path: Path) -> None:
    """Though it has more changes than it had before: somebody was busy before the node came back to it."""
    with made(cluster.fresh()) as truth, contextlib.ExitStack() as stack:
        truth.furnish()
        url = node_url(truth)
        node = stack.enter_context(ReplicaNode(url, tmp_path / "directory"))
        spool = stack.enter_context(contextlib.closing(Spool(tmp_path / "spool.db", truth.clock)))
        alias = truth.directory().alias("shop@alias.test")
        assert isinstance(alias, Found)
        token = reverse_token(KEYS, alias.value.id, "bob@firm.test")
        truth.close()
        with cluster.set_back():
            spool.begin([], [LocalContact(token, alias.value.id, "bob@firm.test", None, "bob@firm.test")])
            tell(spool, url)
            add(truth, "lost@alias.test")
            node.follow()
            node.await_current(truth)
            assert isinstance(node.alone().alias("lost@alias.test"), Found)
            node.stop()
            truth.close()
        for number in range(9):
            add(truth, f"other{number}@alias.test")
        assert truth.directory().reverse_alias(token) == ABSENT
        tell(spool, url)
        assert isinstance(truth.directory().reverse_alias(token), Found)
        node.follow()
        wait_for(lambda: node.alone().alias("lost@alias.test") == ABSENT, "a new copy")
        node.await_current(truth)
        assert isinstance(node.alone().reverse_alias(token), Found)
