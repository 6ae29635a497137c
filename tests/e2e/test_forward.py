"""Mail to aliases, all the way: smtpd, gate, milter, queue, door, forwarder, re-injection, sink."""

from __future__ import annotations

import email
import email.policy

from dkim_judges import dkimpy, mail_dkim, opendkim
from service import Service

PLAIN = (
    b"From: Bob Example <bob@example.com>\r\nTo: %s\r\nSubject: Hello\r\nMessage-ID: <1@example.com>\r\n"
    b"Date: Sun, 22 Nov 2026 12:00:00 +0000\r\n\r\nHi there.\r\n"
)


def test_two_aliases_and_an_unknown_one(service: Service) -> None:
    first, second = service.alias(), service.alias()
    said = service.send(
        "bob@example.com", [first.alias, "nobody@alias.test", second.alias], PLAIN % first.alias.encode()
    )
    assert said.recipients[first.alias].startswith("250 2.1.5")
    assert said.recipients[second.alias].startswith("250 2.1.5")
    assert said.recipients["nobody@alias.test"].startswith("550 5.1.1")
    service.await_done(said.queue_id)
    assert len(service.await_mail_for(first.mailbox)) == 1
    assert len(service.await_mail_for(second.mailbox)) == 1
    assert not any(
        "nobody@" in recipient for mail in service.lab.delivered() for recipient in mail.recipients
    )


def test_the_sender_is_masked_and_the_answer_comes_back_to_us(service: Service) -> None:
    owned = service.alias()
    service.send("bounce-77@example.com", [owned.alias], PLAIN % owned.alias.encode())
    (mail,) = service.await_mail_for(owned.mailbox)
    message = email.message_from_bytes(mail.content, policy=email.policy.default)
    (author,) = message["From"].addresses
    assert author.domain == "alias.test"
    assert author.display_name == "Bob Example (bob at example.com)"
    assert mail.sender.endswith("@alias.test")
    assert b"bob@example.com" not in mail.content
    assert b"<1@example.com>" not in mail.content
    assert message["Subject"] == "Hello"
    assert message["Date"].datetime.isoformat() == "2026-11-22T12:00:00+00:00"


def test_what_pretends_to_be_ours_is_taken_out(service: Service) -> None:
    """The lab's node, and so its authserv-id, is called "lab"."""
    owned = service.alias()
    forged = (
        b"X-Postmask-Evidence: AXNvbWV0aGluZyB0aGF0IHdhcyBzZWFsZWQgYnkgbm9ib2R5\r\n"
        b"Authentication-Results: lab; spf=pass; dkim=pass\r\n"
        b"Authentication-Results:\r\n (a comment)\r\n LAB 1; dmarc=pass\r\n"
        b"Authentication-Results: mx.example.org; spf=pass smtp.mailfrom=lab\r\n"
    )
    service.send("bob@example.com", [owned.alias], forged + PLAIN % owned.alias.encode())
    (mail,) = service.await_mail_for(owned.mailbox)
    message = email.message_from_bytes(mail.content, policy=email.policy.default)
    ours, passed_on = message.get_all("Authentication-Results")
    assert ours.startswith("lab; spf=none smtp.mailfrom=example.com;")
    assert passed_on == "mx.example.org; spf=pass smtp.mailfrom=lab"
    assert "X-Postmask-Evidence" not in message


def test_three_judges_verify_our_signature(service: Service) -> None:
    owned = service.alias()
    service.send("bob@example.com", [owned.alias], PLAIN % owned.alias.encode())
    (mail,) = service.await_mail_for(owned.mailbox)
    records = service.dkim_records()
    assert dkimpy(mail.content, records)
    assert opendkim(mail.content, records)
    assert mail_dkim(mail.content, records)


def test_the_owner_writing_to_the_own_alias_is_no_loop(service: Service) -> None:
    owned = service.alias()
    content = (PLAIN % owned.alias.encode()).replace(b"bob@example.com", owned.mailbox.encode())
    service.send(owned.mailbox, [owned.alias], content)
    assert len(service.await_mail_for(owned.mailbox)) == 1


def test_mail_of_the_hosts_other_domains_is_untouched(service: Service) -> None:
    content = PLAIN % b"you@elsewhere.test"
    said = service.send("bob@example.com", ["you@elsewhere.test"], content, address="127.0.0.1")
    assert said.end
    (mail,) = service.await_mail_for("you@elsewhere.test")
    assert mail.sender == "bob@example.com"
    assert mail.content.endswith(content)
    assert b"DKIM-Signature" not in mail.content
    assert b"X-Postmask" not in mail.content


def test_what_we_write_ourselves_is_signed_as_well(service: Service) -> None:
    """Else a provider that gets it passed on, and so without SPF, has nothing to know us by."""
    address = "new-here@real.test"
    service.lab.postmask("mailbox", "add", address)
    (mail,) = service.await_mail_for(address)
    assert b"Your confirmation code" in mail.content
    assert dkimpy(mail.content, service.dkim_records())
