"""Two nodes on one Postgres: what one learns the other knows, at once or as soon as it can."""

from __future__ import annotations

import os
import signal
import smtplib
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from conversation import FOREIGN, OWNERS_HOST, answer, publish, settled, signed, start
from faults import message
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


def test_a_new_alias_is_known_at_once(pair: Pair) -> None:
    owned = pair.first.alias()
    begun = time.monotonic()
    assert pair.second.rcpt(owned.alias)[:3] == "250"
    assert time.monotonic() - begun < WITHIN + SLACK


def test_a_new_domain_is_told_to_the_other_nodes_root(pair: Pair) -> None:
    """Its agent writes the file that systemd watches there; here we do what it would."""
    second = pair.second.lab
    pair.first.lab.postmask("domain", "add", "second.test", "--postmaster", "postmaster@host.test")
    path = load(second.config, {}).replica.directory / "domains"
    second.wait_for(lambda: "second.test" in path.read_text().splitlines(), "the agent to tell")
    assert pair.second.rcpt("postmaster@second.test")[:3] != "250"
    second.postmask("postfix", "sync")
    assert pair.second.rcpt("postmaster@second.test")[:3] == "250"
    assert pair.second.rcpt("nobody@second.test")[:3] == "550"


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
    pair.second.lab.await_replica()
    content = f"From: {talk.contact}\r\nTo: {talk.owned.alias}\r\nSubject: again\r\n\r\n".encode()
    pair.second.send(talk.contact, [talk.owned.alias], content)
    (mail,) = pair.second.await_mail_for(talk.owned.mailbox)
    assert talk.reverse.encode() in mail.content
    events = partial(pair.first.events, talk.owned.alias)
    pair.first.lab.wait_for(lambda: len(events()) == 2, "both forwards to be told of")
    assert len(pair.first.lab.postmask("contact", "list", talk.owned.alias)) == 1


def test_a_proof_used_on_one_is_not_good_on_the_other(pair: Pair) -> None:
    talk = start(pair.first)
    content = signed(answer(talk), names=["from", "to", "date", "subject"])
    pair.first.send(talk.owned.mailbox, [talk.reverse], content, address=OWNERS_HOST)
    pair.first.await_mail_for(talk.contact)
    replied = partial(pair.first.event_kinds, talk.owned.alias)
    pair.first.lab.wait_for(lambda: "replied" in replied(), "the truth to know")
    pair.second.lab.await_replica()
    stolen = content.replace(b"User-Agent: Janes-Laptop/1.0", b"X-Added: by the thief")
    said = pair.second.send(talk.owned.mailbox, [talk.reverse], stolen, address=FOREIGN)
    assert "verdict=discard" in settled(pair.second, said.queue_id)
    assert pair.second.mail_for(talk.contact) == []
    fresh = signed(answer(talk), names=["from", "to", "date", "subject", "message-id"])
    pair.second.send(talk.owned.mailbox, [talk.reverse], fresh, address=OWNERS_HOST)
    assert len(pair.second.await_mail_for(talk.contact)) == 1


OTHER = "you@elsewhere.test"
"""The host's own mail."""


@pytest.fixture
def resumed(pair: Pair) -> Iterator[None]:
    """The second node takes mail again, whatever came of the test."""
    yield
    pair.second.lab.postmask("node", "resume")


def drained_at(pair: Pair) -> Any:
    """Since when the second node is drained, as the first one sees it."""
    (row,) = [row for row in pair.first.lab.postmask("node", "list") if row["name"] == "mx2"]
    return row["drained_at"]


@pytest.mark.usefixtures("resumed")
def test_a_node_is_drained_by_hand(pair: Pair) -> None:
    second, owned = pair.second, pair.first.alias()
    second.lab.await_replica()
    assert second.rcpt(owned.alias)[:3] == "250"
    second.lab.postmask("node", "drain")
    known = len(second.mail_for(OTHER))
    recipients = [owned.alias, OTHER, "nobody@alias.test", "postmaster@alias.test"]
    said = second.send("bob@example.com", recipients, b"Subject: hi\r\n\r\nhi\r\n", address="127.0.0.1")
    assert [said.recipients[one][:9] for one in recipients] == ["450 4.3.2", "250 2.1.5", *["450 4.3.2"] * 2]
    assert said.queue_id
    assert len(second.await_mail_for(OTHER, known + 1)) == known + 1
    assert pair.first.rcpt(owned.alias)[:3] == "250"
    second.restart("milter-alias")
    second.restart("agent")
    assert second.rcpt(owned.alias)[:3] == "450"
    second.lab.wait_for(lambda: drained_at(pair), "the truth to know")
    second.lab.postmask("node", "resume")
    assert second.rcpt(owned.alias)[:3] == "250"
    second.lab.wait_for(lambda: not drained_at(pair), "the truth to know")


@pytest.mark.usefixtures("resumed")
def test_a_node_is_drained_by_another(pair: Pair) -> None:
    owned = pair.first.alias()
    told = pair.first.lab.postmask("node", "drain", "mx2", "--wait", "--timeout", "2m")
    assert (told["node"], told["state"], told["waiting"]) == ("mx2", "drained", 0)
    assert (pair.first.rcpt(owned.alias)[:3], pair.second.rcpt(owned.alias)[:3]) == ("250", "450")
    pair.first.lab.postmask("node", "resume", "mx2")
    pair.second.lab.wait_for(lambda: pair.second.rcpt(owned.alias)[:3] == "250", "mx2 to hear of it", 60)


@pytest.mark.usefixtures("resumed")
def test_what_is_in_the_queue_of_a_drained_node_is_delivered(pair: Pair) -> None:
    second, owned = pair.second, pair.first.alias()
    second.lab.await_replica()
    second.lab.await_empty_queue()
    second.lab.send_signal("forwarder", signal.SIGKILL)
    try:
        second.send("bob@example.com", [owned.alias], message(owned.alias))
        given_up = second.lab.postmask("node", "drain", "--wait", "--timeout", "1s", check=False)
        assert given_up.exit_code == os.EX_TEMPFAIL
        assert "1 of ours is in the queue of mx2" in given_up.stderr
    finally:
        second.lab.up()
    second.lab.flush()
    told = second.lab.postmask("node", "drain", "--wait", "--timeout", "2m")
    assert (told["state"], told["waiting"]) == ("drained", 0)
    assert len(second.await_mail_for(owned.mailbox)) == 1
