"""What was removed is refused by every node, and what was purged is forgotten by each of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial

import pytest
from sqlalchemy import update

import forgetful_agent
from conversation import Conversation, publish, start
from faults import await_empty_outbox, message
from lab import lab
from nameserver import Nameserver
from postgres import Cluster
from postmask.clock import SystemClock
from postmask.config import load
from postmask.keys import load as load_keys
from postmask.spool import LEDGER_KEPT, Spool
from postmask.store.engine import make_engine
from postmask.store.models import PurgedAlias
from postmask.tokens import reverse_token
from service import Service

UNKNOWN_YET = "450 4.2.1"
REFUSED = "550 5.1.1"
ACCEPTED = "250 2.1.5"


@pytest.fixture(scope="module", params=["one on SQLite", "two on Postgres"])
def nodes(request: pytest.FixtureRequest, names: Nameserver) -> Iterator[list[Service]]:
    programs = forgetful_agent.COMMANDS
    with contextlib.ExitStack() as stack:
        if request.param == "one on SQLite":
            alone = stack.enter_context(lab(door="pipe", nameserver=names.text, programs=programs))
            services = [Service("alone", alone, names)]
        else:
            postgres: Cluster = request.getfixturevalue("postgres")
            database = postgres.fresh()
            up = partial(lab, database=database, nameserver=names.text, programs=programs)
            one = stack.enter_context(up(door="lmtp", node="mx1"))
            two = stack.enter_context(up(door="pipe", node="mx2", keys=one.directory / "keys"))
            services = [Service("mx1", one, names), Service("mx2", two, names, add_domain=False)]
            two.postmask("postfix", "sync")
        publish(services[0])
        yield services


def await_answer(nodes: list[Service], recipient: str, wanted: str) -> None:
    """Until every node says so."""
    for node in nodes:
        node.lab.wait_for(lambda node=node: node.rcpt(recipient).startswith(wanted), f"{wanted} by {node}")


def met(node: Service) -> set[str]:
    """The contacts in the node's spool."""
    spool = Spool(load(node.lab.config, {}).spool.path, SystemClock())
    with contextlib.closing(spool):
        return {one.address for one in spool.contacts("", 9_999)}


def talk_on_each(nodes: list[Service]) -> Conversation:
    """A contact writes to a new alias by the first node, and another by the last."""
    talk = start(nodes[0])
    for node in nodes:
        await_empty_outbox(node)
    other = f"second-{talk.contact}"
    nodes[-1].lab.await_replica()
    nodes[-1].send(
        other, [talk.owned.alias], message(talk.owned.alias).replace(b"bob@example.com", other.encode())
    )
    nodes[-1].lab.wait_for(lambda: other in met(nodes[-1]), "the second contact")
    await_empty_outbox(nodes[-1])
    return talk


def test_a_removed_aliass_reverse_aliases_are_refused_until_it_is_restored(nodes: list[Service]) -> None:
    talk = start(nodes[0])
    await_answer(nodes, talk.reverse, ACCEPTED)
    nodes[0].lab.postmask("alias", "remove", talk.owned.alias)
    await_answer(nodes, talk.reverse, REFUSED)
    nodes[-1].lab.postmask("alias", "restore", talk.owned.alias)
    await_answer(nodes, talk.reverse, ACCEPTED)


def test_a_purged_aliass_contacts_are_gone_everywhere(nodes: list[Service]) -> None:
    first = nodes[0].lab
    spared, talk = talk_on_each(nodes), talk_on_each(nodes)
    await_answer(nodes, talk.reverse, ACCEPTED)
    token = reverse_token(load_keys(first.directory / "keys"), 7, "never-seen@example.com")
    first.postmask("alias", "remove", talk.owned.alias, "--with-contacts")
    await_answer(nodes, talk.reverse, REFUSED)
    await_answer(nodes, f"never-seen.{token}@alias.test", UNKNOWN_YET)
    engine = make_engine(load(first.config, {}).database.owner_url)
    with engine.begin() as connection:
        connection.execute(update(PurgedAlias).values(at=PurgedAlias.at - LEDGER_KEPT - 1))
    engine.dispose()
    mine = {talk.contact, f"second-{talk.contact}"}
    for node in nodes:
        node.lab.wait_for(lambda node=node: not mine & met(node), f"{node} to forget them")
    assert {spared.contact, f"second-{spared.contact}"} <= set[str]().union(*map(met, nodes))
    await_answer(nodes, talk.reverse, REFUSED)
    await_answer(nodes, spared.reverse, ACCEPTED)
