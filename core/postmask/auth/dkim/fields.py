"""Header fields as DKIM hashes them: raw, in order, split without a copy of the body.

STANDARDS
    RFC 5322 §2.2 (fields and folding), §4.5 (blanks before the colon, as old mailers wrote them).
"""

from __future__ import annotations

import re
from typing import NamedTuple

_FOLDED_END = re.compile(rb"\r\n(?![ \t])")
_END_OF_HEADER = b"\r\n\r\n"


class RawField(NamedTuple):
    """One field. key: its name, lower-case, without the blanks before the colon; name and value: as
    they stand, the value with its folds and final CRLF."""

    key: bytes
    name: bytes
    value: bytes


def split_message(message: bytes) -> tuple[bytes, int]:
    """The header block, CRLF included, and where the body begins (after the blank line)."""
    if message.startswith(b"\r\n"):
        return b"", 2
    end = message.find(_END_OF_HEADER)
    if end < 0:
        return message, len(message)
    return message[: end + 2], end + len(_END_OF_HEADER)


def split_header(block: bytes) -> list[RawField]:
    """The fields of a header block. A line that is no field is left out: nothing can be signed by
    such a name, so no signature covers it."""
    fields = []
    for raw in _FOLDED_END.split(block):
        name, colon, value = raw.partition(b":")
        if colon:
            fields.append(RawField(name.rstrip(b" \t").lower(), name, value + b"\r\n"))
    return fields
