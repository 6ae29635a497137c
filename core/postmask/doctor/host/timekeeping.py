"""Whether the kernel's clock is kept right by something, as adjtimex(2) tells it.

DIAGNOSTICS
    None: the kernel doesn't say, for instance since a container may not ask.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

from postmask.doctor.finding import Finding
from postmask.doctor.host import codes

_UNSYNCHRONISED = 0x0040
"""STA_UNSYNC of <sys/timex.h>."""


class _Timex(ctypes.Structure):
    """struct timex as far as its status; the kernel fills in more."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("frequency", ctypes.c_long),
        ("largest_error", ctypes.c_long),
        ("estimated_error", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 512),
    )


def is_kept() -> bool | None:
    """Whether something keeps the clock right. Changes nothing: all modes are off."""
    told = _Timex()
    try:
        failed = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(told)) < 0
    except (OSError, AttributeError):
        return None
    return None if failed else not told.status & _UNSYNCHRONISED


def look(kept: bool | None) -> Iterator[Finding]:
    """What is_kept says, judged."""
    if kept is False:
        yield codes.CLOCK_FREE.at("clock")
