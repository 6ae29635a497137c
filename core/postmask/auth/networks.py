"""The site's own clients, as its Postfix names them: whose address proves nothing about a sender.

DIAGNOSTICS
    What can't be read as an address or network (a table, a host name) is left out and logged: a client
    in it is taken for foreign, as it is by the gate. Without a readable configuration there is only
    loopback.
"""

from __future__ import annotations

import ipaddress
import logging
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

from postmask.log import line
from postmask.postconf import ask

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_log = logging.getLogger(__name__)
_PARAMETERS = ("mynetworks", "smtpd_authorized_xclient_hosts", "smtpd_authorized_xforward_hosts")


def own_networks(config_dir: Path) -> tuple[Network, ...]:
    """mynetworks, and whom Postfix trusts with XCLIENT or XFORWARD. Asked once, at start."""
    try:
        asked = ask(config_dir, *_PARAMETERS)
    except (OSError, subprocess.SubprocessError) as error:
        line(_log, logging.WARNING, "networks", error=str(error), note="only loopback counts as ours")
        return ()
    words = " ".join(asked).replace(",", " ").split()
    return tuple(network for word in words if (network := _network(word)) is not None)


def is_own(address: str | None, networks: Iterable[Network]) -> bool:
    """Whether a client is the site's own: loopback, in these networks, or without an address."""
    try:
        client = ipaddress.ip_address(address or "")
    except ValueError:
        return True
    return client.is_loopback or any(client in network for network in networks)


def _network(word: str) -> Network | None:
    """One pattern of mynetworks: an address or a network, IPv6 in brackets."""
    plain = word.replace("[", "").replace("]", "")
    try:
        return ipaddress.ip_network(plain, strict=False)
    except ValueError:
        line(_log, logging.WARNING, "networks", skipped=word, note="not an address or a network")
        return None
