"""Bounces come home: a DSN to a bounce address is recognised, recorded, and told to whom it concerns."""

from __future__ import annotations

import textwrap

from conversation import settled
from faults import await_empty_outbox
from service import Service

PLAIN = b"From: Bob <bob@example.com>\r\nTo: %s\r\nSubject: Hello\r\n\r\nHi.\r\n"


def dsn(recipient: str, status: str = "5.1.1") -> bytes:
    """A delivery status notification as a foreign Postfix writes it."""
    text = f"""\
        From: MAILER-DAEMON@mx.real.test (Mail Delivery System)
        To: {recipient}
        Subject: Undelivered Mail Returned to Sender
        Auto-Submitted: auto-replied
        MIME-Version: 1.0
        Content-Type: multipart/report; report-type=delivery-status; boundary="b"

        --b
        Content-Type: text/plain

        It could not be delivered.
        --b
        Content-Type: message/delivery-status

        Reporting-MTA: dns; mx.real.test

        Final-Recipient: rfc822; me@real.test
        Action: failed
        Status: {status}
        Diagnostic-Code: smtp; 550 {status} no such user

        --b--
        """
    return textwrap.dedent(text).replace("\n", "\r\n").encode()


def bounce_address(service: Service) -> tuple[str, str]:
    """Forward something; the alias, and the envelope sender that the copy had."""
    owned = service.alias()
    service.send("bob@example.com", [owned.alias], PLAIN % owned.alias.encode())
    (mail,) = service.await_mail_for(owned.mailbox)
    return owned.alias, mail.sender


def events(service: Service, alias: str, kind: str) -> list[dict[str, object]]:
    return [event for event in service.events(alias) if event["kind"] == kind]


def test_a_bounce_is_recorded_and_goes_no_further(service: Service) -> None:
    alias, address = bounce_address(service)
    said = service.send("", [address], dsn(address))
    service.await_done(said.queue_id)
    (event,) = service.lab.wait_for(lambda: events(service, alias, "bounced"), "the bounce's event")
    assert event["status"] == "5.1.1"
    assert service.mail_for("bob@example.com") == []


def test_a_vacation_message_is_no_bounce(service: Service) -> None:
    alias, address = bounce_address(service)
    vacation = (
        b"From: me@real.test\r\nSubject: Away\r\nAuto-Submitted: auto-replied\r\n\r\nBack on Monday.\r\n"
    )
    said = service.send("", [address], vacation)
    assert "verdict=discard" in settled(service, said.queue_id)
    await_empty_outbox(service)
    assert events(service, alias, "bounced") == []


def test_a_forged_bounce_address_is_refused(service: Service) -> None:
    _, address = bounce_address(service)
    flipped = ("b" if address[10] == "a" else "a").join((address[:10], address[11:]))
    said = service.send("", [flipped], dsn(flipped))
    assert said.recipients[flipped].startswith("550 5.1.1")
