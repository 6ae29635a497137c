"""What is made of a listener's answers before and after attaching."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from postmask_postfix.attachment.dialogue import FOREIGN, ask, complaints
from postmask_postfix.attachment.listeners import Listener
from scripted_peer import Peer, scripted_peer

LISTENER = Listener("smtp/inet", "127.0.0.1", "25", tls=False, proxied=False, screened=False, gated=True)
OWN = "postmaster@host.test"


def complained(recipient: str, before: str, after: str) -> bool:
    return bool(complaints(LISTENER, {recipient: before}, {recipient: after}, {recipient: False}))


@pytest.mark.parametrize("after", ["250 2.1.5 Ok", "450 4.2.0 greylisted"])
def test_what_was_put_off_may_be_taken(after: str) -> None:
    assert not complained(OWN, "450 4.2.0 greylisted", after)


@pytest.mark.parametrize(
    ("recipient", "before", "after"),
    [
        (OWN, "450 4.2.0 greylisted", "550 5.1.1 unknown"),
        (OWN, "250 2.1.5 Ok", "450 4.2.0 greylisted"),
        (FOREIGN, "454 4.7.1 Relay access denied", "250 2.1.5 Ok"),
    ],
)
def test_all_other_changes_are_told(recipient: str, before: str, after: str) -> None:
    assert complained(recipient, before, after)


def test_as_many_in_a_session_as_there_may_be(tmp_path: Path) -> None:
    """By smtpd_recipient_limit, which counts those that are taken."""

    def one_alone(peer: Peer) -> None:
        peer.open()
        taken = 0
        while (line := peer.read_line()) != b"QUIT":
            if b"unknown" in line:
                peer.say(b"550 5.1.1 unknown\r\n")
            elif taken and line.startswith(b"RCPT"):
                peer.say(b"452 4.5.3 too many\r\n")
            else:
                taken += line.startswith(b"RCPT")
                peer.say(b"250 ok\r\n")

    with scripted_peer(tmp_path / "s", one_alone, one_alone) as server:
        listener = replace(LISTENER, host="", port=str(tmp_path / "s"))
        told = ask(listener, ["unknown@a.test", "one@a.test", "two@a.test", "unknown@b.test"])
        server.finish()
    assert {recipient: answer[:3] for recipient, answer in told.items()} == {
        "unknown@a.test": "550",
        "one@a.test": "250",
        "two@a.test": "250",
        "unknown@b.test": "550",
    }


def test_who_takes_nobody_at_all_is_not_asked_for_ever(tmp_path: Path) -> None:
    def full(peer: Peer) -> None:
        peer.open()
        while (line := peer.read_line()) != b"QUIT":
            peer.say(b"452 4.5.3 too many\r\n" if line.startswith(b"RCPT") else b"250 ok\r\n")

    with scripted_peer(tmp_path / "s", full, full) as server:
        listener = replace(LISTENER, host="", port=str(tmp_path / "s"))
        assert ask(listener, ["one@a.test", "two@a.test"]).keys() == {"one@a.test", "two@a.test"}
        server.finish()
