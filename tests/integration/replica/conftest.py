"""A truth on Postgres, and the replica of a node that follows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from postgres import Cluster
from replica_node import ReplicaNode, node_url
from truth import Truth, made


@pytest.fixture
def truth(postgres: Cluster) -> Iterator[Truth]:
    with made(postgres.fresh()) as truth:
        truth.furnish()
        yield truth


@pytest.fixture
def node(truth: Truth, tmp_path: Path) -> Iterator[ReplicaNode]:
    """A node that follows, with all of the truth copied."""
    with ReplicaNode(node_url(truth), tmp_path / "directory") as node:
        node.follow()
        node.await_current(truth)
        yield node
