"""Numbered messages while every program, Postfix's processes and the database are killed at random, and the
spam engine is frozen.

    SOAK_MESSAGES=10000 SOAK_SEED=1 SOAK_FROZEN=120 pytest tests/e2e/test_soak.py -s      as `make soak` does

No message that was accepted is lost, no known alias refused for good, no unknown one accepted, and whatever
comes twice has its cause in the logs. The truth has each event once, and in `postmask reconcile` the sum
closes. Behind an engine that is frozen for long no message waits, once the breaker is open.
"""

from __future__ import annotations

import json
import os
import random
import statistics
from collections.abc import Iterator

import pytest
from sqlalchemy import func, select

from faults import PATIENT_MASTER, await_empty_outbox
from lab import lab
from nameserver import Nameserver
from played_engine import PlayedEngine, played_engine
from postgres import Cluster
from postmask.config import load as settings
from postmask.store.engine import make_engine
from postmask.store.models import Contact, Event
from service import Service
from soak import CONTACTS, Load, Senders, Storm, judge

pytestmark = pytest.mark.apart

MESSAGES = int(os.environ.get("SOAK_MESSAGES", "150"))
SEED = int(os.environ.get("SOAK_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
FROZEN = float(os.environ.get("SOAK_FROZEN", "0"))
"""Seconds for which the engine is frozen, once; mail flows meanwhile."""

DELAY = 0.2
"""Seconds that the scan milter keeps a message for at most, in the median, once its breaker is open."""

PATIENCE = 60.0 + MESSAGES / 5
"""Seconds until the last one must have arrived."""


@pytest.fixture(params=["pipe", "lmtp"])
def stormy(
    request: pytest.FixtureRequest, names: Nameserver, faulty_cluster: Cluster, engine: PlayedEngine
) -> Iterator[Service]:
    """A service by either door, with a database and a spam engine that may go away."""
    door, database = str(request.param), faulty_cluster.fresh()
    with lab(door=door, database=database, nameserver=names.text, spamd=engine.place) as running:
        made = Service("stormy", running, names)
        with made.lab.main_cf(**PATIENT_MASTER):
            yield made


@pytest.fixture
def engine() -> Iterator[PlayedEngine]:
    with played_engine() as played:
        yield played


@pytest.mark.timeout(300 + MESSAGES + FROZEN)
def test_soak(stormy: Service, faulty_cluster: Cluster, engine: PlayedEngine) -> None:
    print(f"seed {SEED}, {MESSAGES} messages")
    load = Load(_mailboxes(stormy))
    storm = Storm(stormy, faulty_cluster, engine, random.Random(SEED), FROZEN)
    with Senders(stormy, load) as senders:
        while len(load.accepted) - storm.calm < MESSAGES or not storm.complete:
            storm.strike(senders)
    _await_calm(stormy)
    outcome = judge(stormy, load)
    print(f"accepted {len(load.accepted)}, tries {load.tries}, answers {dict(load.told)}")
    print(f"strikes {dict(storm.strikes)}; lost {outcome.lost}; twice {outcome.twice}")
    assert load.wrong == []
    assert outcome.lost == []
    assert outcome.strangers == []
    assert outcome.unexplained == []
    _check_truth(stormy)
    _check_sum(stormy, outcome.copies)
    if FROZEN:
        _check_delays(storm.delays)


def _check_delays(delays: list[float]) -> None:
    median = statistics.median(delays)
    print(
        f"{len(delays)} messages behind an open breaker: median {median:.3f} s, longest {max(delays):.3f} s"
    )
    assert median <= DELAY


def _mailboxes(service: Service) -> dict[str, tuple[str, ...]]:
    """Two aliases, the second with two mailboxes."""
    one, two = service.alias(), service.alias()
    second = f"second-{two.mailbox}"
    service.share(two, second)
    return {one.alias: (one.mailbox,), two.alias: (two.mailbox, second)}


def _await_calm(service: Service) -> None:
    """All is tried again until nothing is left."""
    service.lab.wait_retrying(lambda: not service.lab.queue(), "an empty queue", PATIENCE)
    await_empty_outbox(service)


def _check_truth(service: Service) -> None:
    """One event for each message and recipient that the forwarder sent on, one row for each contact."""
    done = {
        (entry.split("recipient=")[1].split()[0], entry.split("queue_id=")[1].split()[0])
        for entry in service.lab.program_log("forwarder").splitlines()
        if " message " in entry and "verdict=deliver" in entry
    }
    engine = make_engine(settings(service.lab.config, {}).database.owner_url)
    with engine.connect() as connection:
        events = connection.scalar(select(func.count()).select_from(Event).where(Event.kind == "forwarded"))
        contacts = connection.execute(select(Contact.alias_id, Contact.address)).all()
    assert events == len(done)
    assert len(contacts) == len(set(contacts)) <= 2 * CONTACTS


def _check_sum(service: Service, copies: int) -> None:
    """Each copy was delivered, and none is unaccounted for."""
    done = service.lab.postmask("reconcile", check=False)
    told = json.loads(done.stdout)
    assert told["unaccounted"] == []
    assert told["closes"]
    assert {fate: count for fate, count in told["outcomes"].items() if count} == {"delivered": copies}
    assert all(duplicate["cause"] for duplicate in told["duplicates"])
