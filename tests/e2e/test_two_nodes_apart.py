"""Two nodes and their database on three hosts; the nodes cut off from it and from each other, without a word.

Both go on with all that they know, and agree on what they made alone when they see each other again.
"""

from __future__ import annotations

import email
import email.policy
import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial

import pytest
from click.testing import CliRunner, Result

import postgres as postgres_server
from conversation import FOREIGN, OWNERS_HOST, Conversation, answer, publish, settled, signed, start
from faults import await_empty_outbox
from lab import lab
from nameserver import Nameserver
from network import Network, network
from postmask.cli.program import program
from service import Service

NODES = ("mx1", "mx2")
UNKNOWN = "nobody-knows@alias.test"


@dataclass(frozen=True, slots=True)
class Site:
    """The nodes, and the wire between them and their database."""

    wire: Network
    nodes: dict[str, Service]

    @contextmanager
    def at(self, name: str) -> Iterator[Service]:
        """Work on that host."""
        with self.wire.inside(name):
            yield self.nodes[name]

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Each node alone."""
        with self.wire.unplugged(*NODES):
            yield


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with network("db", *NODES) as wire, ExitStack() as stack:
        cluster = stack.enter_context(wire.hosting("db", postgres_server.running()))
        with wire.inside("db"):
            cluster.open_to_the_wire()
            database = cluster.fresh().replace("127.0.0.1", wire.address("db"))
        nodes: dict[str, Service] = {}
        for name, door in zip(NODES, ("pipe", "lmtp"), strict=True):
            with wire.inside(name):
                names = Nameserver()
            stack.enter_context(wire.hosting(name, closing(names)))
            keys = nodes["mx1"].lab.directory / "keys" if nodes else None
            up = lab(database=database, node=name, door=door, nameserver=names.text, keys=keys)
            running = stack.enter_context(wire.hosting(name, up))
            with wire.inside(name):
                nodes[name] = Service(name, running, names, add_domain=not nodes)
                running.postmask("postfix", "sync")
                publish(nodes[name])
        yield Site(wire, nodes)


def test_a_sender_met_on_both_while_apart_is_one_contact(site: Site) -> None:
    with site.at("mx1") as first:
        owned = first.alias()
    with site.at("mx2") as second:
        second.lab.await_replica()
    sender = "new-friend@example.com"
    with site.apart():
        for name in NODES:
            with site.at(name) as node:
                said = node.send(sender, [owned.alias, UNKNOWN], _hello(sender, owned.alias))
                assert said.recipients[owned.alias].startswith("250")
                assert said.recipients[UNKNOWN].startswith("451 4.3.0")
                node.await_mail_for(owned.mailbox)
        seen = {
            _author(mail.content) for node in site.nodes.values() for mail in node.mail_for(owned.mailbox)
        }
        assert len(seen) == 1, "both nodes give the sender the same reverse alias"
    _await_told(site)
    with site.at("mx1") as first:
        (contact,) = first.lab.postmask("contact", "list", owned.alias)
        assert contact["address"] == sender
        assert len(first.events(owned.alias)) == len(NODES)
    with site.at("mx2") as second:
        # Its programs may still spare the truth, which was away for them.
        second.lab.wait_for(lambda: _answered(second, UNKNOWN) == "550 5.1.1", "the truth's word")


def test_a_proof_used_while_apart_is_not_good_on_the_other_afterwards(site: Site) -> None:
    with site.at("mx1") as first:
        talk = start(first)
        first.lab.wait_for(partial(_told_of, first, talk, "forwarded"), "the truth to know the contact")
    with site.at("mx2") as second:
        second.lab.await_replica()
    content = signed(answer(talk), names=["from", "to", "date", "subject"])
    with site.apart(), site.at("mx1") as first:
        first.send(talk.owned.mailbox, [talk.reverse], content, address=OWNERS_HOST)
        first.await_mail_for(talk.contact)
    _await_told(site)
    stolen = content.replace(b"User-Agent: Janes-Laptop/1.0", b"X-Added: by the thief")
    with site.at("mx2") as second:
        said = second.send(talk.owned.mailbox, [talk.reverse], stolen, address=FOREIGN)
        assert "verdict=discard" in settled(second, said.queue_id)
        assert second.mail_for(talk.contact) == []
        fresh = signed(answer(talk), names=["from", "to", "date", "subject", "message-id"])
        second.send(talk.owned.mailbox, [talk.reverse], fresh, address=OWNERS_HOST)
        assert len(second.await_mail_for(talk.contact)) == 1


def test_a_node_is_drained_while_it_is_apart(site: Site) -> None:
    """By hand, at once, by its replica; and it stays so when it sees the truth again."""
    with site.at("mx1") as first:
        owned = first.alias()
    with site.apart(), site.at("mx1") as first:
        assert _said(first, "node", "drain").exit_code == 0
        assert _said(first, "node", "list").exit_code == os.EX_UNAVAILABLE
        assert _answered(first, owned.alias) == "450 4.3.2"
    with site.at("mx1") as first:
        first.lab.await_replica()
        assert _answered(first, owned.alias) == "450 4.3.2"
        first.lab.postmask("node", "resume")
        assert _answered(first, owned.alias) == "250 2.1.5"


def _said(node: Service, *words: str) -> Result:
    """The command line's answer where nobody can wait for the replica."""
    return CliRunner().invoke(program, ["--json", "--config", str(node.lab.config), *words])


def _answered(node: Service, alias: str) -> str:
    return node.rcpt(alias)[:9]


def _await_told(site: Site) -> None:
    """Until each has told the truth all that it learned alone, and has what the truth knows."""
    for name in NODES:
        with site.at(name) as node:
            await_empty_outbox(node)
    for name in NODES:
        with site.at(name) as node:
            node.lab.await_replica()


def _told_of(node: Service, talk: Conversation, kind: str) -> bool:
    return kind in node.event_kinds(talk.owned.alias)


def _hello(sender: str, alias: str) -> bytes:
    return f"From: {sender}\r\nTo: {alias}\r\nSubject: hello\r\n\r\nHello.\r\n".encode()


def _author(content: bytes) -> str:
    author = email.message_from_bytes(content, policy=email.policy.default)["From"].addresses[0]
    return str(author.addr_spec)
