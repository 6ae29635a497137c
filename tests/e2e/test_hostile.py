"""Messages that no mail client writes: each is delivered sensibly, refused, or held; nothing is lost."""

from __future__ import annotations

import email
import email.policy
import smtplib

import pytest

from dkim_judges import dkimpy
from service import Owned, Service

HEAD = b"From: Bob <bob@example.com>\r\nTo: %(to)s\r\nSubject: s\r\n"

MESSAGES = {
    "no header at all": b"\r\njust text\r\n",
    "nothing at all": b"",
    "a body without a blank line": b"this is no header field\r\nand this neither\r\n",
    "a huge header field": HEAD + b"X-Long: " + b"x" * 90_000 + b"\r\n\r\nbody\r\n",
    "a huge folded field": HEAD + b"X-Long:" + b"\r\n ".join([b"y" * 70] * 1200) + b"\r\n\r\nbody\r\n",
    "10,000 fields": HEAD + b"".join(b"X-%d: v\r\n" % n for n in range(10_000)) + b"\r\nbody\r\n",
    "several From fields": b"From: a@example.com\r\nFrom: b@example.com\r\nTo: %(to)s\r\n\r\nbody\r\n",
    "From without an address": b"From: Nobody in particular\r\nTo: %(to)s\r\n\r\nbody\r\n",
    "an empty From": b"From:\r\nTo: %(to)s\r\n\r\nbody\r\n",
    "group syntax": (
        b"From: Friends: a@example.com, b@example.com;\r\nTo: undisclosed-recipients:;\r\n\r\nbody\r\n"
    ),
    "From with a thousand brackets": b"From: "
    + b"<" * 1000
    + b"a@example.com"
    + b">" * 1000
    + b"\r\n\r\nx\r\n",
    "5,000 addresses": HEAD.replace(
        b"Subject", b"Cc: " + b",\r\n ".join(b"u%d@example.org" % n for n in range(5000)) + b"\r\nSubject"
    )
    + b"\r\nbody\r\n",
    "encoded words of every kind": (
        b"From: =?utf-8?q?B=C3=B6b?= =?iso-8859-1?b?/A==?= <bob@example.com>\r\nTo: %(to)s\r\n"
        b"Subject: =?utf-8?b?4pyTIGE=?= =?nonsense?q?x?= =?utf-8?q?=0D=0ABcc:_x@example.org?="
        b" =?utf-8?z?x?=\r\n"
        b"\r\nbody\r\n"
    ),
    "a display name that breaks lines": (
        b"From: =?utf-8?q?x=0D=0AX-Evil:_1?= <bob@example.com>\r\nTo: %(to)s\r\n\r\nbody\r\n"
    ),
    "raw 8-bit in the header": "From: Böb <bob@example.com>\r\nSubject: naïve\r\n".encode()
    + b"X: \xff\xfe\r\n\r\nbody\r\n",
    "control characters in the header": HEAD + b"X-Ctl: a\x01\x02\x1b[31m\x7f\r\n\r\nbody\r\n",
    "wrong MIME": HEAD + b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed\r\n\r\n--x\r\n\r\nbody\r\n",
    "MIME nested too deep": HEAD
    + b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b0\r\n\r\n"
    + b"".join(
        b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (n, n + 1) for n in range(200)
    ),
    "our own field forged": HEAD + b"X-Postmask-Trace: AAAA\r\nX-Postmask-Evidence: pass\r\n\r\nbody\r\n",
    "fields without names": HEAD + b": value\r\n:\r\n\r\nbody\r\n",
    "a Message-ID of 900 octets": HEAD + b"Message-ID: <" + b"m" * 900 + b"@example.com>\r\n\r\nbody\r\n",
    "References without end": HEAD
    + b"References: "
    + b"\r\n ".join(b"<r%d@example.com>" % n for n in range(3000))
    + b"\r\n\r\nbody\r\n",
}

BARE = {
    "bare CR in the header": HEAD + b"X-Bare: a\rb\r\n\r\nbody\r\n",
    "bare LF line ends": HEAD.replace(b"\r\n", b"\n") + b"\nbody\n",
    "NUL in header and body": HEAD + b"X-Nul: a\0b\r\n\r\nbo\0dy\r\n",
    "bare CR in the body": HEAD + b"\r\none\rtwo\r\n",
}
"""What smtplib would mend before it is sent: spoken to smtpd directly."""


@pytest.mark.parametrize("name", MESSAGES)
def test_it_is_delivered_sensibly(service: Service, name: str) -> None:
    owned = service.alias()
    content = MESSAGES[name].replace(b"%(to)s", owned.alias.encode())
    said = service.send("bob@example.com", [owned.alias], content)
    check(service, owned, said.queue_id)


@pytest.mark.parametrize("name", BARE)
def test_bare_line_ends_and_nul(service: Service, name: str) -> None:
    owned = service.alias()
    content = BARE[name].replace(b"%(to)s", owned.alias.encode())
    with service.lab.client() as session:
        session.mail("bob@example.com")
        session.rcpt(owned.alias)
        session.docmd("DATA")
        session.send(content + b"\r\n.\r\n")
        code, text = session.getreply()
    assert code == 250, text
    check(service, owned, text.decode().rpartition(" ")[2])


def test_a_header_beyond_what_postfix_lets_through(service: Service) -> None:
    """Postfix itself takes what exceeds header_size_limit for body, or cuts it: it arrives all the same."""
    owned = service.alias()
    content = HEAD % {b"to": owned.alias.encode()} + b"X-Long: " + b"x " * 150_000 + b"\r\n\r\nbody\r\n"
    try:
        said = service.send("bob@example.com", [owned.alias], content)
    except smtplib.SMTPException as error:
        raise AssertionError(f"Postfix refused it: {error}") from error
    check(service, owned, said.queue_id)


def check(service: Service, owned: Owned, queue_id: str) -> None:
    """It came to the mailbox, once, masked and signed; no program stumbled."""
    service.await_done(queue_id)
    (mail,) = service.await_mail_for(owned.mailbox)
    assert dkimpy(mail.content, service.dkim_records())
    head = mail.content.partition(b"\r\n\r\n")[0]
    assert b"\0" not in head
    assert max(map(len, head.split(b"\r\n"))) <= 998
    assert b"\nX-Evil" not in head
    assert b"\nBcc" not in head
    message = email.message_from_bytes(mail.content, policy=email.policy.compat32)
    froms = message.get_all("From", [])
    assert len(froms) == 1
    assert str(froms[0]).rstrip(">\r\n").endswith("@alias.test")
    for word in ("Traceback", "error="):
        lines = [line for line in service.lab.program_log("forwarder").splitlines() if queue_id in line]
        assert not any(word in line for line in lines), lines
