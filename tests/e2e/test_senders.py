"""Envelope senders that a shell, a parser or a pipe could stumble over come through harmless and exact."""

from __future__ import annotations

from pathlib import Path

import pytest

from postmask.keys import load
from postmask.message.headers import split
from postmask.message.trace import open_trace
from service import Service

PLAIN = b"From: Bob <bob@example.com>\r\nTo: %s\r\nSubject: Hello\r\n\r\nHi.\r\n"

SENDERS = [
    '"$(touch pwned)"@example.com',
    '"`touch pwned`"@example.com',
    '"$(id)"@example.com',
    '"with space"@example.com',
    '"quo\\"te"@example.com',
    '";rm -rf x;"@example.com',
    '"semi;colon"@example.com',
    "minus-@example.com",
    "a=b%20c!d#e&f'g*h+i/j?k^l_m{n|o}p~q@example.com",
    '"sender=x recipient=y"@example.com',
    '"back\\\\slash"@example.com',
    "grüße@example.com",
    "用户@例子.example",
    "l" * 64 + "@" + "d" * 60 + "." + "e" * 60 + "." + "f" * 60 + ".example",
    "",
]


@pytest.mark.parametrize("sender", SENDERS)
def test_the_sender_arrives_exactly(service: Service, sender: str) -> None:
    owned = service.alias()
    options = [] if sender.isascii() else ["SMTPUTF8"]
    said = service.send(sender, [owned.alias], PLAIN % owned.alias.encode(), options=options)
    assert said.recipients[owned.alias].startswith("250"), said
    (mail,) = service.await_mail_for(owned.mailbox)
    keys = load(service.lab.directory / "keys")
    field = split(mail.content)[0].get("x-postmask-trace")
    assert field is not None
    trace = open_trace(keys, field.value)
    assert trace is not None
    assert unquoted(trace.sender) == unquoted(sender)
    assert not list(Path(service.lab.described["queue"]).rglob("pwned"))
    assert not Path("pwned").exists()


def unquoted(address: str) -> str:
    """The address without what quoting it needs: smtpd hands on the unquoted form."""
    local, _, domain = address.rpartition("@")
    if local.startswith('"'):
        local = local[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return f"{local}@{domain.encode('idna').decode() if not domain.isascii() else domain}"
