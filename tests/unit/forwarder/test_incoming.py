"""Who counts as known, and what as a machine's: of both it depends whether anybody is sent a bounce."""

from __future__ import annotations

import pytest

from postmask.message.headers import split
from postmask_transport.incoming import is_authenticated, is_automatic
from postmask_transport.lmtp import Client, Envelope


def envelope(client: Client, sender: str = "bob@example.com") -> Envelope:
    return Envelope(sender, ("shop@alias.test",), smtputf8=False, body=None, client=client)


@pytest.mark.parametrize(
    ("client", "known"),
    [
        (Client(address="203.0.113.5", port="1", login="me"), True),
        (Client(), True),
        (Client(address="127.0.0.1", port="0"), True),
        (Client(address="127.0.0.1", port=None), True),
        (Client(address="::1", port=""), True),
        (Client(address="127.0.0.1", port="4711"), False),
        (Client(address="203.0.113.5", port="4711"), False),
        (Client(address="203.0.113.5", port="0"), False),
        (Client(address="203.0.113.5", port=None), False),
    ],
)
def test_known_is_who_logged_in_or_wrote_here_without_a_session(client: Client, known: bool) -> None:
    assert is_authenticated(envelope(client)) is known


@pytest.mark.parametrize(
    ("sender", "field", "automatic"),
    [
        ("bob@example.com", "Subject: s", False),
        ("", "Subject: s", True),
        ("bob@example.com", "Auto-Submitted: No", False),
        ("bob@example.com", "Auto-Submitted: auto-generated", True),
        ("bob@example.com", "Precedence: first-class", False),
        ("bob@example.com", "Precedence: Bulk", True),
        ("bob@example.com", "List-Id: <l.example.com>", True),
        ("bob@example.com", "List-Unsubscribe: <https://l.example.com>", True),
    ],
)
def test_what_a_machine_sent(sender: str, field: str, automatic: bool) -> None:
    headers, _ = split(f"From: bob@example.com\r\n{field}\r\n\r\nbody\r\n".encode())
    assert is_automatic(envelope(Client(), sender), headers) is automatic
