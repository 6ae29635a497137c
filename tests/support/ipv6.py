"""A host that has IPv6 alone, in a network namespace of its own: it needs none of the machine's IPv6.

    with ipv6_host() as host, host.lab(door="lmtp") as service, host.inside():
        service.send("bob@example.com", [...], content, address="2001:db8::7")

Postfix listens on the host's address, not on loopback, inet_protocols is ipv6, and our milters are asked
about the host's own mail too. Only the way to the lab's sink, which is no part of it, goes by IPv4.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import pytest

from lab import Lab, lab
from nameserver import Nameserver
from network import Network, network
from postmask_postfix.instance import Instance
from service import Service

ADDRESS = "2001:db8:25::25"
_HOST = "host"


@dataclass(frozen=True, slots=True)
class Ipv6Host:
    """wire: of the one host. names: its name server, which listens on ::1."""

    wire: Network
    names: Nameserver

    def inside(self) -> AbstractContextManager[None]:
        """This thread is on the host."""
        return self.wire.inside(_HOST)

    @contextlib.contextmanager
    def lab(self, **options: Any) -> Iterator[Service]:
        """An alias service on the host. Leaves this thread where it is."""
        with self.wire.hosting(_HOST, lab(nameserver=self.names.text, **options)) as running:
            with self.inside():
                become(running)
                service = Service("ipv6", running, self.names)
            yield service


@contextlib.contextmanager
def ipv6_host() -> Iterator[Ipv6Host]:
    """The host, without a service yet."""
    with network(_HOST) as wire:
        wire.add_address(_HOST, f"{ADDRESS}/128")
        with wire.inside(_HOST):
            _demand_ipv6()
            names = Nameserver("::1")
        with contextlib.closing(names):
            yield Ipv6Host(wire, names)


def _demand_ipv6() -> None:
    try:
        with socket.socket(socket.AF_INET6) as place:
            place.bind((ADDRESS, 0))
    except OSError as error:
        pytest.fail(f"this kernel gives a new network namespace no IPv6: {error}", pytrace=False)


def become(running: Lab) -> None:
    """Have a lab's Postfix speak IPv6 alone."""
    instance = Instance(running.directory)
    port = running.described["smtp"].rpartition(":")[2]
    instance.run("stop")
    ours = f"[{ADDRESS}]"
    changes = (
        (
            "inet_protocols=ipv6",
            f"inet_interfaces={ADDRESS}",
            "mynetworks=[::1]",
            f"smtpd_authorized_xclient_hosts={ours}",
            "non_smtpd_milters=$smtpd_milters",
        ),
        ("-MX", f"127.0.0.1:{port}/inet"),
        ("-M", f"{port}/inet={port} inet n - n - - smtpd"),
        ("-P", "smtp/unix/inet_protocols=ipv4", "smtp/unix/inet_interfaces=all"),
    )
    for change in changes:
        running.postconf(*change)
    instance.run("start")
    running.described["smtp"] = f"{ours}:{port}"
