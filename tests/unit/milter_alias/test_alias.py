"""One session as the milter sees it."""

import pytest

from postmask.verdict import Verdict, deliver
from postmask_milter.alias import Session, is_emulated, without_brackets


@pytest.mark.parametrize(
    ("host", "address", "emulated"),
    [
        ("localhost", ("127.0.0.1", 0), True),
        ("localhost", ("127.0.0.1", 40_000), False),
        ("localhost", ("192.0.2.1", 0), False),
        ("mail.example", ("127.0.0.1", 0), False),
        ("localhost", ("::1", 0, 0, 0), True),
        ("localhost", ("::1", 40_000, 0, 0), False),
        ("localhost", "127.0.0.1", False),
        ("localhost", None, False),
    ],
)
def test_only_localhost_without_a_port_is_emulated(host: str, address: object, emulated: bool) -> None:
    assert is_emulated(host, address) is emulated


def test_each_recipient_is_asked_with_the_sender_of_its_message() -> None:
    asked: list[tuple[str, str, str, str]] = []

    def answer(recipient: str, sender: str, client: str, queue_id: str) -> Verdict:
        asked.append((recipient, sender, client, queue_id))
        return deliver()

    session = Session(answer)
    session.connect(("192.0.2.7", 4711))
    session.mail("<bob@example.com>")
    session.rcpt("<a@alias.example>", "")
    session.rcpt("<b@alias.example>", "4Q")
    session.mail("<>")
    session.rcpt("<c@alias.example>", "")
    assert asked == [
        ("a@alias.example", "bob@example.com", "192.0.2.7", ""),
        ("b@alias.example", "bob@example.com", "192.0.2.7", "4Q"),
        ("c@alias.example", "", "192.0.2.7", ""),
    ]


@pytest.mark.parametrize(
    ("path", "address"),
    [("<a@b>", "a@b"), ("<>", ""), ("a@b", "a@b"), ("", ""), ('<"<x>"@b>', '"<x>"@b'), ("<", "<")],
)
def test_paths_lose_their_brackets(path: str, address: str) -> None:
    assert without_brackets(path) == address


@pytest.mark.parametrize("path", ["<@a.example:b@c>", "<@a.example,@x.example:b@c>", "@a.example:b@c"])
def test_a_source_route_is_left_out(path: str) -> None:
    assert without_brackets(path) == "b@c"
