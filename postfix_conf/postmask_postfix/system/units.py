"""The systemd units, written from the templates in units/.

Between two @ stands what differs from host to host; the same hardening goes into each program's unit.

DIAGNOSTICS
    UnitError: a value can't stand in a unit.

STANDARDS
    systemd.service(5), systemd.socket(5), systemd.exec(5) as of systemd 252.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from types import MappingProxyType

_MARK = re.compile(r"@([a-z_]+)@")
_PLAIN = re.compile(r"[A-Za-z0-9/._+=:@-]*")
_HARDENING = "hardening"


class UnitError(Exception):
    """The settings name something that can't be written into a unit."""

    exit_code = os.EX_CONFIG


def rendered(values: Mapping[str, str], writable: Sequence[str]) -> Mapping[str, str]:
    """All units: name → text. writable: the folders of the programs' data."""
    for value in (*values.values(), *writable):
        if not _PLAIN.fullmatch(value):
            raise UnitError(f"{value!r} can't stand in a systemd unit; letters, digits and /._+=:@- can")
    folder = resources.files("postmask_postfix.system") / "units"
    texts = {entry.name: entry.read_text("utf-8") for entry in folder.iterdir() if entry.is_file()}
    filled = {**values, "data": " ".join(writable), _HARDENING: texts.pop(_HARDENING)}
    return MappingProxyType(
        {name: _MARK.sub(lambda mark: filled[mark[1]], text) for name, text in sorted(texts.items())}
    )
