"""Takes the outbox to the truth: in order, in batches, each entry's effect exactly once.

Entries carry ids that make applying them twice harmless, so the order is: apply and commit in the
truth, then forget in the spool. A crash in between applies a batch again, without effect.

DIAGNOSTICS
    StoreError: the truth can't be written now; the entries stay, and the caller tries again.
    SpoolError: likewise for the spool. An entry that the truth can never take (its alias was purged,
    say) is set aside with the reason, so that it blocks nothing; `postmask status` counts those.
"""

from __future__ import annotations

import logging

from sqlalchemy import Engine

from postmask.log import line
from postmask.spool import Spool
from postmask.store import intake
from postmask.store.session import transaction

_log = logging.getLogger(__name__)

BATCH = 200


class OutboxCarrier:
    """Carries entries from the spool to the truth. node: this node's name."""

    def __init__(self, spool: Spool, engine: Engine, node: str) -> None:
        self._spool = spool
        self._engine = engine
        self._node = node

    def carry(self) -> bool:
        """Carry one batch; whether it was a full one. Raises StoreError and SpoolError."""
        batch = self._spool.outbox(BATCH)
        if not batch:
            return False
        with transaction(self._engine) as session:
            left_out = intake.apply(session.connection(), self._node, [entry for _, entry in batch])
        reasons = {one.entry.id: one.reason for one in left_out}
        for number, entry in batch:
            if entry.id in reasons:
                line(
                    _log,
                    logging.ERROR,
                    "outbox.refused",
                    kind=entry.kind,
                    id=entry.id,
                    reason=reasons[entry.id],
                )
                self._spool.set_aside(number, reasons[entry.id])
        self._spool.sent([number for number, entry in batch if entry.id not in reasons])
        return len(batch) == BATCH
