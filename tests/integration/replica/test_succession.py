"""What the programs in a message's way do while the database is moved, and afterwards."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from postgres import Cluster
from postmask.clock import SystemClock
from postmask.config import load, rewrite
from postmask.directory.lookup import Absent, Found, Unavailable
from postmask.directory.opening import open_directory
from postmask.directory.records import Directory
from postmask.store.admin import aliases
from postmask.store.engine import parse_url
from postmask.store.moving import target
from postmask.store.moving.journal import Destination, Journal
from postmask.store.moving.move import Mover
from truth import KEYS, Truth, made, opened

KNOWN, UNKNOWN, NEW = "shop@alias.test", "none@alias.test", "new@alias.test"


@dataclass(slots=True)
class Node:
    """A configuration, the truth that it names, and the directory as a program has opened it."""

    config: Path
    truth: Truth
    directory: Directory

    def move(self, url: str, *, adopt: bool = True) -> None:
        """The truth, and with it the configuration."""

        def adopted(destination: Destination) -> None:
            if adopt:
                self.name(destination.url)

        mover = Mover(self.truth.url, Journal(self.config), adopted)
        mover.move(Destination(url, url), 1.0, lambda: None)

    def name(self, url: str) -> None:
        """Another database in the configuration."""
        rewrite(self.config, "database", {"url": url})

    def await_answer(self, address: str, kind: type[Any]) -> None:
        """Until that is what is said of an alias, and never wrongly that it is absent."""
        until = time.monotonic() + 30
        while not isinstance(answer := self.directory.alias(address), kind):
            assert not isinstance(answer, Absent), "refused"
            assert time.monotonic() < until, answer
            time.sleep(0.05)


@pytest.fixture(params=["sqlite", "postgres"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Node]:
    url = f"sqlite:///{tmp_path}/truth.db"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres").fresh()
    config = tmp_path / "postmask.toml"
    config.write_text(f'[database]\nurl = "{url}"\n[replica]\ndirectory = "{tmp_path}/directory"\n')
    with made(url) as truth:
        truth.furnish()
        yield Node(config, truth, open_directory(load(config, {}), None, SystemClock()))


@pytest.fixture
def new(postgres: Cluster) -> Iterator[str]:
    url = postgres.fresh()
    yield url
    postgres.drop(url)


def test_a_moved_one_is_not_believed_that_something_is_absent(node: Node, new: str) -> None:
    assert isinstance(node.directory.alias(UNKNOWN), Absent)
    node.move(new, adopt=False)
    time.sleep(0.5)
    found = node.directory.alias(KNOWN)
    assert isinstance(found, Found)
    for answer in (
        node.directory.alias(UNKNOWN),
        node.directory.domain("none.test"),
        node.directory.alias_by_id(1),
        node.directory.reverse_alias("a" * 24),
    ):
        assert isinstance(answer, Unavailable)
        assert "was moved to" in answer.reason
    domain = node.directory.domain("alias.test")
    assert isinstance(domain, Found)
    assert isinstance(node.directory.sender_rule("bob@example.com", found.value, domain.value), Absent)
    assert isinstance(node.directory.contact(found.value.id, "bob@example.com"), Absent)


def test_it_goes_over_by_itself(node: Node, new: str) -> None:
    node.move(new)
    with opened(new) as successor:
        successor.do(aliases.add, KEYS, NEW, ["bob@real.test"], now=1.0)
        time.sleep(0.5)
        node.await_answer(NEW, Found)
        assert isinstance(node.directory.alias(KNOWN), Found)
        assert isinstance(node.directory.alias(UNKNOWN), Absent)


@pytest.mark.parametrize("node", ["sqlite"], indirect=True)
def test_until_there_is_a_replica_the_old_file_serves(node: Node, new: str, postgres: Cluster) -> None:
    node.move(new)
    with opened(new) as successor:
        successor.do(aliases.add, KEYS, NEW, ["bob@real.test"], now=1.0)
        node.await_answer(NEW, Found)
    postgres.command(f'ALTER DATABASE "{parse_url(new).database}" ALLOW_CONNECTIONS false')
    postgres.disconnect_all()
    assert isinstance(node.directory.alias(KNOWN), Found)
    assert isinstance(node.directory.alias(UNKNOWN), Unavailable)


def test_and_once_more(node: Node, new: str, postgres: Cluster) -> None:
    node.move(new)
    third = postgres.fresh()
    with opened(new) as second:
        node.truth = second
        node.move(third)
    with opened(third) as successor:
        successor.do(aliases.add, KEYS, NEW, ["bob@real.test"], now=1.0)
        time.sleep(0.5)
        node.await_answer(NEW, Found)
    postgres.drop(third)


@pytest.mark.parametrize("named", ["one that isn't there", "an unfinished copy", "nonsense"])
def test_one_that_is_not_in_use_is_waited_for(
    node: Node,
    new: str,
    named: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nothing(_url: str) -> None:
        pass

    if named == "an unfinished copy":
        with monkeypatch.context() as patched:
            patched.setattr(target, "take_into_use", nothing)
            node.move(new)
    elif named == "nonsense":
        node.config.write_text("[database]\nurl = 7\n")
    else:
        node.name("postgresql://nobody:x@127.0.0.1:1/none")
    with caplog.at_level(logging.ERROR):
        _until(lambda: node.directory.alias(KNOWN) and caplog.records)
        time.sleep(2.5)
        assert isinstance(node.directory.alias(KNOWN), Found)
    assert len(caplog.records) == 1, "said once"
    if named == "an unfinished copy":
        target.take_into_use(new)
        node.await_answer(UNKNOWN, Absent | Found)


def _until(condition: Callable[[], Any]) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)
