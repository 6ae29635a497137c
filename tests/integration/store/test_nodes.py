"""What the nodes say of themselves in the truth, and the orders that they are given there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from postmask import __version__
from postmask.agent.housekeeping import RETRY, Housekeeping
from postmask.agent.nodestate import LISTEN_EVERY, TELL_EVERY
from postmask.clock import ManualClock
from postmask.drain import Drain, DrainSwitch
from postmask.spool import Spool
from postmask.store import intake
from postmask.store.admin import nodes
from postmask.store.admin.views import NodeView
from postmask.store.engine import Use, make_engine, parse_url
from postmask.store.errors import NotFound, Refused
from postmask.store.roles import grant_node_role
from postmask_postfix.commands import PostfixError
from postmask_postfix.queue import Backlog
from told_node import state_of
from truth import Truth

NOW = 1_800_000_000.0


class Node:
    """mx1 with its agent's housekeeping, on a clock that stands, beside a truth that can be taken away."""

    def __init__(self, truth: Truth, engine: Engine, folder: Path) -> None:
        self.truth = truth
        self.engine = engine
        self.folder = folder
        self.clock = ManualClock(at=NOW)
        self.switch = DrainSwitch(folder)
        self.left: Backlog | None = Backlog(0, 0, 0)
        self.spool = Spool(folder / "spool.db", self.clock)
        self.restart()

    def restart(self) -> None:
        """As after kill -9."""
        state = state_of(self.engine, "mx1", self.folder, self.clock, self._look)
        self.agent = Housekeeping(self.spool, self.engine, "mx1", 14, self.clock, state)

    def _look(self) -> Backlog:
        if self.left is None:
            raise PostfixError("the queue can't be asked")
        return self.left

    def told(self) -> NodeView:
        with self.truth.session() as session:
            return nodes.one(session, "mx1")

    def order(self, *, drain: bool) -> NodeView:
        with self.truth.session() as session:
            return nodes.order(session, "mx1", self.clock.now(), "ann@mx2", drain=drain)

    def round(self, seconds: float = LISTEN_EVERY) -> None:
        self.clock.advance(seconds)
        self.agent.do()


@pytest.fixture
def node(truth: Truth, tmp_path: Path) -> Iterator[Node]:
    """As the agent has it: on Postgres in the nodes' role."""
    url = truth.url
    if truth.engine.dialect.name == "postgresql":
        role = f"{parse_url(url).username}_node"
        grant_node_role(truth.engine, role, "secret")
        url = parse_url(url).set(username=role, password="secret").render_as_string(hide_password=False)
    engine = make_engine(url, Use.INTAKE)
    folder = tmp_path / "state"
    folder.mkdir()
    node = Node(truth, engine, folder)
    yield node
    node.spool.close()
    engine.dispose()


def test_a_node_says_how_it_is(node: Node) -> None:
    node.agent.do()
    told = node.told()
    assert (told.last_seen, told.version, told.keys, told.replica_at) == (NOW, __version__, "1:00", NOW)
    assert (told.drained_at, told.waiting, told.ordered) == (None, None, False)
    node.round()
    assert node.told().replica_at == NOW
    node.round(TELL_EVERY)
    assert node.told().replica_at == node.clock.now()


def test_that_it_was_drained_by_hand_is_told_at_once(node: Node) -> None:
    node.agent.do()
    node.left = Backlog(2, 1, 3)
    node.switch.turn(NOW + 0.5, "bob@mx1", drained=True)
    node.round(0.5)
    told = node.told()
    assert (told.drained_at, told.drained_by, told.waiting, told.held) == (NOW + 0.5, "bob@mx1", 2, 3)
    node.left = Backlog(0, 0, 3)
    node.round()
    assert node.told().waiting == 0
    node.left = None
    node.round()
    assert node.told().waiting is None
    node.switch.turn(NOW, "bob@mx1", drained=False)
    node.round(0.5)
    told = node.told()
    assert (told.drained_at, told.drained_by, told.waiting, told.held) == (None, None, None, None)


def test_an_order_is_carried_out_and_told(node: Node) -> None:
    node.agent.do()
    assert node.order(drain=True).ordered
    node.round()
    assert node.switch.state().by == "ann@mx2"
    told = node.told()
    assert (told.ordered, told.drained_by, told.waiting) == (False, "ann@mx2", 0)
    node.order(drain=False)
    node.round()
    assert not node.switch.in_force()
    assert (node.told().ordered, node.told().drained_at) == (False, None)


