"""What the scan milter refuses at the end of data, and how it leaves all that isn't for it to refuse; and
what waits at RCPT since there is too much of it."""

from __future__ import annotations

import email
import email.policy
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conversation import FOREIGN, OWNERS_HOST, Conversation, answer, publish, settled, signed, start
from faults import killed, message
from lab import lab
from nameserver import Nameserver
from postmask.keys import load
from postmask.message.evidence import Evidence, seal_evidence
from postmask.message.headers import split
from service import Service

STRICT = "strict.example"
LISTS = "192.0.2.99"


@pytest.fixture(scope="module")
def service(names: Nameserver) -> Iterator[Service]:
    """One with a trusted forwarder, and a rate that only one test reaches."""
    with lab(door="pipe", nameserver=names.text) as running:
        made = Service("refusals", running, names)
        publish(made)
        names.txt(f"_dmarc.{STRICT}", "v=DMARC1; p=reject")
        names.txt(STRICT, f"v=spf1 ip4:{OWNERS_HOST} -all")
        with Path(running.config).open("a") as config:
            config.write(f'[mail]\ntrusted_forwarders = ["{LISTS}", "lists.example"]\n')
            config.write("[rates]\nalias = 6\n")
        with killed(made, "milter-alias", "milter-scan", "forwarder"):
            pass
        yield made


@pytest.fixture
def talk(service: Service) -> Conversation:
    return start(service)


def forged(recipient: str) -> bytes:
    """A message whose author's domain asks to refuse it, unless it comes by its own host."""
    return message(recipient).replace(b"bob@example.com>", f"boss@{STRICT}>".encode(), 1)


def test_dmarc_is_applied(service: Service) -> None:
    owned, other = service.alias(), service.alias()
    said = service.send("bob@example.com", [owned.alias, other.alias], forged(owned.alias))
    assert said.end is not None
    assert said.end.startswith("550 5.7.26 ")
    service.lab.wait_for(lambda: service.event_kinds(owned.alias) == ["refused"], "the event")
    said = service.send(f"boss@{STRICT}", [owned.alias], forged(owned.alias), address=OWNERS_HOST)
    service.await_mail_for(owned.mailbox)
    assert len(service.mail_for(owned.mailbox)) == 1


def test_where_not_all_refuse_or_the_milter_is_dead_it_is_held(service: Service) -> None:
    owned = service.alias()
    content = forged(owned.alias)
    said = service.send("bob@example.com", [owned.alias, "postmaster@alias.test"], content)
    assert "held=1" in settled(service, said.queue_id, owned.alias)
    assert "sent=1" in settled(service, said.queue_id, "postmaster@alias.test")
    with killed(service, "milter-scan"):
        said = service.send("bob@example.com", [owned.alias], content)
        assert "held=1" in settled(service, said.queue_id)
        service.send("bob@example.com", [owned.alias], content, address=LISTS)
        assert len(service.await_mail_for(owned.mailbox)) == 1
    service.lab.wait_for(lambda: service.event_kinds(owned.alias).count("held") == 2, "the events")


def test_a_trusted_forwarder_may_break_dmarc(service: Service) -> None:
    owned = service.alias()
    service.send("bob@example.com", [owned.alias], forged(owned.alias), address=LISTS)
    service.nameserver.txt("lists.example", f"v=spf1 ip4:{FOREIGN} -all")
    service.send("bounces@lists.example", [owned.alias], forged(owned.alias), address=FOREIGN)
    service.await_mail_for(owned.mailbox, 2)


def test_dmarc_without_dns_refuses_nothing(service: Service) -> None:
    owned = service.alias()
    with service.nameserver.failing(STRICT):
        assert service.send("bob@example.com", [owned.alias], forged(owned.alias)).queue_id
    service.await_mail_for(owned.mailbox)


def test_a_blocked_author_is_refused(service: Service) -> None:
    owned = service.alias()
    service.lab.postmask("block", "add", "spammer@example.com", "--alias", owned.alias)
    content = message(owned.alias).replace(b"bob@example.com>", b"spammer@example.com>", 1)
    said = service.send("innocent@example.com", [owned.alias], content)
    assert said.end is not None
    assert said.end.startswith("550 5.7.1 ")
    assert service.send("bob@example.com", [owned.alias], message(owned.alias)).queue_id
    with killed(service, "milter-scan"):
        said = service.send("innocent@example.com", [owned.alias], content)
        assert "held=1" in settled(service, said.queue_id)


