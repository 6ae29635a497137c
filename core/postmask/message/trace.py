"""The trace: what the forwarder notes in a message for the day it comes back in a DSN.

It is sealed, so that the mailbox's provider reads nothing in it and nobody can make one. Its value
stands in the field X-Postmask-Trace, in pieces that can be folded.

DIAGNOSTICS
    open_trace answers None for whatever we didn't seal.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import astuple, dataclass

from postmask.keys import Keyring, Purpose

FIELD = "X-Postmask-Trace"

_PIECE = 60
_LONGEST = 4096


@dataclass(frozen=True, slots=True)
class Trace:
    """How a message came.

    queue_id:      of the message as it was received.
    sender:        its envelope sender, "" for the null sender.
    authenticated: whether it came by a login, or was submitted on this host: only then is that sender told of
                   a bounce.
    at:            seconds since the epoch.
    alias_id:      the alias it was for.
    """

    queue_id: str
    sender: str
    authenticated: bool
    at: int
    alias_id: int


def seal_trace(keys: Keyring, trace: Trace) -> bytes:
    """The field's value: base64 with blanks in it."""
    plain = json.dumps(astuple(trace), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    text = base64.b64encode(keys.seal(Purpose.TRACE, plain))
    return b" ".join(text[start : start + _PIECE] for start in range(0, len(text), _PIECE))


def open_trace(keys: Keyring, value: bytes) -> Trace | None:
    """The trace in a field's value, however that was folded on its way."""
    if len(value) > _LONGEST:
        return None
    try:
        plain = keys.open(Purpose.TRACE, base64.b64decode(b"".join(value.split()), validate=True))
    except binascii.Error:
        return None
    return None if plain is None else Trace(*json.loads(plain))
