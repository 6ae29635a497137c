"""Two nodes on one Postgres: what one learns the other knows, at once or as soon as it can."""

from __future__ import annotations

import smtplib
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from conversation import FOREIGN, OWNERS_HOST, answer, publish, settled, signed, start
from lab import lab
from nameserver import Nameserver
from postgres import Cluster
from postmask.config import load
from postmask.store.admin import aliases
from postmask.store.engine import make_engine
from postmask.store.session import transaction
from service import Service

WITHIN = 1.0
SLACK = 2.0


@dataclass(frozen=True, slots=True)
class Pair:
    """The node where a domain was added, and another that was told of it."""

    first: Service
    second: Service


@pytest.fixture(scope="module")
def pair(names: Nameserver, postgres: Cluster) -> Iterator[Pair]:
    database = postgres.fresh()
    with (
        lab(door="lmtp", database=database, node="mx1", nameserver=names.text) as one,
        lab(
            door="pipe", database=database, node="mx2", nameserver=names.text, keys=one.directory / "keys"
        ) as two,
    ):
        first = Service("mx1", one, names)
        publish(first)
        two.postmask("postfix", "sync")
        yield Pair(first, Service("mx2", two, names, add_domain=False))


def said_of(service: Service, recipient: str) -> str:
    """RCPT's answer."""
    with service.lab.client() as session:
        session.mail("bob@example.com")
        return str(session.rcpt(recipient)[0])


def test_a_new_alias_is_known_at_once(pair: Pair) -> None:
    owned = pair.first.alias()
    begun = time.monotonic()
    assert said_of(pair.second, owned.alias) == "250"
    assert time.monotonic() - begun < WITHIN + SLACK


def test_a_new_domain_is_told_to_the_other_nodes_root(pair: Pair) -> None:
    """Its agent writes the file that systemd watches there; here we do what it would."""
    second = pair.second.lab
    pair.first.lab.postmask("domain", "add", "second.test", "--postmaster", "postmaster@host.test")
    path = load(second.config, {}).replica.directory / "domains"
    second.wait_for(lambda: "second.test" in path.read_text().splitlines(), "the agent to tell")
    assert said_of(pair.second, "postmaster@second.test") != "250"
    second.postmask("postfix", "sync")
    assert said_of(pair.second, "postmaster@second.test") == "250"
    assert said_of(pair.second, "nobody@second.test") == "550"


def _code(session: smtplib.SMTP, recipient: str) -> int:
    return session.rcpt(recipient)[0]


def test_a_disabled_alias_is_refused_within_a_second(pair: Pair) -> None:
    """In the median, from the commit to the refusal; the other node is asked again and again."""
    engine = make_engine(load(pair.first.lab.config, {}).database.owner_url)
    took = []
    for _ in range(9):
        alias = pair.first.alias().alias
        with pair.second.lab.client() as session:
            session.mail("bob@example.com")
            ask = partial(_code, session, alias)
            pair.second.lab.wait_for(lambda ask=ask: ask() == 250, "the other node to know it")
            with transaction(engine) as changing:
                aliases.disable(changing, alias)
            begun = time.monotonic()
            pair.second.lab.wait_for(lambda ask=ask: ask() == 550, "the other node to refuse it")
            took.append(time.monotonic() - begun)
    engine.dispose()
    print(f"refused by the other node after {[round(seconds, 2) for seconds in sorted(took)]} s")
    assert statistics.median(took) < WITHIN


def test_a_sender_met_on_both_is_one_contact(pair: Pair) -> None:
    talk = start(pair.first)
    content = f"From: {talk.contact}\r\nTo: {talk.owned.alias}\r\nSubject: again\r\n\r\n".encode()
    pair.second.send(talk.contact, [talk.owned.alias], content)
    (mail,) = pair.second.await_mail_for(talk.owned.mailbox)
    assert talk.reverse.encode() in mail.content
    told = partial(pair.first.lab.postmask, "event", "list", "--alias", talk.owned.alias)
    pair.first.lab.wait_for(lambda: len(told()) == 2, "both forwards to be told of")
    assert len(pair.first.lab.postmask("contact", "list", talk.owned.alias)) == 1


def test_a_proof_used_on_one_is_not_good_on_the_other(pair: Pair) -> None:
    talk = start(pair.first)
    content = signed(answer(talk), names=["from", "to", "date", "subject"])
    pair.first.send(talk.owned.mailbox, [talk.reverse], content, address=OWNERS_HOST)
    pair.first.await_mail_for(talk.contact)
    events = partial(pair.first.lab.postmask, "event", "list", "--alias", talk.owned.alias)
    pair.first.lab.wait_for(lambda: "replied" in {event["kind"] for event in events()}, "the truth to know")
    pair.second.lab.await_replica()
    stolen = content.replace(b"User-Agent: Janes-Laptop/1.0", b"X-Added: by the thief")
    said = pair.second.send(talk.owned.mailbox, [talk.reverse], stolen, address=FOREIGN)
    assert "verdict=discard" in settled(pair.second, said.queue_id)
    assert pair.second.mail_for(talk.contact) == []
    fresh = signed(answer(talk), names=["from", "to", "date", "subject", "message-id"])
    pair.second.send(talk.owned.mailbox, [talk.reverse], fresh, address=OWNERS_HOST)
    assert len(pair.second.await_mail_for(talk.contact)) == 1
