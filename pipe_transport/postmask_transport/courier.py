"""Sending the finished copies of one recipient, each exactly once as far as SMTP allows.

The order is the promise: what was sent before is left out; the pending rows, new contacts and the
replay mark are committed; each copy is re-injected; its outcome is recorded; only then does the
caller answer.

DIAGNOSTICS
    Before the first copy is sent a failing spool defers the recipient. After Postfix's 250 a failing
    spool is logged and the recipient is still answered 2xx: a full disk must not become a stream of
    duplicates; the outcome is kept in memory and recorded before anything else is sent. A copy that
    Postfix refuses, for whatever reason, is deferred, never bounced, and its ledger row keeps the
    answer for `postmask status`. When nobody knows whether Postfix took a copy, its row stays pending:
    the next try may send a duplicate; its log line and its ledger row say so, and why.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from postmask.log import line
from postmask.reinjection.submit import Refused, Reinjector, Submitted, Unknown
from postmask.spool import Entry, LedgerRow, LocalContact, Outcome, ReplayMark, Spool, SpoolError
from postmask.verdict import Verdict, defer, deliver
from postmask_transport.incoming import Incoming

_log = logging.getLogger(__name__)

_NOT_SENT = "re-injection refused"
"""Begins the reason of a pending row whose copy Postfix surely doesn't have."""

_AGAIN = "sent again after "


@dataclass(frozen=True, slots=True)
class Copy:
    """One finished message for one envelope recipient.

    hold: through the listener that holds it. again: why Postfix may have it already.
    """

    row: LedgerRow
    sender: str
    recipient: str
    headers: bytes
    body: bytes
    hold: bool = False
    reason: str = ""
    again: str = ""

    @property
    def smtputf8(self) -> bool:
        """An envelope address outside ASCII can't travel without it (RFC 6531)."""
        return not (self.sender.isascii() and self.recipient.isascii())


@dataclass(frozen=True, slots=True)
class Consignment:
    """All copies that one recipient of one message leads to, with what must be known before."""

    copies: Sequence[Copy]
    contacts: Sequence[LocalContact] = ()
    marks: Sequence[ReplayMark] = ()
    event: Entry | None = None


class Courier:
    """Sends consignments. Shared by threads."""

    def __init__(self, spool: Spool, reinject: Reinjector, hold: Reinjector) -> None:
        self._spool = spool
        self._reinject = reinject
        self._hold = hold
        self._late: deque[tuple[LedgerRow, Sequence[Entry]]] = deque()
        self._recording = threading.Lock()

    def send(self, incoming: Incoming, consignment: Consignment) -> Verdict:
        """Send what the ledger lacks.

        Raises SpoolError and ReplayUsedError, both before anything was sent.
        """
        self.record_late()
        todo = list(self._lacking(consignment.copies))
        if not todo:
            return deliver("already sent, according to the ledger")
        rows = [replace(copy.row, reason=copy.again) for copy in todo]
        self._spool.begin(rows, consignment.contacts, consignment.marks)
        failures: list[str] = []
        for copy in todo:
            told = [consignment.event] if consignment.event and copy is todo[-1] and not failures else []
            failures.extend(self._send(incoming, copy, told))
        if failures:
            return defer("4.3.0", "could not be passed on, try again later", "; ".join(failures))
        held = sum(copy.hold for copy in todo)
        return deliver(f"sent={len(todo) - held} held={held} earlier={len(consignment.copies) - len(todo)}")

    def conclude(self, row: LedgerRow, entries: Iterable[Entry]) -> None:
        """Record the outcome of a recipient that nothing is sent for. Raises SpoolError."""
        self.record_late()
        if not self._is_done(row.key):
            self._spool.finish([row], entries)

    def record_late(self) -> None:
        """Record what was sent while the spool could not be written. Raises SpoolError if it still can't."""
        if self._late:
            with self._recording:
                while self._late:
                    row, told = self._late[0]
                    self._spool.finish([row], told)
                    self._late.popleft()

    def _is_done(self, key: bytes) -> bool:
        row = self._spool.row(key)
        return row is not None and row.outcome is not Outcome.PENDING

    def _lacking(self, copies: Iterable[Copy]) -> Iterator[Copy]:
        """The copies that aren't surely sent; one that may have been sent already says why."""
        for copy in copies:
            row = self._spool.row(copy.row.key)
            if row is None:
                yield copy
            elif row.outcome is not Outcome.PENDING:
                continue
            elif row.reason.startswith(_NOT_SENT):
                yield copy
            else:
                note = "its outcome was never learned: may be a duplicate"
                line(_log, logging.WARNING, "resend", queue_id=row.queue_id, key=row.key.hex(), note=note)
                first, _, _ = row.reason.partition(f"; {_NOT_SENT}")
                why = first.removeprefix(_AGAIN) or "the forwarder was ended"
                yield replace(copy, again=f"{_AGAIN}{why}")

    def _send(self, incoming: Incoming, copy: Copy, told: Sequence[Entry]) -> list[str]:
        """Send one copy; return what went wrong. told: what the truth learns with this copy's outcome."""
        submitter = self._hold if copy.hold else self._reinject
        result = submitter.submit(
            copy.sender,
            [copy.recipient],
            b"".join((copy.headers, b"\r\n", copy.body)),
            ident=copy.row.key.hex(),
            smtputf8=copy.smtputf8 or incoming.envelope.smtputf8,
            deadline=incoming.deadline,
        )
        match result:
            case Submitted(queue_id):
                outcome = Outcome.HELD if copy.hold else Outcome.DELIVERED
                reason = "; ".join(filter(None, (copy.reason, copy.again)))
                row = replace(copy.row, outcome=outcome, new_queue_id=queue_id, reason=reason)
                self._finish(row, told)
                return []
            case Refused():
                refusal = f"{_NOT_SENT}: {result.code} {result.status} {result.text}"
                problem = f"{copy.again}; {refusal}" if copy.again else refusal
            case Unknown():
                problem = f"re-injection: {result.reason}"
        self._finish(replace(copy.row, reason=problem), ())
        return [problem]

    def _finish(self, row: LedgerRow, told: Sequence[Entry]) -> None:
        """Record an outcome; after Postfix's 250 nothing may turn it into a deferral any more."""
        try:
            self._spool.finish([row], told)
        except SpoolError as error:
            if row.outcome is not Outcome.PENDING:
                self._late.append((row, told))
            line(
                _log,
                logging.ERROR,
                "ledger",
                key=row.key.hex(),
                new_queue_id=row.new_queue_id,
                error=str(error),
            )
