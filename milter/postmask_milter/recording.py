"""Refusals of known aliases as events for the truth, by way of the node's spool.

DIAGNOSTICS
    SpoolError, when the spool can't be written: the record is lost, the answer was given long before.
"""

from __future__ import annotations

from postmask.address import AddressError, parse_loose
from postmask.alias.facts import gather
from postmask.clock import Clock, day_of
from postmask.directory.lookup import Found
from postmask.directory.records import Directory
from postmask.keys import Keyring
from postmask.spool import Entry, Spool
from postmask.verdict import Verdict


class SpoolRecorder:
    """A postmask_milter.rcpt.Recorder."""

    def __init__(self, directory: Directory, keys: Keyring, spool: Spool, clock: Clock) -> None:
        self._directory = directory
        self._keys = keys
        self._spool = spool
        self._clock = clock

    def refused(self, verdict: Verdict, recipient: str, sender: str, queue_id: str) -> None:
        """Record it if the recipient is an alias that exists, or a reverse alias of one."""
        try:
            address = parse_loose(recipient)
        except AddressError:
            return
        facts = gather(self._directory, self._keys, day_of(self._clock.now()), address, "")
        alias = facts.alias_behind
        if alias is None:
            return
        contact = facts.reverse.value.contact if isinstance(facts.reverse, Found) else sender or None
        event = Entry.new(
            "event",
            at=self._clock.now(),
            account_id=alias.account_id,
            alias_id=alias.id,
            kind="deferred" if verdict.status[0] == "4" else "refused",
            contact=contact,
            status=verdict.status,
            reason=verdict.reason,
            queue_id=queue_id or None,
        )
        self._spool.put([event])
