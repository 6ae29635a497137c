"""A standby that is promoted: its change numbers go on from an older state, on another timeline."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import postgres as server
from postgres import Cluster
from postmask.directory.lookup import ABSENT, Found
from postmask.store.admin import aliases
from postmask.store.errors import StoreError
from replica_node import ReplicaNode, node_url, wait_for
from truth import KEYS, Truth, made


@pytest.fixture
def primary() -> Iterator[Cluster]:
    with server.running() as cluster:
        yield cluster


def add(truth: Truth, address: str) -> None:
    truth.do(aliases.add, KEYS, address, ["bob@real.test"], now=1.0)


def writable(truth: Truth) -> bool:
    try:
        add(truth, "first@alias.test")
    except StoreError:
        return False
    return True


def test_a_promoted_standby_is_noticed(
    primary: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The primary dies with changes that the standby never had; the same URL leads to the standby now."""
    with made(primary.fresh()) as truth, tempfile.TemporaryDirectory(dir="/tmp") as folder:
        truth.furnish()
        with ReplicaNode(node_url(truth), tmp_path / "directory") as node:
            node.follow()
            os.chmod(folder, 0o755)
            standby = primary.promoted_standby(Path(folder) / "standby")
            add(truth, "lost@alias.test")
            node.await_current(truth)
            assert isinstance(node.alone().alias("lost@alias.test"), Found)
            primary.stop()
            try:
                standby.start()
                try:
                    standby.promote()
                    wait_for(lambda: writable(truth), "the new primary")
                    # As many changes as there were: the number alone would say nothing.
                    for number in range(5):
                        add(truth, f"other{number}@alias.test")
                    wait_for(lambda: node.number() == 2, "a copy of the new primary", 40.0)
                    node.await_current(truth)
                    assert node.alone().alias("lost@alias.test") == ABSENT
                    assert isinstance(node.alone().alias("other4@alias.test"), Found)
                    assert "the database is another one: timeline" in caplog.text
                finally:
                    node.stop()
                    standby.stop()
            finally:
                primary.start()
