"""The node's own file: ledger, outbox, new contacts, replay marks and notices (SQLite, WAL).

Nothing in a message's way writes anywhere else. The agent takes the outbox to the truth.
"""

from postmask.spool.entries import (
    LEDGER_KEPT,
    NOTICE_WAIT,
    Entry,
    LedgerRow,
    LocalContact,
    News,
    Notice,
    Outcome,
    ReplayMark,
    ReplayUsedError,
    SpoolError,
)
from postmask.spool.file import Spool

__all__ = [
    "LEDGER_KEPT",
    "NOTICE_WAIT",
    "Entry",
    "LedgerRow",
    "LocalContact",
    "News",
    "Notice",
    "Outcome",
    "ReplayMark",
    "ReplayUsedError",
    "Spool",
    "SpoolError",
]
