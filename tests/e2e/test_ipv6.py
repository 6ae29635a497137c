"""On a host with IPv6 alone mail goes the whole way: there, back, held, released; the host's own too."""

from __future__ import annotations

import email
import email.policy
import json
from collections.abc import Iterator

import pytest

from account import Account
from conversation import Conversation, answer, publish, signed
from faults import message
from ipv6 import ADDRESS, Ipv6Host, ipv6_host
from service import DOMAIN, Service

CLIENT = "2001:db8:7::7"
CONTACT = "bob@[IPv6:2001:db8:7::25]"


@pytest.fixture(scope="module", params=["pipe", "lmtp"])
def there(request: pytest.FixtureRequest) -> Iterator[tuple[Ipv6Host, Service]]:
    """Such a host, and a service on it."""
    with ipv6_host() as host, host.lab(door=str(request.param)) as service:
        service.nameserver.txt("example.com", "v=spf1 ip6:2001:db8:7::/48 -all")
        yield host, service


@pytest.fixture
def alone(there: tuple[Ipv6Host, Service]) -> Iterator[Service]:
    """The service; this thread is on its host."""
    host, service = there
    with host.inside():
        yield service


def test_there_and_back(alone: Service) -> None:
    """SPF is judged by the client's address; a contact may be known by his host's address alone."""
    account = Account(alone)
    owned = alone.alias()
    said = alone.send(
        "bob@example.com", [owned.alias, f"nobody@{DOMAIN}"], message(owned.alias), address=CLIENT
    )
    assert said.recipients[f"nobody@{DOMAIN}"].startswith("550 5.1.1")
    (mail,) = alone.await_mail_for(owned.mailbox)
    assert b"spf=pass smtp.mailfrom=example.com" in mail.content
    assert f"[IPv6:{CLIENT}]".encode() in mail.content

    content = message(owned.alias, "literal").replace(b"<bob@example.com>", f"<{CONTACT}>".encode())
    alone.send(CONTACT, [owned.alias], content, address=CLIENT)
    _, mail = alone.await_mail_for(owned.mailbox, 2)
    author = email.message_from_bytes(mail.content, policy=email.policy.default)["From"].addresses[0]
    publish(alone)
    reply = signed(answer(Conversation(owned, CONTACT, author.addr_spec)))
    assert alone.send(owned.mailbox, [author.addr_spec], reply, address="2001:db8:9::9").end
    (back,) = alone.await_mail_for(CONTACT)
    assert owned.mailbox.encode() not in back.content
    account.closes_with(delivered=3)


def test_held_and_released(alone: Service) -> None:
    account = Account(alone)
    owned, paused = alone.alias(), "paused@real.test"
    alone.share(owned, paused)
    alone.lab.postmask("mailbox", "pause", paused)
    alone.send("bob@example.com", [owned.alias], message(owned.alias), address=CLIENT)
    (entry,) = alone.lab.wait_for(alone.held, "the held copy")
    alone.lab.postmask("held", "release", entry["queue_id"])
    alone.await_mail_for(paused)
    account.closes_with(delivered=2)


def test_the_host_s_own_mail(alone: Service) -> None:
    """What can't be delivered is returned, and keeps the rest of the message nowhere."""
    owned = alone.alias()
    alone.lab.submit(
        *("-f", "root@host.test", f"nobody@{DOMAIN}", owned.alias, "else@foreign.test"),
        content=message(owned.alias, "own"),
    )
    alone.await_mail_for("else@foreign.test")
    alone.await_mail_for(owned.mailbox)
    alone.await_mail_for("root@host.test")
    alone.lab.await_empty_queue()


def test_attached_and_looked_at(alone: Service) -> None:
    """Its listener is talked to on its own address, and a message goes all the way."""
    names = alone.nameserver
    names.record(f"lab.postmask.test. IN AAAA {ADDRESS}")
    names.record(f"{DOMAIN}. IN MX 10 lab.postmask.test.")
    names.pointer(ADDRESS, "lab.postmask.test")
    names.txt(DOMAIN, "v=spf1 mx -all")
    names.txt(f"_dmarc.{DOMAIN}", "v=DMARC1; p=quarantine")
    assert {one["published"] for one in alone.lab.postmask("domain", "verify", DOMAIN)} == {"found"}
    alone.lab.postmask("postfix", "detach")
    assert alone.lab.postmask("postfix", "attach")["changed"]
    done = alone.lab.postmask(
        "doctor", *("--only", "host", "--only", "dns", "--only", "send", "--send"), check=False
    )
    found = json.loads(done.stdout)["findings"]
    assert [one for one in found if one["severity"] != "notice"] == []
