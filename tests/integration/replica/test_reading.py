"""What the programs are told, with the truth there, stopped, frozen, or ahead of the replica."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

import postgres as server
from postgres import Cluster
from postmask.alias.sifting import SpamRules
from postmask.directory.lookup import ABSENT, GONE, Absent, Found, Lookup, Unavailable
from postmask.directory.records import Alias, Domain
from postmask.directory.replica import ReplicaDirectory
from postmask.store.admin import accounts, aliases, contacts, domains, mailboxes, policies
from postmask.store.admin.rules import Target
from postmask.store.admin.views import AliasView, ContactView
from replica_node import ReplicaNode, node_url, wait_for
from truth import KEYS, Truth, made

SLACK = 2.0
OUTAGES: dict[str, Callable[[Cluster], AbstractContextManager[None]]] = {
    "stopped": lambda cluster: cluster.stopped(),
    "frozen": lambda cluster: cluster.frozen(),
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A server that may be stopped."""
    with server.running() as cluster:
        yield cluster


@pytest.fixture
def shaky(cluster: Cluster) -> Iterator[Truth]:
    with made(cluster.fresh()) as truth:
        truth.furnish()
        yield truth


@pytest.fixture
def follower(shaky: Truth, tmp_path: Path) -> Iterator[ReplicaNode]:
    with ReplicaNode(node_url(shaky), tmp_path / "directory") as node:
        node.follow()
        node.await_current(shaky)
        yield node


def known(node: ReplicaNode) -> tuple[Alias, Domain]:
    directory = node.directory()
    alias, domain = directory.alias("shop@alias.test"), directory.domain("alias.test")
    assert isinstance(alias, Found)
    assert isinstance(domain, Found)
    return alias.value, domain.value


@pytest.mark.parametrize("outage", OUTAGES)
def test_without_the_truth(shaky: Truth, follower: ReplicaNode, cluster: Cluster, outage: str) -> None:
    """All that a message to a known alias needs is there at once, also for a contact met first now."""
    directory = follower.directory()
    alias, domain = known(follower)
    with OUTAGES[outage](cluster):
        begun = time.monotonic()
        for _ in range(200):
            assert isinstance(directory.alias("shop@alias.test"), Found)
            assert isinstance(directory.alias_by_id(alias.id), Found)
            assert isinstance(directory.domain("alias.test"), Found)
            assert isinstance(directory.sender_rule("bob@example.com", alias, domain), Absent)
            assert isinstance(directory.contact(alias.id, "new@example.com"), Absent)
            assert isinstance(directory.account_addresses(alias.account_id), Found)
            assert isinstance(directory.dkim_keys("alias.test"), Found)
            assert isinstance(directory.replay_mark("m", "t" * 24), Absent)
        assert time.monotonic() - begun < 20.0, "by far less than asking the truth takes as often"
        for number in range(5):
            begun = time.monotonic()
            assert isinstance(directory.alias(f"nobody{number}@alias.test"), Unavailable)
            assert isinstance(directory.reverse_alias("a" * 24), Unavailable)
            assert time.monotonic() - begun < 2.0 + SLACK
    wait_for(lambda: directory.alias("nobody@alias.test") == ABSENT, "the truth's return")
    shaky.engine.dispose()
    shaky.do(aliases.add, KEYS, "later@alias.test", ["bob@real.test"], now=1.0)
    follower.await_current(shaky, 30.0)


def test_what_the_replica_does_not_know_yet(truth: Truth, node: ReplicaNode) -> None:
    """Accepted at once by asking the truth, with all that belongs to it."""
    node.stop()
    directory = node.directory()
    truth.do(domains.add, "second.test", "ops@real.test", now=1.0)
    key = {"selector": "s1", "algorithm": "rsa", "sealed": b"x", "public": "v=DKIM1; p=x"}
    truth.do(domains.add_key, "second.test", **key, now=1.0)
    truth.do(aliases.add, KEYS, "new@second.test", ["bob@real.test"], now=1.0)
    domain, alias = directory.domain("second.test"), directory.alias("new@second.test")
    assert isinstance(domain, Found)
    assert isinstance(alias, Found)
    assert isinstance(directory.alias_by_id(alias.value.id), Found)
    assert directory.sender_rule("bob@example.com", alias.value, domain.value) == ABSENT
    assert directory.contact(alias.value.id, "bob@example.com") == ABSENT
    keys = directory.dkim_keys("second.test")
    assert isinstance(keys, Found)
    assert [key.selector for key in keys.value] == ["s1"]
    addresses = directory.account_addresses(alias.value.account_id)
    assert isinstance(addresses, Found)
    assert "bob@real.test" in addresses.value
    assert directory.alias("nobody@alias.test") == ABSENT


