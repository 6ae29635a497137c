"""A dump put back into a fresh cluster under a running node: it is never taken for whole before it is."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import postgres as server
from postgres import Cluster
from postmask.directory.lookup import ABSENT, GONE, Found, Unavailable
from postmask.store.admin import aliases, contacts
from postmask.store.engine import parse_url
from replica_node import ReplicaNode, wait_for
from truth import KEYS, made


@pytest.fixture
def old() -> Iterator[Cluster]:
    with server.running() as cluster:
        yield cluster


def client(cluster: Cluster, program: str, *arguments: str) -> None:
    """One of Postgres's own programs, as the superuser."""
    environment = {**os.environ, "PGPASSWORD": cluster.password, "PGUSER": "postgres"}
    environment |= {"PGHOST": "127.0.0.1", "PGPORT": str(cluster.port)}
    command = [str(cluster.bin / program), *arguments]
    subprocess.run(command, env=environment, check=True, capture_output=True)


def dump(cluster: Cluster, database: str, folder: Path) -> tuple[Path, Path]:
    """The roles, as SQL, and the database, as an archive."""
    roles, archive = folder / "roles.sql", folder / "dump"
    client(cluster, "pg_dumpall", "--roles-only", "--file", str(roles))
    client(cluster, "pg_dump", "--format=custom", "--file", str(archive), database)
    return roles, archive


def test_a_dump_in_a_fresh_cluster(old: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Step by step, with the node in the owner's role, which could see tables without their rows."""
    with made(old.fresh()) as truth:
        truth.furnish()
        truth.do(aliases.add, KEYS, "gone@alias.test", ["bob@real.test"], now=1.0)
        made_known: Any = truth.do(contacts.add, KEYS, "gone@alias.test", "bob@firm.test", now=1.0)
        truth.do(aliases.remove, "gone@alias.test", now=2.0)
        database = str(parse_url(truth.url).database)
        with ReplicaNode(truth.url, tmp_path / "directory") as node:
            node.follow()
            node.await_current(truth)
            roles, archive = dump(old, database, tmp_path)
            truth.do(aliases.add, KEYS, "later@alias.test", ["bob@real.test"], now=1.0)
            node.await_current(truth)
            directory = node.directory()
            old.stop()
            try:
                with server.running(port=old.port, password=old.password) as fresh:
                    client(fresh, "psql", "--file", str(roles), "postgres")
                    client(fresh, "createdb", "--owner", database, database)
                    for section in ("pre-data", "data"):
                        client(fresh, "pg_restore", "--section", section, "--dbname", database, str(archive))
                        wait_for(lambda: "being restored" in state(node), f"the node to see it: {section}")
                        assert isinstance(directory.alias("shop@alias.test"), Found)
                        assert isinstance(directory.alias("later@alias.test"), Found)
                        for number in range(3):
                            unknown = f"nobody-{section}-{number}@alias.test"
                            assert isinstance(directory.alias(unknown), Unavailable)
                            # By somebody who hasn't just been told that it is being restored.
                            asked = node.directory().reverse_alias(made_known.token)
                            assert isinstance(asked, Unavailable)
                        assert node.number() == 1
                    client(fresh, "pg_restore", "--section", "post-data", "--dbname", database, str(archive))
                    wait_for(lambda: node.number() == 2, "a copy of what was restored", 40.0)
                    truth.engine.dispose()
                    node.await_current(truth)
                    assert isinstance(directory.alias("shop@alias.test"), Found)
                    wait_for(lambda: directory.alias("nobody@alias.test") == ABSENT, "its word")
                    assert directory.alias("later@alias.test") == ABSENT
                    assert directory.reverse_alias(made_known.token) == GONE
                    assert "the database is another one: system" in caplog.text
            finally:
                node.stop()
                old.start()


def state(node: ReplicaNode) -> str:
    """What the agent says is wrong."""
    told = node.folder.read_state()
    return told.trouble if told else ""
