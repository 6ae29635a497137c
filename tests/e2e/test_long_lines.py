"""Lines over 998 octets are folded before the message is signed: smtp(8) folds nothing any more."""

from __future__ import annotations

from dkim_judges import dkimpy, opendkim
from service import Service


def test_a_signature_over_lines_that_were_too_long(service: Service) -> None:
    owned = service.alias()
    head = f"From: bob@example.com\r\nTo: {owned.alias}\r\nX-Long: {'x' * 1500}\r\n\r\n".encode()
    body = b"y" * 5000 + b"\r\n" + b"z " * 800 + b"\r\n"
    service.send("bob@example.com", [owned.alias], head + body)
    (mail,) = service.await_mail_for(owned.mailbox)
    assert max(map(len, mail.content.split(b"\r\n"))) <= 998
    arrived = mail.content.partition(b"\r\n\r\n")[2]
    assert arrived.replace(b"\r\n ", b"").rstrip() == body.rstrip()
    records = service.dkim_records()
    assert dkimpy(mail.content, records)
    assert opendkim(mail.content, records)
