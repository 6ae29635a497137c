"""The host's own addresses on the way out. No packet is sent.

DIAGNOSTICS
    None, False: there is no such way, the host has no such address.
"""

from __future__ import annotations

import contextlib
import errno
import socket

_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_FAR = {4: "198.41.0.4", 6: "2001:503:ba3e::2:30"}
"""A root name server's: somewhere out there."""
_DISCARD = 9


def source(version: int) -> str | None:
    """The address from which the host would send to the world, by IP version."""
    with contextlib.suppress(OSError), socket.socket(_FAMILIES[version], socket.SOCK_DGRAM) as way:
        way.connect((_FAR[version], _DISCARD))
        return str(way.getsockname()[0])
    return None


def has(address: str) -> bool:
    """Whether it is an address of this host's."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as place:
            place.bind((address, 0))
    except OSError as error:
        return error.errno != errno.EADDRNOTAVAIL
    return True
