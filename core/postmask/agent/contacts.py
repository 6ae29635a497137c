"""Contacts that the truth has forgotten, told to it anew; and those that this node is to forget.

A restore brings back what was there when the copy was made. The nodes have met contacts since, and told of
them: those reverse aliases are out in the world, and must stay good on every node. So when the truth is
another one, what it lacks of this node's contacts goes into the outbox again.

For the same reason that an alias isn't there says nothing of its contacts: the truth may be an older one.
They are forgotten when it says that the alias was purged, and not at once: a restore may have to undo that.

DIAGNOSTICS
    StoreError: the truth can't be asked now. SpoolError: likewise the spool. The next call goes on there;
    telling twice changes nothing.
"""

from __future__ import annotations

import logging

from sqlalchemy import Engine

from postmask.clock import Clock
from postmask.log import line
from postmask.spool import LEDGER_KEPT, Spool
from postmask.store import intake
from postmask.store.incarnation import incarnation
from postmask.store.session import transaction

_log = logging.getLogger(__name__)

_PIECE = 200
_ALIASES = 500
"""Looked at in a round of the agent's."""


class Reminder:
    """Of one spool and one truth."""

    def __init__(self, spool: Spool, engine: Engine, clock: Clock) -> None:
        self._spool = spool
        self._engine = engine
        self._clock = clock

    def look(self) -> None:
        """Tell it what it lacks, if it is another one than before."""
        with transaction(self._engine, read_only=True) as session:
            truth = incarnation(session.connection())
        if truth == self._spool.told_truth():
            return
        count = self._tell()
        if count:
            line(_log, logging.WARNING, "contacts.told-anew", count=count, truth=truth)
        self._spool.set_told_truth(truth)

    def _tell(self) -> int:
        """How many it lacked."""
        count, last = 0, ""
        while contacts := self._spool.contacts(last, _PIECE):
            last = contacts[-1].token
            with transaction(self._engine, read_only=True) as session:
                lacked = intake.unknown(session.connection(), contacts)
            self._spool.put(contact.entry(self._clock.now()) for contact in lacked)
            count += len(lacked)
        return count


class Forgetting:
    """Of one spool, by the word of one truth."""

    def __init__(self, spool: Spool, engine: Engine, clock: Clock) -> None:
        self._spool = spool
        self._engine = engine
        self._clock = clock
        self._last = 0

    def look(self) -> bool:
        """Look at some of the aliases; whether there may be more to be done."""
        some = self._spool.contact_aliases(self._last, _ALIASES)
        if not some:
            self._last = 0
            return False
        with transaction(self._engine, read_only=True) as session:
            gone = intake.purged(session.connection(), some, self._clock.now() - LEDGER_KEPT)
        left = [self._spool.forget_contacts(alias_id) for alias_id in gone]
        if gone:
            line(_log, logging.INFO, "contacts.forgot", aliases=len(gone))
        if not any(left):
            self._last = some[-1]
        return True