def test_what_is_said_on_the_node_afterwards_stays(node: Node) -> None:
    node.agent.do()
    node.order(drain=True)
    node.round()
    node.switch.turn(NOW, "bob@mx1", drained=False)
    for _ in range(3):
        node.round()
        node.restart()
    assert not node.switch.in_force()
    assert node.told().drained_at is None


def test_killed_between_an_order_and_the_word_of_it(node: Node) -> None:
    node.agent.do()
    number = node.order(drain=True).order_at
    assert number is not None
    # It was carried out, and taken back by hand, before the truth was told.
    node.switch.carry_out(number, "ann@mx2", drained=True, now=NOW)
    node.switch.turn(NOW, "bob@mx1", drained=False)
    node.restart()
    node.round()
    assert not node.switch.in_force()
    assert not node.told().ordered


def test_an_order_in_a_restored_truth_is_not_carried_out_again(node: Node) -> None:
    node.agent.do()
    node.order(drain=True)
    node.round()
    with node.truth.engine.begin() as connection:
        kept = connection.execute(text("SELECT order_at, order_drain FROM node")).one()
    node.order(drain=False)
    node.round()
    with node.truth.engine.begin() as connection:
        connection.execute(
            text("UPDATE node SET order_at = :at, order_drain = :drain, done_at = NULL"),
            {"at": kept.order_at, "drain": kept.order_drain},
        )
    node.round()
    assert not node.switch.in_force()
    node.order(drain=True)
    node.round()
    node.round()
    assert node.switch.in_force()


def test_a_node_that_lost_its_memory_obeys_no_old_order(node: Node) -> None:
    node.agent.do()
    node.order(drain=True)
    node.round()
    (node.folder / "drain.json").unlink()
    node.restart()
    for _ in range(2):
        node.round()
        assert node.switch.state() == Drain()
    assert not node.told().ordered
    node.order(drain=True)
    node.round()
    assert node.switch.in_force()


def test_numbers_rise_whatever_the_clock_says(node: Node) -> None:
    node.agent.do()
    with node.truth.session() as session:
        numbers = [
            nodes.order(session, "mx1", now, "ann@mx2", drain=True).order_at or 0.0
            for now in (NOW, NOW, NOW - 1e6, NOW + 1)
        ]
    assert sorted(set(numbers)) == numbers


def test_without_the_truth_the_switch_works_and_it_is_told_later(node: Node) -> None:
    node.agent.do()
    with node.truth.engine.begin() as connection:
        connection.execute(text("ALTER TABLE node RENAME TO away"))
    node.switch.turn(NOW, "bob@mx1", drained=True)
    for _ in range(3):
        node.round()
    assert node.switch.in_force()
    with node.truth.engine.begin() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO node"))
    node.round(RETRY)
    assert node.told().drained_by == "bob@mx1"


def test_an_older_program_leaves_what_it_does_not_know(node: Node) -> None:
    node.agent.do()
    with node.engine.begin() as connection:
        intake.seen(connection, "mx1", NOW + 7)
    assert (node.told().last_seen, node.told().version) == (NOW + 7, __version__)


def test_two_agents_of_one_name_are_noticed_by_both(
    node: Node, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    node.agent.do()
    (tmp_path / "other").mkdir()
    other = Node(node.truth, node.engine, tmp_path / "other")
    other.clock.advance(30.0)
    other.agent.do()
    node.round(60.0)
    other.round(60.0)
    node.round(60.0)
    other.spool.close()
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2, "each once"
    assert all("another postmask-agent says that it is mx1, too" in one for one in told)


def test_one_that_restarts_or_whose_truth_went_back_is_no_other(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    node.agent.do()
    node.clock.advance(5.0)
    node.restart()
    node.agent.do()
    node.clock.at -= 300.0  # It was ahead.
    node.round(60.0)
    node.round(60.0)
    with node.engine.begin() as connection:
        intake.seen(connection, "mx1", NOW - 1000.0)  # A restore.
    node.round(60.0)
    assert "another" not in caplog.text


def test_removal(node: Node) -> None:
    node.agent.do()
    with node.truth.session() as session:
        with pytest.raises(NotFound):
            nodes.remove(session, "mx9", NOW)
        with pytest.raises(NotFound):
            nodes.order(session, "mx9", NOW, "ann@mx2", drain=True)
        with pytest.raises(Refused, match="heard of 599 s ago"):
            nodes.remove(session, "mx1", NOW + nodes.ALIVE - 1)
        assert nodes.remove(session, "mx1", NOW + nodes.ALIVE).name == "mx1"
        assert nodes.listing(session) == []
    node.round(TELL_EVERY)
    with node.truth.session() as session:
        assert nodes.remove(session, "mx1", node.clock.now(), force=True).version == __version__
