"""The reply rule on raw messages, with keys and SPF records in a real DNS.

Each attack that is known, and each form in which providers sign, from bytes to verdict.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from email.utils import formatdate

import pytest

from dkim_mail import rsa_key, stranger_signs
from nameserver import Nameserver
from postmask.auth import dkim, spf
from postmask.auth.claims import read_claims
from postmask.auth.dns import Resolver
from postmask.auth.examine import examine
from postmask.auth.proof import By, Proof, Proven, ReplyEvidence, Undecided, Unproven
from postmask.clock import Deadline, SystemClock
from postmask.directory.records import Mailbox, MailboxState
from postmask.message.headers import split

CLOCK = SystemClock()
REVERSE = "bob-at-example-net.aaaabbbbccccddddeeeeffff@alias.test"
MAILBOX = Mailbox(id=1, account_id=1, address="owner@example.com", state=MailboxState.ACTIVE)
AS_MICROSOFT = ["from", "date", "subject", "message-id", "content-type", "mime-version"]
OWN_HOST = "192.0.2.1"
FOREIGN_HOST = "203.0.113.66"


@pytest.fixture(scope="module", autouse=True)
def records(nameserver: Nameserver) -> None:
    for domain in ("example.com", "gmail.com", "attacker.example"):
        nameserver.txt(f"s1._domainkey.{domain}", dkim.public_record(rsa_key()))
    nameserver.txt("example.com", f"v=spf1 ip4:{OWN_HOST} -all")
    nameserver.txt("attacker.example", f"v=spf1 ip4:{FOREIGN_HOST} -all")


def message(
    sender: str = "Owner <owner@example.com>", to: str = f"Bob <{REVERSE}>", age: float = 60, extra: str = ""
) -> bytes:
    return (
        f"From: {sender}\r\nTo: {to}\r\n{extra}Subject: Re: hello\r\n"
        f"Date: {formatdate(CLOCK.now() - age)}\r\nMessage-ID: <a@example.com>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nHello Bob.\r\n"
    ).encode()


@dataclass
class Rule:
    """The rule as the forwarder applies it."""

    nameserver: Nameserver

    def __call__(
        self,
        data: bytes,
        *,
        client: str = FOREIGN_HOST,
        envelope: str = "owner@example.com",
        mailbox: Mailbox = MAILBOX,
        trusted: bool = False,
    ) -> Proof:
        resolver = Resolver([self.nameserver.address], timeout=1.0)
        deadline = Deadline.after(CLOCK, 5)
        headers, body = split(data)
        known = ReplyEvidence(
            claims=read_claims(headers),
            reverse_alias=REVERSE,
            mailboxes=(mailbox,),
            login=None,
            dkim=(),
            spf=None,
            client_trusted=trusted,
            now=CLOCK.now(),
        )
        return examine(
            known,
            dkim=lambda: dkim.verify(headers, body, resolver.txt, deadline, CLOCK.now()),
            spf=lambda: spf.check(client, "client.example", envelope, resolver, deadline),
        )


@pytest.fixture
def rule(nameserver: Nameserver) -> Rule:
    return Rule(nameserver)


def by(proof: Proof) -> By:
    assert isinstance(proof, Proven), proof
    return proof.by


def signed(
    data: bytes, domain: str = "example.com", names: list[str] | None = None, length: bool = False
) -> bytes:
    return stranger_signs(data, rsa_key(), domain=domain, names=names, length=length)


@pytest.mark.parametrize("form", ["relaxed/relaxed", "relaxed/simple", "simple/simple"])
def test_a_signed_reply(rule, form):
    proof = rule(stranger_signs(message(), rsa_key(), form=form))
    assert by(proof) is By.DKIM
    again = rule(b"Received: from elsewhere\r\n" + stranger_signs(message(), rsa_key(), form=form))
    assert by(again) is By.DKIM


def test_the_mark_is_the_signatures_not_the_messages(rule):
    data = signed(message())
    first, copy = rule(data), rule(b"Received: by way of a thief\r\n" + data.replace(b" b=", b"  b=\r\n\t"))
    other = rule(signed(message(age=61)))
    assert isinstance(first, Proven)
    assert isinstance(copy, Proven)
    assert isinstance(other, Proven)
    assert first.signatures == copy.signatures
    assert set(first.signatures).isdisjoint(other.signatures)


def test_as_microsoft_365_signs_it(rule):
    data = signed(message(), names=AS_MICROSOFT)
    assert by(rule(data, client=OWN_HOST)) is By.DKIM_SPF
    assert isinstance(rule(data), Unproven)


def test_bcc(rule):
    data = signed(message(to="somebody@example.net"))
    assert by(rule(data, client=OWN_HOST)) is By.DKIM_SPF
    assert isinstance(rule(data), Unproven)


def test_spf_alone(rule):
    willing = replace(MAILBOX, allow_spf=True)
    assert by(rule(message(), client=OWN_HOST, mailbox=willing)) is By.SPF
    assert isinstance(rule(message(), client=OWN_HOST), Unproven)
    assert isinstance(rule(message(), client=OWN_HOST, mailbox=willing, trusted=True), Unproven)
    assert isinstance(rule(message(), mailbox=willing), Unproven)
    assert isinstance(rule(message(), envelope="x@attacker.example", mailbox=willing), Unproven)


def test_a_forged_from(rule):
    assert isinstance(rule(message()), Unproven)
    assert isinstance(
        rule(signed(message(), domain="attacker.example"), envelope="x@attacker.example"), Unproven
    )


def test_another_user_of_the_same_provider(rule):
    """Signed by gmail.com for eve, sent with the owner's envelope."""
    mailbox = replace(MAILBOX, address="owner@gmail.com")
    for sender in ("eve@gmail.com", '"owner@gmail.com" <eve@gmail.com>', "owner@gmail.com <eve@gmail.com>"):
        data = signed(message(sender=sender), domain="gmail.com")
        assert isinstance(rule(data, envelope="owner@gmail.com", mailbox=mailbox), Unproven)


