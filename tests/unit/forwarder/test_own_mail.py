"""An owner's answer to all has the alias among its recipients: it comes back to all who own the alias."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage

from directories import alias, mailbox
from engine_rig import LOGGED_IN, Rig
from postmask.verdict import Kind

ASKED = (
    b"From: Bob <bob@example.com>\r\nTo: shop@alias.test, Ann <ann@example.org>\r\n"
    b"Message-ID: <asked@example.com>\r\n\r\nWhen?\r\n"
)


def read(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def to_all(seen: EmailMessage, owner: str) -> bytes:
    """What a mail program makes of "reply to all"."""
    seen_id = str(seen["Message-ID"]).strip()
    return (
        f"From: {owner}\r\nTo: {seen['From']}\r\nCc: {seen['To']}\r\n"
        f"Message-ID: <answer@{owner}>\r\nIn-Reply-To: {seen_id}\r\nReferences: {seen_id}\r\n\r\nSoon.\r\n"
    ).encode()


def start(rig: Rig) -> EmailMessage:
    """Bob has asked; Jane has answered to all. What both owners see of that."""
    owners = (mailbox("jane@real.test", id=5, login="me"), mailbox("john@real.test", id=6, login="me"))
    rig.directory.aliases["shop@alias.test"] = alias(mailboxes=owners)
    rig.directory.addresses = ("jane@real.test", "john@real.test")
    rig.deliver(content=ASKED)
    answer = to_all(read(rig.out.sent[-1][2]), "jane@real.test")
    bob = read(answer)["To"].addresses[0].addr_spec
    assert rig.deliver(bob, answer, "jane@real.test", LOGGED_IN).kind is Kind.DELIVER
    assert rig.deliver(content=answer, sender="jane@real.test").kind is Kind.DELIVER
    assert [to for _, to, _ in rig.out.sent[-3:]] == ["bob@example.com", "jane@real.test", "john@real.test"]
    return read(rig.out.sent[-1][2])


def test_an_answer_to_an_owners_answer_reaches_the_contacts(rig: Rig) -> None:
    seen = start(rig)
    assert seen["To"].addresses[0].addr_spec.startswith("bob-at-example-com.")
    answer = to_all(seen, "john@real.test")
    sent = len(rig.out.sent)
    for entry in (*seen["To"].addresses, *seen["Cc"].addresses):
        if entry.addr_spec != "shop@alias.test":
            verdict = rig.deliver(entry.addr_spec, answer, "john@real.test", LOGGED_IN)
            assert verdict.kind is Kind.DELIVER
    assert [to for _, to, _ in rig.out.sent[sent:]] == ["bob@example.com", "ann@example.org"]


def test_it_names_the_first_answer_as_the_contact_knows_it(rig: Rig) -> None:
    seen = start(rig)
    known = str(read(rig.out.sent[-3][2])["Message-ID"]).strip()
    bob = seen["To"].addresses[0].addr_spec
    rig.deliver(bob, to_all(seen, "john@real.test"), "john@real.test", LOGGED_IN)
    answer = rig.out.sent[-1][2]
    assert str(read(answer)["In-Reply-To"]).strip() == known
    assert b"real.test" not in answer


def test_anothers_alias_or_reverse_alias_is_masked(rig: Rig) -> None:
    """Who would write there himself would show them his mailbox."""
    rig.directory.aliases["its@alias.test"] = alias("its@alias.test", id=9, account_id=2)
    rig.deliver("its@alias.test")
    reverse = f"bob-at-example-com.{rig.spool.contact(9, 'bob@example.com').token}@alias.test"  # type: ignore[union-attr]
    rig.deliver(content=f"From: bob@example.com\r\nTo: its@alias.test, {reverse}\r\n\r\n".encode())
    shown = [entry.addr_spec for entry in read(rig.out.sent[-1][2])["To"].addresses]
    assert len(shown) == 2
    assert not {"its@alias.test", reverse} & set(shown)
