"""Where a Postfix takes mail, and how each listener is talked to."""

from __future__ import annotations

from pathlib import Path

import pytest

from postmask_postfix.attachment import listeners
from postmask_postfix.attachment.plan import Configuration
from postmask_postfix.attachment.site import Site

MASTER = """\
smtp       inet  n - y - - smtpd
smtps      inet  n - y - - smtpd -o smtpd_tls_wrappermode=yes
[::1]:2525 inet  n - y - - smtpd
filtered   unix  - - y - - smtpd
cleanup    unix  n - y - 0 cleanup
"""


def found(**values: str) -> list[listeners.Listener]:
    known = {
        "queue_directory": "/queue",
        "inet_interfaces": "all",
        "inet_protocols": "all",
        "smtpd_tls_wrappermode": "no",
        "smtpd_upstream_proxy_protocol": "",
        "postscreen_upstream_proxy_protocol": "",
        "master_service_disable": "",
    }
    return list(listeners.of(Site(Path("/etc/postfix"), known | values), Configuration("", MASTER)))


def test_how_each_is_reached() -> None:
    assert [(one.host, one.port, one.tls) for one in found()] == [
        ("127.0.0.1", "smtp", False),
        ("127.0.0.1", "smtps", True),
        ("::1", "2525", False),
        ("", "/queue/private/filtered", False),
    ]


@pytest.mark.parametrize(
    ("interfaces", "protocols", "host"),
    [
        ("all", "ipv6", "::1"),
        ("loopback-only", "ipv4", "127.0.0.1"),
        ("192.0.2.1, 127.0.0.1", "all", "192.0.2.1"),
        ("[2001:db8::1]", "ipv6", "2001:db8::1"),
    ],
)
def test_one_that_names_no_address_listens_on_all(interfaces: str, protocols: str, host: str) -> None:
    assert found(inet_interfaces=interfaces, inet_protocols=protocols)[0].host == host


@pytest.mark.parametrize(
    ("disabled", "names"),
    [
        ("smtp/inet", ["smtps/inet", "[::1]:2525/inet", "filtered/unix"]),
        ("inet", ["filtered/unix"]),
        ("!smtp/inet, inet", ["smtp/inet", "filtered/unix"]),
        ("inet, !smtp/inet", ["filtered/unix"]),
    ],
)
def test_what_is_switched_off_is_not_talked_to(disabled: str, names: list[str]) -> None:
    """postconf(5): the first that fits decides, "!" for on."""
    assert [one.name for one in found(master_service_disable=disabled)] == names
