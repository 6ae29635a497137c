"""What nobody foresaw, told for a log, a ledger or an event.

DIAGNOSTICS
    None. The text of an exception is left out: it may name somebody's mailbox.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from types import TracebackType

_PLACES = 6


def fault(error: BaseException) -> str:
    """What was raised and where, innermost first, and from what: "KeyError at deliver.py:40<lmtp.py:210"."""
    cause = f" from {fault(error.__cause__)}" if error.__cause__ else ""
    return f"{type(error).__name__} at {_places(error.__traceback__)}{cause}"


def _places(trace: TracebackType | None) -> str:
    frames = reversed(traceback.extract_tb(trace))
    return "<".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in list(frames)[:_PLACES])
