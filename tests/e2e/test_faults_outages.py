"""Postgres stopped, frozen, slow, read-only and full: mail to known aliases flows as ever, also from new
senders; what is unknown waits; on return the truth has everything once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from faults import Watch, await_empty_outbox, await_flow, message, within
from lab import lab
from nameserver import Nameserver
from outages import OUTAGES, Brittle, outages
from postgres import Cluster
from service import Service

MESSAGES = 5
ANSWER_SECONDS = 3.0
"""Twice the gate's own deadline."""

SLACK = 4.0
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def brittle(faulty_cluster: Cluster) -> Iterator[Brittle]:
    with outages(faulty_cluster, faulty_cluster.fresh()) as made:
        yield made


@pytest.fixture(scope="module")
def depending(brittle: Brittle, names: Nameserver) -> Iterator[Service]:
    """A service on that database."""
    with lab(door="lmtp", database=brittle.url, nameserver=names.text) as running:
        yield Service("depending", running, names)


@pytest.mark.parametrize("how", OUTAGES)
def test_an_outage(depending: Service, brittle: Brittle, how: str) -> None:
    owned, watch = depending.alias(), Watch(depending.lab)
    senders = [f"{how}-{number}@example.com" for number in range(MESSAGES)]
    with brittle.out(how):
        with within(ANSWER_SECONDS * 2 + SLACK, "an unknown alias"):
            answer = _said_of_unknown(depending)
        if how == "read-only":
            # The first may have met the end of a connection of before.
            depending.lab.wait_for(lambda: _said_of_unknown(depending).startswith("550 5.1.1"), "its answer")
        else:
            assert answer.startswith("451 4.3.0")
        for sender in senders:
            with within(SLACK, "a known alias"):
                said = depending.send(sender, [owned.alias], message(owned.alias, sender))
            assert said.queue_id
        assert await_flow(depending, owned.mailbox, MESSAGES) == sorted(senders)
    assert watch.lines("status=deferred") == []
    assert watch.bounced() == []
    depending.lab.wait_for(lambda: _said_of_unknown(depending).startswith("550"), "the truth's return")
    await_empty_outbox(depending)
    assert depending.event_kinds(owned.alias) == ["forwarded"] * MESSAGES


def _said_of_unknown(service: Service) -> str:
    return service.rcpt(f"nobody-at-all-{next(_numbers)}@alias.test")
