"""The agent's file of domains, new only when the set is, and its mark that Postfix has to be told of them."""

from __future__ import annotations

from pathlib import Path

from postmask.store.admin import aliases, domains
from replica_node import ReplicaNode, wait_for
from truth import KEYS, Truth

NEW = "new.test"


def written(node: ReplicaNode) -> tuple[int, int, list[str]]:
    """Which file it is, when it was written, and what it says."""
    path: Path = node.folder.path / "domains"
    wait_for(path.exists, "the domains")
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, path.read_text().splitlines()


def take_mark(node: ReplicaNode) -> None:
    """As root does before it tells Postfix."""
    mark = node.folder.path / "domains.untold"
    wait_for(mark.exists, "the mark")
    mark.unlink()


def test_a_new_domain_and_one_that_is_removed_are_told_at_once(truth: Truth, node: ReplicaNode) -> None:
    assert written(node)[2] == ["alias.test"]
    take_mark(node)
    truth.do(domains.add, NEW, "ops@real.test", now=1.0)
    wait_for(lambda: written(node)[2] == ["alias.test", NEW], "the new domain", 5.0)
    take_mark(node)
    truth.do(domains.remove, KEYS, NEW, with_aliases=False, now=2.0)
    wait_for(lambda: written(node)[2] == ["alias.test"], "its end", 5.0)
    take_mark(node)


def test_nothing_is_written_while_the_set_is_the_same(truth: Truth, node: ReplicaNode) -> None:
    """Neither for aliases, nor when the agent begins anew, nor for a new copy; but then Postfix is told anew,
    lest something kept root from it before."""
    before = written(node)
    take_mark(node)
    truth.do(aliases.add, KEYS, "another@alias.test", ["bob@real.test"], now=1.0)
    truth.do(domains.edit, "alias.test", postmaster="abuse@real.test")
    node.await_current(truth)
    node.stop()
    assert not (node.folder.path / "domains.untold").exists()
    node.follow()
    node.await_current(truth)
    take_mark(node)
    number = node.number()
    current = node.folder.current()
    assert current is not None
    node.folder.complain(current)
    current.write_bytes(b"noise" * 10_000)
    wait_for(lambda: node.number() > number, "a new copy")
    node.await_current(truth)
    node.stop()
    assert written(node) == before


def test_a_file_that_was_lost_is_written_when_the_agent_begins(truth: Truth, node: ReplicaNode) -> None:
    written(node)
    node.stop()
    (node.folder.path / "domains").unlink()
    node.follow()
    assert written(node)[2] == ["alias.test"]
