"""A conversation through an alias: a contact who wrote, and the owner who answers, with DNS for both."""

from __future__ import annotations

import email
import email.policy
import email.utils
import time
from dataclasses import dataclass

from dkim_mail import rsa_key, stranger_signs
from postmask.auth.dkim import public_record
from service import Owned, Service

OWNERS_HOST = "192.0.2.25"
"""Where the owner's provider sends from: in its SPF record."""

FOREIGN = "203.0.113.66"


@dataclass(frozen=True, slots=True)
class Conversation:
    """An alias, a contact who wrote to it, and the contact's reverse alias."""

    owned: Owned
    contact: str
    reverse: str


def publish(service: Service) -> None:
    """The owner's provider and a shared one publish their records."""
    for domain in ("real.test", "gmail.com"):
        service.nameserver.txt(f"s1._domainkey.{domain}", public_record(rsa_key()))
        service.nameserver.txt(domain, f"v=spf1 ip4:{OWNERS_HOST} -all")


def start(service: Service) -> Conversation:
    """Somebody writes to a new alias."""
    owned = service.alias("--name", "The Shopper")
    contact = f"bob-{owned.alias.partition('@')[0]}@example.com"
    content = (
        f"From: Bob <{contact}>\r\nTo: {owned.alias}\r\nSubject: Offer\r\nMessage-ID: <offer@example.com>\r\n"
        f"Date: {email.utils.formatdate()}\r\n\r\nBuy!\r\n"
    )
    service.send(contact, [owned.alias], content.encode())
    (mail,) = service.await_mail_for(owned.mailbox)
    author = email.message_from_bytes(mail.content, policy=email.policy.default)["From"].addresses[0]
    return Conversation(owned, contact, author.addr_spec)


def answer(talk: Conversation, body: str = "Yes, please.\r\n", **fields: str) -> bytes:
    """What the owner's mail client sends."""
    header = {
        "From": f"Jane Doe <{talk.owned.mailbox}>",
        "To": f"Bob <{talk.reverse}>",
        "Subject": "Re: Offer",
        "Date": email.utils.formatdate(),
        "Message-ID": f"<{time.monotonic_ns()}@real.test>",
        "User-Agent": "Janes-Laptop/1.0",
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=utf-8",
        **fields,
    }
    return "".join(f"{name}: {value}\r\n" for name, value in header.items() if value).encode() + (
        b"\r\n" + body.encode()
    )


def signed(content: bytes, domain: str = "real.test", **how: object) -> bytes:
    return stranger_signs(content, rsa_key(), domain=domain, **how)  # type: ignore[arg-type]


def settled(service: Service, queue_id: str, recipient: str = "") -> str:
    """The forwarder's word on a message, or on one recipient of it, once it has spoken."""
    marks = (f"queue_id={queue_id} ", f"recipient={recipient}", " message ")

    def line() -> str:
        lines = service.lab.program_log("forwarder").splitlines()
        return next((one for one in lines if all(mark in one for mark in marks)), "")

    return str(service.lab.wait_for(line, f"the forwarder's word on {queue_id}"))
