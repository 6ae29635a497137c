"""The database moved while mail flows, from SQLite to Postgres and from there to another one, and the mover
killed in the middle of it: nothing is lost, deferred or refused wrongly, and the truth hears all of it once.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from faults import await_empty_outbox, await_flow, message
from lab import lab
from meanwhile import meanwhile
from moving import Mover, load
from nameserver import Nameserver
from postgres import Cluster
from postmask.config import load as settings_of
from service import Owned, Service

pytestmark = pytest.mark.apart

LASTING = 2.0
"""Seconds of mail before and after the move."""

MOVES = {
    "sqlite": ("when-verified",),
    "postgres": ("when-marked",),
}
"""Where the mover is killed first, by what is moved away from."""


@pytest.fixture(params=MOVES)
def moved(request: pytest.FixtureRequest, names: Nameserver, postgres: Cluster) -> Iterator[Service]:
    """A service on that database."""
    database = postgres.fresh() if request.param == "postgres" else None
    with lab(door="lmtp", database=database, nameserver=names.text) as running:
        yield Service(f"moved-{request.param}", running, names)


def test_while_mail_flows(moved: Service, postgres: Cluster, request: pytest.FixtureRequest) -> None:
    owned, target = moved.alias(), postgres.fresh()
    nodes = settings_of(moved.lab.config, {}).database.url
    if nodes.startswith("postgresql"):
        postgres.entrust(target, nodes)
    mover = Mover(moved.lab.config)
    with load(moved, owned.alias) as sent, changing(moved, owned) as changes:
        time.sleep(LASTING)
        for step in MOVES[request.node.callspec.params["moved"]]:
            mover.killed(target, step)
            time.sleep(LASTING)
            told = moved.lab.postmask("db", "status", check=False)
            assert told.exit_code == 0, told.output
        if settings_of(moved.lab.config, {}).database.owner_url != target:
            mover.run(target)
        await_taken_up(moved)
        time.sleep(LASTING)
    longest = sent.check(moved, owned.mailbox)
    print(f"{moved.name}: {len(sent.said)} messages, the longest under way for {longest:.2f} s")
    await_empty_outbox(moved)
    events = moved.lab.postmask("event", "list", "--alias", owned.alias, "--limit", "10000")
    assert len(events) == len(sent.said)
    (alias,) = [one for one in moved.lab.postmask("alias", "list") if one["address"] == owned.alias]
    assert alias["counters"]["forwarded"] == len(sent.said)
    contacts = {one["address"] for one in moved.lab.postmask("contact", "list", owned.alias)}
    assert contacts == set(sent.senders.values())
    assert changes.made
    assert changes.wrong == []


def await_taken_up(service: Service) -> None:
    """Until each program has gone over to the new database by itself, and the replica is of that."""
    for program, event in (
        ("agent", "database.moved"),
        ("forwarder", "directory.moved"),
        ("milter-alias", "directory.moved"),
    ):
        service.lab.wait_for(
            lambda program=program, event=event: event in service.lab.program_log(program),
            f"{program} to take up the new database",
        )
    service.lab.await_replica()


@dataclass(slots=True)
class Changes:
    """Aliases made by the command line meanwhile. wrong: what was answered to one that was there."""

    made: list[str] = field(default_factory=list)
    later: int = 0
    wrong: list[str] = field(default_factory=list)


@contextlib.contextmanager
def changing(service: Service, owned: Owned) -> Iterator[Changes]:
    """One alias after the other, each by a process of its own and asked for at once."""
    changes = Changes()

    def change(stop: threading.Event) -> None:
        for number in itertools.count():
            if stop.is_set():
                return
            address = f"made{number}.{owned.alias}"
            made = _added(service, address, owned.mailbox)
            answer = service.rcpt(address)
            if (made and answer.startswith("5")) or (not made and answer.startswith("2")):
                changes.wrong.append(f"{address}: {answer}")
            changes.made += [address] * made
            changes.later += not made

    with meanwhile(change):
        yield changes


def _added(service: Service, address: str, mailbox: str) -> bool:
    """False: not now."""
    command = [sys.executable, "-P", "-m", "postmask.cli", "--config", str(service.lab.config)]
    done = subprocess.run(
        [*command, "alias", "add", address, "--to", mailbox], capture_output=True, text=True
    )
    assert done.returncode in (os.EX_OK, os.EX_TEMPFAIL, os.EX_UNAVAILABLE), done.stderr
    return done.returncode == os.EX_OK


def test_a_node_left_behind(names: Nameserver, postgres: Cluster) -> None:
    """It serves from its replica and says why; told where the database is, it brings what it learned."""
    database, target = postgres.fresh(), postgres.fresh()
    with (
        lab(door="lmtp", database=database, node="mx1", nameserver=names.text) as one,
        lab(
            door="lmtp", database=database, node="mx2", nameserver=names.text, keys=one.directory / "keys"
        ) as two,
    ):
        first = Service("moved-mx1", one, names)
        two.postmask("postfix", "sync")
        left = Service("moved-mx2", two, names, add_domain=False)
        owned = first.alias()
        two.await_replica()
        for node in (one, two):
            postgres.entrust(target, settings_of(node.config, {}).database.url)
        told = one.postmask("db", "move", "--to", target)
        assert "mx2" in told["other_nodes"]
        left.send("bob@example.com", [owned.alias], message(owned.alias, "left"))
        assert await_flow(left, owned.mailbox, 1) == ["left"]
        assert left.rcpt(f"none.{owned.alias}")[:3] == "451"
        for reason in ("outbox.waits", "replica.left"):
            two.wait_for(lambda reason=reason: reason in two.program_log("agent"), reason)
        assert f"was moved to {told['to']}" in two.postmask("status", check=False).stdout
        assert two.postmask("db", "move", "--to", target)["moved"] is False
        await_taken_up(left)
        assert left.rcpt(f"none.{owned.alias}")[:3] == "550"
        await_empty_outbox(left)
        assert [event["node"] for event in first.events(owned.alias)] == ["mx2"]
