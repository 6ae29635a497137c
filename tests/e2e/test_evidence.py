"""The evidence that the scan milter adds: there, whole and genuine at the forwarder's, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import Milter
import pytest

from bodies import BODIES
from faults import FOREIGN, killed, message
from handed_over import HandedOver, handed_over
from lab import lab
from milter_offer import negotiated
from nameserver import Nameserver
from postmask.authentication import Spf
from service import Service

FIELD = b"x-postmask-evidence"

SENDERS = [
    '"with space"@example.com',
    '"quo\\"te"@example.com',
    "Mixed.Case@Example.COM",
    "grüße@example.com",
    "用户@例子.example",
    "",
]


@pytest.fixture(scope="module", params=["pipe", "lmtp"])
def service(request: pytest.FixtureRequest, names: Nameserver) -> Iterator[Service]:
    """A service whose forwarder the tests play themselves."""
    with lab(door=request.param, nameserver=names.text) as running:
        yield Service(request.param, running, names)


@pytest.fixture
def forwarder(service: Service) -> Iterator[HandedOver]:
    with handed_over(service) as playing:
        yield playing


def test_no_more_is_asked_for_than_is_used(service: Service) -> None:
    actions, steps, macros = negotiated(Path(service.lab.described["sockets"]["scan"]))
    assert actions == Milter.SETSYMLIST | Milter.ADDHDRS
    silent = Milter.P_NR_MAIL | Milter.P_NR_RCPT | Milter.P_NR_HDR | Milter.P_NR_BODY
    wanted = Milter.P_NOUNKNOWN | Milter.P_NOEOH | Milter.P_HDR_LEADSPC
    assert steps == silent | wanted | (steps & Milter.P_SKIP)
    assert macros.count(b"{auth_authen}") == 1


def test_it_holds_with_every_body(service: Service, forwarder: HandedOver) -> None:
    owned = {name: service.alias() for name in BODIES}
    for name, body in BODIES.items():
        head = f"From: bob@example.com\r\nTo: {owned[name].alias}\r\nSubject: {name}\r\n\r\n".encode()
        service.send("bob@example.com", [owned[name].alias], head + body, options=["BODY=8BITMIME"])
    for name in BODIES:
        found = forwarder.evidence_for(owned[name].alias)
        assert found is not None, name
        assert found.recipients == (owned[name].alias,)
        assert found.body == "8BITMIME"


@pytest.mark.parametrize(
    "head",
    [
        b"From: Bob\r\n\t<bob@example.com>\r\nDate:\r\n Sun, 22 Nov 2026 12:00:00 +0000\r\n\r\n",
        b"From: =?utf-8?q?B=C3=B6b?= <bob@example.com>\r\nFrom: eve@example.com\r\n\r\n",
        "From: Böb <bob@example.com>\r\n\r\n".encode(),
        b"From: B\xf6b <bob@example.com>\r\n\r\n",
        b"From: bob@example.com\r\nX-Long: " + b"x" * 20_000 + b"\r\n\r\n",
        b"From: bob@example.com\r\nX-Bare: a\rb\r\n\r\n",
        b"X-None: of these\r\n\r\n",
        b"No header at all.\r\n",
        b"From: bob@example.com\r\nno blank line\r\n",
        b"From : bob@example.com\r\n\r\n",
        b"From:bob@example.com\r\nX-\xc3\xa9: not a field\r\n\r\n",
        b"",
    ],
)
def test_it_holds_with_every_header(service: Service, forwarder: HandedOver, head: bytes) -> None:
    owned = service.alias()
    service.send("bob@example.com", [owned.alias], head + b"Hello.\r\n")
    assert forwarder.evidence_for(owned.alias) is not None


@pytest.mark.parametrize("sender", SENDERS)
def test_it_holds_with_every_sender(service: Service, forwarder: HandedOver, sender: str) -> None:
    owned = service.alias()
    options = [] if sender.isascii() else ["SMTPUTF8"]
    service.send(sender, [owned.alias], message(owned.alias), options=options)
    found = forwarder.evidence_for(owned.alias)
    assert found is not None
    assert found.smtputf8 is not sender.isascii()


def test_it_tells_who_spoke_and_what_was_found(service: Service, forwarder: HandedOver) -> None:
    owned, other = service.alias(), service.alias()
    service.nameserver.txt("evidence.example", "v=spf1 ip4:198.51.100.7 -all")
    service.send("bob@evidence.example", [owned.alias, other.alias], message(owned.alias), login="jane")
    found = forwarder.evidence_for(owned.alias)
    assert found is not None
    assert found == forwarder.evidence_for(other.alias)
    assert sorted(found.recipients) == sorted((owned.alias, other.alias))
    assert (found.client, found.client_name) == ("198.51.100.7", "mail.example.com")
    assert (found.helo, found.login) == ("mail.example.com", "jane")
    assert found.authentication is not None
    assert found.authentication.spf.result is Spf.PASS
    assert found.spam is None


def test_several_messages_in_a_session_have_their_own(service: Service, forwarder: HandedOver) -> None:
    owned = [service.alias() for _ in range(3)]
    with service.lab.client() as session:
        session.mail("left@example.com")
        session.rcpt(owned[0].alias)
        session.rset()
        for number, one in enumerate(owned):
            session.sendmail(f"bob{number}@example.com", [one.alias], message(one.alias, f"number {number}"))
    for one in owned:
        found = forwarder.evidence_for(one.alias)
        assert found is not None
        assert found.recipients == (one.alias,)


def test_a_foreign_recipient_and_its_copy_are_left_alone(service: Service, forwarder: HandedOver) -> None:
    known = len(service.mail_for(FOREIGN))
    content = message(FOREIGN, "mixed")
    mixed = [service.alias() for _ in range(2)]
    for recipients, login in (
        ([mixed[0].alias, FOREIGN], None),
        ([FOREIGN, mixed[1].alias], "jane"),
        ([FOREIGN], "jane"),
        ([FOREIGN], None),
    ):
        service.send("bob@example.com", recipients, content, address="127.0.0.1", login=login)
    for mail in service.await_mail_for(FOREIGN, known + 4)[known:]:
        assert b"postmask" not in mail.content.lower().replace(b"lab.postmask.test", b"")
        assert mail.content.endswith(content)
    for owned in mixed:
        _, data = forwarder.await_for(owned.alias)
        assert FIELD not in data.lower()


def test_local_submission_carries_none(service: Service, forwarder: HandedOver) -> None:
    owned = service.alias()
    service.lab.submit("-i", "-f", "me@host.test", owned.alias, content=message(owned.alias))
    _, data = forwarder.await_for(owned.alias)
    assert FIELD not in data.lower()


def test_a_copied_one_proves_nothing(service: Service, forwarder: HandedOver) -> None:
    """Of another message, for another recipient, or with the milter dead: nobody believes it."""
    first, second, third = service.alias(), service.alias(), service.alias()
    service.send("bob@example.com", [first.alias], message(first.alias, "genuine"))
    _, data = forwarder.await_for(first.alias)
    header = data[data.lower().index(FIELD) : data.index(b"\r\n\r\n") + 2]
    service.send("bob@example.com", [second.alias], header + message(first.alias, "genuine"))
    found = forwarder.evidence_for(second.alias)
    assert found is not None
    assert found.recipients == (second.alias,)
    with killed(service, "milter-scan"):
        service.send("bob@example.com", [third.alias], header + message(first.alias, "another"))
        assert forwarder.evidence_for(third.alias) is None
        fourth = service.alias()
        genuine = data[: data.lower().index(FIELD)].partition(b"From:")
        service.send("bob@example.com", [fourth.alias], b"From:" + genuine[2] + header + b"\r\nHello.\r\n")
        assert forwarder.evidence_for(fourth.alias) is None