def test_a_second_from_field(rule):
    mailbox = replace(MAILBOX, address="owner@gmail.com")
    data = signed(message(sender="eve@gmail.com"), domain="gmail.com", names=["from", "to", "date"])
    for forged in (
        b"From: owner@gmail.com\r\n" + data,
        data.replace(b"\r\nTo:", b"\r\nFrom: owner@gmail.com\r\nTo:"),
    ):
        assert isinstance(rule(forged, mailbox=mailbox), Unproven)


def test_a_genuine_old_message_sent_to_a_reverse_alias(rule):
    to_a_shop = signed(message(to="shop@example.net"))
    assert isinstance(rule(to_a_shop), Unproven)
    assert isinstance(rule(f"To: {REVERSE}\r\n".encode() + to_a_shop), Unproven)
    assert isinstance(rule(f"Cc: {REVERSE}\r\n".encode() + to_a_shop), Unproven)
    assert isinstance(rule(signed(message(age=6 * 86_400))), Unproven)


def test_a_recipient_added_to_a_message_whose_to_is_signed_once(rule):
    to_a_shop = signed(message(to="shop@example.net"), names=["from", "to", "date", "subject"])
    assert isinstance(rule(f"To: {REVERSE}\r\n".encode() + to_a_shop), Unproven)


def test_text_appended_behind_a_length(rule):
    data = signed(message(), length=True)
    for forged in (data, data + b"Buy this!\r\n"):
        assert isinstance(rule(forged, client=OWN_HOST), Unproven)


def test_a_changed_body(rule):
    assert isinstance(rule(signed(message()).replace(b"Hello", b"Hallo"), client=OWN_HOST), Unproven)


def test_dns_that_is_down_decides_nothing(rule, nameserver):
    data = signed(message())
    with nameserver.failing("example.com"):
        assert isinstance(rule(data), Undecided)
    with nameserver.hung():
        assert isinstance(rule(data), Undecided)
    assert by(rule(data)) is By.DKIM


def test_dns_that_is_down_does_not_save_a_forgery(rule, nameserver):
    with nameserver.failing("attacker.example"):
        assert isinstance(rule(signed(message(), domain="attacker.example")), Unproven)
    with nameserver.hung():
        assert isinstance(rule(message(sender="eve@example.com")), Unproven)
