"""Refusals of known aliases as events for the truth, by way of the node's spool.

DIAGNOSTICS
    SpoolError, when the spool can't be written: the record is lost, the answer was given long before.
"""

from __future__ import annotations

from postmask.address import AddressError, parse_loose
from postmask.alias.facts import find_alias
from postmask.clock import Clock
from postmask.directory.lookup import Found
from postmask.directory.records import Directory
from postmask.spool import Entry, Spool
from postmask.verdict import Verdict


class SpoolRecorder:
    """A postmask_milter.rcpt.Recorder."""

    def __init__(self, directory: Directory, spool: Spool, clock: Clock) -> None:
        self._directory = directory
        self._spool = spool
        self._clock = clock

    def refused(self, verdict: Verdict, recipient: str, sender: str) -> None:
        """Record it if the recipient is an alias that exists."""
        try:
            found, _ = find_alias(self._directory, parse_loose(recipient))
        except AddressError:
            return
        if not isinstance(found, Found):
            return
        event = Entry.new(
            "event",
            at=self._clock.now(),
            account_id=found.value.account_id,
            alias_id=found.value.id,
            kind="deferred" if verdict.status[0] == "4" else "refused",
            contact=sender or None,
            status=verdict.status,
            reason=verdict.reason,
        )
        self._spool.put([event])
