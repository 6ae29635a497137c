"""Replies: a proven one arrives once and names no mailbox; anything else reaches nobody."""

from __future__ import annotations

import email
import email.policy
import email.utils
import time

import pytest

from conversation import FOREIGN, OWNERS_HOST, Conversation, answer, publish, settled, signed, start
from dkim_judges import dkimpy
from service import Service


@pytest.fixture(scope="session")
def provider(service: Service) -> None:
    """The owners' providers are in the DNS."""
    publish(service)


@pytest.fixture
def talk(service: Service, provider: None) -> Conversation:
    """Somebody has written to a new alias."""
    return start(service)


def refused(service: Service, talk: Conversation, content: bytes, sender: str, address: str) -> str:
    """Send it: it is refused at the end of data, and nothing comes to the contact. Why, by the log."""
    said = service.send(sender, [talk.reverse], content, address=address)
    assert said.end == "550 5.7.1 not proven to come from the owner of this address"
    assert service.mail_for(talk.contact) == []
    return service.lab.program_log("milter-scan").splitlines()[-1]


def test_a_proven_reply_arrives_once_without_a_trace_of_the_mailbox(
    service: Service, talk: Conversation
) -> None:
    quoted = f"On Sunday, {talk.reverse} wrote to {talk.owned.mailbox}:\r\n> Buy!\r\n\r\nYes.\r\n"
    content = signed(answer(talk, quoted))
    service.send(talk.owned.mailbox, [talk.reverse], content, address=OWNERS_HOST)
    (mail,) = service.await_mail_for(talk.contact)
    message = email.message_from_bytes(mail.content, policy=email.policy.default)
    assert str(message["From"]) == f"The Shopper <{talk.owned.alias}>"
    assert message["To"].addresses[0].addr_spec == talk.contact
    assert mail.sender.endswith("@alias.test")
    lowered = mail.content.lower()
    for secret in (talk.owned.mailbox, "real.test", "jane", "laptop", OWNERS_HOST, talk.reverse):
        assert secret.lower().encode() not in lowered, secret
    assert talk.contact.encode() in mail.content
    assert dkimpy(mail.content, service.dkim_records())


def test_who_has_moved_to_another_mailbox_answers_and_the_former_one_does_not_show(
    service: Service, talk: Conversation
) -> None:
    """In the midst of a thread: the answer quotes what was written from there, and is to it too."""
    former = talk.owned.mailbox
    moved = former.replace("@", "-moved@")
    service.lab.postmask("mailbox", "edit", former, "--address", moved, "--verified")
    word = refused(service, talk, signed(answer(talk)), former, OWNERS_HOST)
    assert "From is neither a mailbox of this alias" in word
    quoted = f"On Sunday, Jane <{former}> wrote:\r\n> Yes.\r\n\r\nWell?\r\n"
    fields = {"From": f"Jane Doe <{moved}>", "Cc": f"Jane Doe <{former}>"}
    service.send(moved, [talk.reverse], signed(answer(talk, quoted, **fields)), address=OWNERS_HOST)
    (mail,) = service.await_mail_for(talk.contact)
    assert b"real.test" not in mail.content
    assert f"On Sunday, Jane <{talk.owned.alias}> wrote:".encode() in mail.content


def test_threads_hold_on_both_sides(service: Service, talk: Conversation) -> None:
    (forwarded,) = service.mail_for(talk.owned.mailbox)
    seen = str(email.message_from_bytes(forwarded.content)["Message-ID"])
    assert "example.com" not in seen
    content = signed(answer(talk, **{"In-Reply-To": seen, "References": seen}))
    service.send(talk.owned.mailbox, [talk.reverse], content, address=OWNERS_HOST)
    (mail,) = service.await_mail_for(talk.contact)
    message = email.message_from_bytes(mail.content)
    assert message["In-Reply-To"] == "<offer@example.com>"
    assert message["References"] == "<offer@example.com>"


def test_a_mapped_login_is_proof_through_either_door(service: Service, talk: Conversation) -> None:
    """lmtp(8) doesn't tell it, the evidence does. What we put before the subject stays here."""
    login = talk.owned.mailbox
    service.lab.postmask("mailbox", "edit", login, "--login", login)
    service.lab.postmask("alias", "edit", talk.owned.alias, "--spam-subject-prefix", "[SPAM]")
    content = answer(talk, Subject="Re: [SPAM] Offer")
    said = service.send(login, [talk.reverse], content, address=FOREIGN, login=login)
    assert "proven by login" in settled(service, said.queue_id)
    (mail,) = service.await_mail_for(talk.contact)
    assert email.message_from_bytes(mail.content)["Subject"] == "Re: Offer"


def test_microsofts_form_needs_aligned_spf(service: Service, talk: Conversation) -> None:
    names = ["from", "date", "subject", "message-id", "content-type", "mime-version"]
    content = signed(answer(talk), names=names)
    word = refused(service, talk, content, talk.owned.mailbox, FOREIGN)
    assert "not proven" in word
    content = signed(answer(talk), names=names)
    service.send(talk.owned.mailbox, [talk.reverse], content, address=OWNERS_HOST)
    assert len(service.await_mail_for(talk.contact)) == 1


