"""The RCPT answers through a real smtpd, and where the mail goes, as the owner's settings change."""

from __future__ import annotations

import re

import pytest

from service import Owned, Service

PLAIN = b"From: Bob <%s>\r\nTo: %s\r\nSubject: Hello\r\n\r\nHi.\r\n"
BOB = "bob@example.com"


def send(service: Service, to: str, sender: str = BOB, author: str = BOB) -> str:
    """Send a message; what RCPT was answered."""
    said = service.send(sender, [to], PLAIN % (author.encode(), to.encode()))
    if said.end:
        service.await_done(said.queue_id)
    return said.recipients[to]


@pytest.mark.parametrize(
    ("when_disabled", "answer"),
    [("reject", "550 5.2.1"), ("unknown", "550 5.1.1"), ("defer", "450 4.2.1"), ("discard", "250 2.1.5")],
)
def test_a_disabled_alias(service: Service, when_disabled: str, answer: str) -> None:
    owned = service.alias()
    service.lab.postmask("alias", "disable", owned.alias, "--when-disabled", when_disabled)
    assert send(service, owned.alias).startswith(answer)
    assert service.mail_for(owned.mailbox) == []
    kind = {"defer": "deferred", "discard": "discarded"}.get(when_disabled, "refused")
    service.lab.wait_for(lambda: kind in service.event_kinds(owned.alias), "the event")
    service.lab.postmask("alias", "enable", owned.alias)
    assert send(service, owned.alias).startswith("250")
    assert len(service.await_mail_for(owned.mailbox)) == 1


def test_a_removed_alias_is_unknown_until_it_is_restored(service: Service) -> None:
    owned = service.alias()
    service.lab.postmask("alias", "remove", owned.alias)
    assert send(service, owned.alias).startswith("550 5.1.1")
    service.lab.postmask("alias", "restore", owned.alias)
    assert send(service, owned.alias).startswith("250")
    assert len(service.await_mail_for(owned.mailbox)) == 1


def test_detail_subdomain_and_case(service: Service) -> None:
    owned = service.alias()
    local, _, domain = owned.alias.partition("@")
    assert send(service, f"{local}+news@{domain}").startswith("250")
    assert send(service, f"{local.upper()}@{domain.upper()}").startswith("250")
    assert send(service, f"{local}@sub.{domain}").startswith("550 5.1.2")
    assert len(service.await_mail_for(owned.mailbox, 2)) == 2


def test_postmaster_and_abuse_go_where_the_domain_says(service: Service) -> None:
    before = len(service.mail_for("postmaster@host.test"))
    for local in ("postmaster", "Abuse"):
        assert send(service, f"{local}@alias.test").startswith("250")
    mail = service.await_mail_for("postmaster@host.test", before + 2)[before]
    assert b"\r\nFrom: Bob <bob@example.com>\r\n" in mail.content
    assert mail.sender.endswith("@alias.test")


def test_of_two_mailboxes_one_is_paused(service: Service) -> None:
    first, second = service.alias(), service.alias()
    service.lab.postmask("alias", "edit", first.alias, "--to", first.mailbox, "--to", second.mailbox)
    service.lab.postmask("mailbox", "pause", second.mailbox)
    assert send(service, first.alias).startswith("250")
    assert len(service.await_mail_for(first.mailbox)) == 1
    service.lab.wait_for(lambda: second.mailbox in held(service), "the held copy")
    assert service.mail_for(second.mailbox) == []
    assert send(service, second.alias).startswith("450 4.2.1")
    service.lab.postmask("mailbox", "resume", second.mailbox)
    assert send(service, second.alias).startswith("250")
    assert len(service.await_mail_for(second.mailbox)) == 1


def held(service: Service) -> set[str]:
    """Recipients of what lies on hold."""
    return {one["address"] for entry in service.held() for one in entry["recipients"]}


def test_blocked_senders(service: Service) -> None:
    owned = service.alias()
    service.lab.postmask("block", "add", "@spam.example", "--alias", owned.alias)
    service.lab.postmask("block", "add", "quiet@spam.example", "--alias", owned.alias, "--discard")
    assert send(service, owned.alias, "x@sub.spam.example").startswith("550 5.7.1")
    assert send(service, owned.alias, "quiet@spam.example").startswith("250")
    assert send(service, owned.alias, "x@notspam.example").startswith("250")
    assert len(service.await_mail_for(owned.mailbox)) == 1


def test_a_blocked_contact_in_the_header_is_refused_else_discarded_with_a_record(service: Service) -> None:
    owned = service.alias()
    send(service, owned.alias)
    service.await_mail_for(owned.mailbox)
    service.lab.wait_for(lambda: service.lab.postmask("contact", "list", owned.alias), "the contact")
    service.lab.postmask("contact", "block", owned.alias, BOB)
    assert send(service, owned.alias).startswith("550 5.7.1")
    content = PLAIN % (BOB.encode(), owned.alias.encode())
    said = service.send("bounce-1@list.example", [owned.alias], content)
    assert said.end == "550 5.7.1 sender refused"
    # With somebody else who takes it the message can't be refused.
    service.send("bounce-1@list.example", [owned.alias, "postmaster@alias.test"], content)
    service.lab.wait_for(lambda: "discarded" in service.event_kinds(owned.alias), "the record")
    assert service.event_kinds(owned.alias).count("discarded") == 1
    service.lab.postmask("contact", "unblock", owned.alias, BOB)
    assert send(service, owned.alias).startswith("250")
    assert len(service.await_mail_for(owned.mailbox, 2)) == 2


def test_a_new_mailbox_is_confirmed_by_the_code_that_was_sent_there(service: Service) -> None:
    owned = service.alias()
    mailbox = owned.mailbox.replace("me", "new")
    service.lab.postmask("mailbox", "add", mailbox)
    (mail,) = service.await_mail_for(mailbox)
    assert mail.sender.endswith("@alias.test")
    assert b"\r\nFrom: Postmask <postmask@alias.test>\r\n" in mail.content
    alias = owned.alias.replace("shop", "new")
    service.lab.postmask("alias", "add", alias, "--to", mailbox)
    assert send(service, alias).startswith("450 4.2.1")
    code = re.search(rb"\n[ \t]*([a-z0-9]{6,12})[ \t]*\r?\n", mail.content)
    assert code is not None, mail.content
    service.lab.postmask("mailbox", "verify", mailbox, code[1].decode())
    assert send(service, alias).startswith("250")
    assert len(service.await_mail_for(mailbox, 2)) == 2


def test_a_reverse_alias_for_somebody_who_never_wrote(service: Service) -> None:
    owned: Owned = service.alias()
    added = service.lab.postmask("contact", "add", owned.alias, "carol@example.org")
    reverse = added["reverse_alias"]
    forged = re.sub(r"\.(.)", lambda m: "." + ("b" if m[1] == "a" else "a"), reverse, count=1)
    assert send(service, forged).startswith("550 5.1.1")
    content = PLAIN % (BOB.encode(), reverse.encode())
    said = service.send(BOB, [reverse], content)
    assert said.recipients[reverse].startswith("250")
    assert said.end is not None
    assert said.end.startswith("550 5.7.1")
    service.lab.submit("-i", "-f", BOB, reverse, content=content.replace(b"\r\n", b"\n"))
    service.lab.wait_for(lambda: "carol@example.org" in held(service), "the unproven copy on hold")
    assert service.mail_for("carol@example.org") == []
