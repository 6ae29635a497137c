"""Whose address proves nothing: the site's own clients, as its Postfix names them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from postmask.auth import networks
from postmask.auth.networks import is_own, own_networks

ANSWERS = {
    "mynetworks": "127.0.0.0/8 [::1]/128, 192.0.2.0/24 [2001:db8:1::]/48",
    "smtpd_authorized_xclient_hosts": "198.51.100.7",
    "smtpd_authorized_xforward_hosts": "hash:/etc/postfix/table filter.example 203.0.113.9/30",
}


@pytest.mark.parametrize(
    ("client", "own"),
    [
        ("192.0.2.9", True),
        ("198.51.100.7", True),
        ("203.0.113.10", True),
        ("2001:db8:1::25", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("", True),
        (None, True),
        ("198.51.100.8", False),
        ("203.0.113.12", False),
        ("2001:db8:2::25", False),
    ],
)
def test_they_are_named_by_address_or_network(
    client: str | None, own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "ask", lambda _, *names: [ANSWERS[name] for name in names])
    assert is_own(client, own_networks(Path("/etc/postfix"))) is own


@pytest.mark.parametrize("error", [OSError("no postconf"), subprocess.CalledProcessError(1, "postconf")])
def test_without_a_readable_configuration_there_is_loopback(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*_: object) -> list[str]:
        raise error

    monkeypatch.setattr(networks, "ask", ask)
    found = own_networks(Path("/etc/postfix"))
    assert [is_own(client, found) for client in ("::1", "127.9.9.9", "192.0.2.9")] == [True, True, False]