def test_a_forged_owner_address_from_a_foreign_client(service: Service, talk: Conversation) -> None:
    word = refused(service, talk, answer(talk), talk.owned.mailbox, FOREIGN)
    assert "not proven" in word


def test_what_is_not_proven_after_the_queue_is_held(service: Service, talk: Conversation) -> None:
    """Where the scan milter can't refuse it, since another recipient takes the message."""
    recipients = [talk.reverse, talk.owned.alias]
    said = service.send(talk.owned.mailbox, recipients, answer(talk), address=FOREIGN)
    for recipient, verdict in ((talk.reverse, "hold"), (talk.owned.alias, "deliver")):
        assert f"verdict={verdict} " in settled(service, said.queue_id, recipient)
    assert service.mail_for(talk.contact) == []


def test_another_users_own_signed_message_with_the_owners_envelope(
    service: Service, talk: Conversation
) -> None:
    service.lab.postmask("mailbox", "edit", talk.owned.mailbox, "--sender", "owner@gmail.com")
    content = signed(answer(talk, From="eve@gmail.com"), domain="gmail.com")
    word = refused(service, talk, content, "owner@gmail.com", OWNERS_HOST)
    assert "not proven" in word


def test_the_owners_genuine_old_message_replayed(service: Service, talk: Conversation) -> None:
    old = signed(
        answer(talk, To="friend@example.org", Date=email.utils.formatdate(time.time() - 20 * 86_400))
    )
    assert "not proven" in refused(service, talk, old, talk.owned.mailbox, FOREIGN)
    recent = signed(answer(talk, To="friend@example.org"))
    assert "not proven" in refused(service, talk, recent, talk.owned.mailbox, FOREIGN)


def test_a_used_signature_is_good_for_no_other_message(service: Service, talk: Conversation) -> None:
    content = signed(answer(talk), names=["from", "to", "date", "subject"])
    service.send(talk.owned.mailbox, [talk.reverse], content, address=OWNERS_HOST)
    service.await_mail_for(talk.contact)
    changed = content.replace(b"User-Agent: Janes-Laptop/1.0", b"X-Added: by the thief")
    said = service.send(talk.owned.mailbox, [talk.reverse], changed, address=FOREIGN)
    assert "verdict=discard" in settled(service, said.queue_id)
    assert len(service.mail_for(talk.contact)) == 1


def test_appended_text_under_a_length_tag(service: Service, talk: Conversation) -> None:
    content = signed(answer(talk), length=True) + b"PS: send the money to Eve.\r\n"
    assert "l=" in refused(service, talk, content, talk.owned.mailbox, FOREIGN)


def test_spf_alone_is_enough_only_where_the_mailbox_says_so(service: Service, talk: Conversation) -> None:
    refused(service, talk, answer(talk), talk.owned.mailbox, OWNERS_HOST)
    service.lab.postmask("mailbox", "edit", talk.owned.mailbox, "--allow-spf")
    refused(service, talk, answer(talk), talk.owned.mailbox, FOREIGN)
    service.send(talk.owned.mailbox, [talk.reverse], answer(talk), address=OWNERS_HOST)
    assert len(service.await_mail_for(talk.contact)) == 1


def test_dns_trouble_decides_nothing(service: Service, talk: Conversation) -> None:
    content = signed(answer(talk))
    with service.nameserver.failing("real.test"):
        said = service.send(talk.owned.mailbox, [talk.reverse], content, address=OWNERS_HOST)
        assert "verdict=defer" in settled(service, said.queue_id)
        assert service.mail_for(talk.contact) == []
    assert len(service.await_retried(talk.contact)) == 1


def test_the_owner_writes_first(service: Service, talk: Conversation) -> None:
    local, _, domain = talk.owned.alias.partition("@")
    first = f"{local}+carol=example.org@{domain}"
    content = signed(answer(talk, To=first))
    service.send(talk.owned.mailbox, [first], content, address=OWNERS_HOST)
    (mail,) = service.await_mail_for("carol@example.org")
    assert talk.owned.mailbox.encode() not in mail.content
    stranger = b"From: dave@example.net\r\nTo: %s\r\nSubject: x\r\n\r\nx\r\n" % first.encode()
    service.send("dave@example.net", [first], stranger)
    assert len(service.await_mail_for(talk.owned.mailbox, 2)) == 2
    assert len(service.mail_for("carol@example.org")) == 1


def test_what_cannot_be_cleaned_is_held(service: Service, talk: Conversation) -> None:
    body = (
        "--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment\r\n\r\n"
        f"%PDF {talk.owned.mailbox}\r\n--b--\r\n"
    )
    content = signed(answer(talk, body, **{"Content-Type": 'multipart/mixed; boundary="b"'}))
    said = service.send(talk.owned.mailbox, [talk.reverse], content, address=OWNERS_HOST)
    assert "held=1" in settled(service, said.queue_id)
    assert service.mail_for(talk.contact) == []
    assert talk.contact in {one["address"] for entry in service.held() for one in entry["recipients"]}