def test_a_reply_without_proof_is_refused(service: Service, talk: Conversation) -> None:
    said = service.send(talk.owned.mailbox, [talk.reverse], answer(talk), address=FOREIGN)
    assert said.end is not None
    assert said.end.startswith("550 5.7.1 ")
    assert talk.owned.mailbox not in said.end
    service.lab.wait_for(lambda: "refused" in service.event_kinds(talk.owned.alias), "the event")
    service.send(talk.owned.mailbox, [talk.reverse], signed(answer(talk)), address=OWNERS_HOST)
    assert len(service.await_mail_for(talk.contact)) == 1


def test_with_another_recipient_or_without_the_milter_it_is_held(
    service: Service, talk: Conversation
) -> None:
    said = service.send(talk.owned.mailbox, [talk.reverse, talk.owned.alias], answer(talk), address=FOREIGN)
    assert said.queue_id
    assert "verdict=hold" in settled(service, said.queue_id, talk.reverse)
    with killed(service, "milter-scan"):
        said = service.send(talk.owned.mailbox, [talk.reverse], answer(talk), address=FOREIGN)
        assert "verdict=hold" in settled(service, said.queue_id)
    assert service.mail_for(talk.contact) == []


def test_evidence_for_one_reverse_alias_proves_nothing_at_another(
    service: Service, talk: Conversation
) -> None:
    """Nor on another message. It says that the owner had logged in; the scan milter is dead."""
    service.lab.postmask("mailbox", "edit", talk.owned.mailbox, "--login", "jane")
    second = another_reverse_alias(service, talk)
    content = answer(talk)
    headers, body = split(content)
    evidence = Evidence(int(time.time()), (talk.reverse,), talk.owned.mailbox, client=FOREIGN, login="jane")
    field = seal_evidence(load(service.lab.directory / "keys"), evidence, headers, body)
    assert field is not None
    with killed(service, "milter-scan"):
        for recipient, sent, verdict in (
            (second, content, "hold"),
            (talk.reverse, content + b"More.\r\n", "hold"),
            (talk.reverse, content, "deliver"),
        ):
            said = service.send(talk.owned.mailbox, [recipient], field.raw + sent, address=FOREIGN)
            assert f"verdict={verdict}" in settled(service, said.queue_id)
    (mail,) = service.await_mail_for(talk.contact)
    assert b"postmask-evidence" not in mail.content.lower()


def another_reverse_alias(service: Service, talk: Conversation) -> str:
    """Somebody else writes to the same alias."""
    known = len(service.mail_for(talk.owned.mailbox))
    content = message(talk.owned.alias).replace(b"bob@example.com>", b"carol@example.com>", 1)
    service.send("carol@example.com", [talk.owned.alias], content)
    mail = service.await_mail_for(talk.owned.mailbox, known + 1)[-1]
    author = email.message_from_bytes(mail.content, policy=email.policy.default)["From"].addresses[0]
    return str(author.addr_spec)


def test_without_dns_a_reply_waits(service: Service, talk: Conversation) -> None:
    content = signed(answer(talk))
    with service.nameserver.failing("real.test"):
        said = service.send(talk.owned.mailbox, [talk.reverse], content, address=OWNERS_HOST)
        assert "verdict=defer" in settled(service, said.queue_id)
    assert len(service.await_retried(talk.contact)) == 1


def test_what_is_refused_leaves_nothing_open(service: Service) -> None:
    owned = service.alias()
    said = service.send("bob@example.com", [owned.alias], forged(owned.alias))
    assert said.end is not None
    service.lab.await_log("milter-reject: END-OF-MESSAGE")
    told = service.lab.postmask("reconcile", "--since", "1h", check=False)
    assert told.exit_code == 0, told.stdout


def test_over_the_rate_mail_waits(service: Service) -> None:
    flooded, other = service.alias(), service.alias()
    with service.lab.client() as session:
        session.mail("bob@example.com")
        answers = [session.rcpt(flooded.alias) for _ in range(7)]
        assert [code for code, _ in answers] == [250] * 6 + [450]
        assert answers[-1][1].startswith(b"4.7.1 ")
        assert session.rcpt(other.alias)[0] == 250
        assert session.rcpt("postmaster@alias.test")[0] == 250
    with service.lab.client() as session:
        session.mail("somebody.else@example.com")
        assert session.rcpt(flooded.alias)[0] == 450