FIRST_QUESTIONS: dict[str, Callable[[ReplicaDirectory, AliasView, ContactView], Lookup[Any]]] = {
    "alias": lambda directory, alias, _: directory.alias(alias.address),
    "alias by id": lambda directory, alias, _: directory.alias_by_id(alias.id),
    "reverse alias": lambda directory, _, contact: directory.reverse_alias(contact.token),
}


@pytest.mark.parametrize("first", FIRST_QUESTIONS)
def test_all_of_an_owner_that_the_replica_does_not_know_yet(
    truth: Truth, node: ReplicaNode, first: str
) -> None:
    """What must not leak and who is blocked too, whatever the message asked for first."""
    node.stop()
    truth.do(accounts.add, "eve", now=1.0)
    truth.do(mailboxes.add, KEYS, "eve@home.test", account="eve", verified=True, now=1.0)
    alias: Any = truth.do(aliases.add, KEYS, "eve@alias.test", ["eve@home.test"], account="eve", now=1.0)
    contact: Any = truth.do(contacts.add, KEYS, "eve@alias.test", "bob@example.com", now=1.0)
    truth.do(contacts.block, "eve@alias.test", "bob@example.com")
    truth.do(policies.change, Target(account="eve"), {"hold": 2.0}, SpamRules())
    directory = node.directory()
    assert isinstance(FIRST_QUESTIONS[first](directory, alias, contact), Found)
    domain, owned = directory.domain("alias.test"), truth.directory().alias("eve@alias.test")
    assert isinstance(domain, Found)
    assert isinstance(owned, Found)
    assert directory.account_addresses(owned.value.account_id) == Found(("eve@home.test",))
    assert isinstance(directory.sender_rule("bob@example.com", owned.value, domain.value), Found)
    assert isinstance(directory.contact(alias.id, "bob@example.com"), Found)
    assert isinstance(directory.spam_policies(owned.value), Found)


def test_without_a_replica_everything_is_asked(truth: Truth, tmp_path: Path) -> None:
    node = ReplicaNode(node_url(truth), tmp_path / "never made")
    directory = node.directory()
    assert isinstance(directory.alias("shop@alias.test"), Found)
    assert directory.alias("nobody@alias.test") == ABSENT


def test_a_removed_aliass_reverse_aliases(truth: Truth, node: ReplicaNode) -> None:
    """By the truth's word, not by a replica that knows nothing yet of what came after."""
    made: Any = truth.do(contacts.add, KEYS, "shop@alias.test", "bob@example.com", now=1.0)
    truth.do(aliases.remove, "shop@alias.test", now=2.0)
    node.await_current(truth)
    node.stop()
    assert node.alone().reverse_alias(made.token) == GONE
    assert node.directory().reverse_alias(made.token) == GONE
    truth.do(aliases.restore, "shop@alias.test")
    assert isinstance(node.directory().reverse_alias(made.token), Found)
    truth.do(aliases.forget, KEYS, "shop@alias.test", now=3.0)
    assert node.directory().reverse_alias(made.token) == GONE
    assert node.directory().reverse_alias("b" * 24) == ABSENT
    away = ReplicaNode("postgresql://nobody:x@127.0.0.1:1/none", node.folder.path)
    assert isinstance(away.directory().reverse_alias(made.token), Unavailable)


def test_an_alias_made_and_disabled_elsewhere(truth: Truth, node: ReplicaNode) -> None:
    """Also when somebody has just been told that there is no such alias."""
    directory = node.directory()
    assert directory.alias("new@alias.test") == ABSENT
    truth.do(aliases.add, KEYS, "new@alias.test", ["bob@real.test"], now=1.0)
    begun = time.monotonic()
    wait_for(lambda: isinstance(directory.alias("new@alias.test"), Found), "the new alias")
    assert time.monotonic() - begun < 1.0 + SLACK
    truth.do(aliases.remove, "new@alias.test", now=2.0)
    begun = time.monotonic()
    wait_for(lambda: directory.alias("new@alias.test") == ABSENT, "its removal")
    assert time.monotonic() - begun < 1.0 + SLACK
