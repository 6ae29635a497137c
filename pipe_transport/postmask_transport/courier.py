"""Sending the finished copies of one recipient, each exactly once as far as SMTP allows.

The order is the promise: what was sent before is left out; the pending rows, new contacts and the
replay mark are committed; each copy is re-injected; its outcome is recorded; only then does the
caller answer.

DIAGNOSTICS
    Before the first copy is sent a failing spool defers the recipient. After Postfix's 250 a failing
    spool is logged and the recipient is still answered 2xx: a full disk must not become a stream of
    duplicates; the outcome is kept in memory and recorded before anything else is sent, at the latest at the
    end of the program: what can't be recorded then either is said in the log, and stays pending. A copy that
    Postfix refuses, for whatever reason, is deferred, never bounced, and its ledger row keeps the
    answer for `postmask status`. When nobody knows whether Postfix took a copy, its row stays pending:
    the next try may send a duplicate; its log line and its ledger row say so, and why. What Postfix would
    soon return to a sender who may be forged is held instead of deferred. A try of which Postfix doesn't wait
    for the end any more (it was restarted) goes on here: the next one waits for it, and sends what it didn't.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace

from postmask.clock import Deadline
from postmask.log import line
from postmask.reinjection.submit import Refused, Reinjector, Submitted, Unknown
from postmask.spool import (
    Entry,
    LedgerRow,
    LocalContact,
    News,
    Notice,
    Outcome,
    ReplayMark,
    Spool,
    SpoolError,
)
from postmask.verdict import Verdict, defer, deliver, hold
from postmask_transport.incoming import Incoming
from postmask_transport.lmtp_events import Client

_log = logging.getLogger(__name__)

_TO_SEND = 5.0
"""Seconds before the deadline by which the spool must have taken what is begun. A copy sent at the last
moment may be taken without our hearing of it, and then comes twice."""

_NOT_SENT = "re-injection refused"
"""Begins the reason of a pending row whose copy Postfix surely doesn't have."""

_LATER = "could not be passed on, try again later"
_AGAIN = "sent again after "
TAKEN_OVER = "taken over before Postfix returns it"
"""Begins the reason of what is held because it could not be passed on for too long."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One finished message for one envelope recipient.

    hold: through the listener that holds it. again: why Postfix may have it already. client: who is to be
    taken for the one who sent it, should it come here again; None: we.
    """

    row: LedgerRow
    sender: str
    recipient: str
    headers: bytes
    body: bytes
    hold: bool = False
    reason: str = ""
    again: str = ""
    client: Client | None = None

    @property
    def smtputf8(self) -> bool:
        """An envelope address outside ASCII can't travel without it (RFC 6531)."""
        return not (self.sender.isascii() and self.recipient.isascii())


@dataclass(frozen=True, slots=True)
class Consignment:
    """All copies that one recipient of one message leads to, with what must be known before.

    event, notice: what the truth, or a person, is told when the last of them is done.
    """

    copies: Sequence[Copy]
    contacts: Sequence[LocalContact] = ()
    marks: Sequence[ReplayMark] = ()
    event: Entry | None = None
    notice: Notice | None = None

    @property
    def news(self) -> Sequence[News]:
        return [one for one in (self.event, self.notice) if one]


def as_it_came(incoming: Incoming, row: LedgerRow, recipient: str, reason: str) -> Copy:
    """A message that is held unfinished: released, it comes to us again, as from its own client."""
    return Copy(
        row,
        incoming.envelope.sender,
        recipient,
        incoming.headers.to_bytes(),
        incoming.body,
        hold=True,
        reason=reason,
        client=incoming.envelope.client,
    )


def _attributes(client: Client) -> dict[str, str]:
    """A client as XFORWARD tells of it."""
    address = client.address
    told = {
        "ADDR": f"IPV6:{address}" if address and ":" in address else address,
        "NAME": client.name,
        "PORT": client.port,
        "HELO": client.helo,
    }
    return {name: value for name, value in told.items() if value}


def _as_held(news: News) -> News:
    """What is told of a copy that was held instead of sent."""
    return replace(news, payload={**news.payload, "kind": "held"}) if isinstance(news, Entry) else news


class _InHand:
    """Keys of the copies that are being sent: no two tries have the same one. Shared by threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._keys: set[bytes] = set()

    @contextmanager
    def taking(self, keys: Set[bytes], seconds: float) -> Iterator[bool]:
        """Have these keys for as long as the block; False: another try has some, and didn't end in time."""
        with self._changed:
            free = self._changed.wait_for(lambda: self._keys.isdisjoint(keys), seconds)
            if free:
                self._keys |= keys
        try:
            yield free
        finally:
            if free:
                with self._changed:
                    self._keys -= keys
                    self._changed.notify_all()


class Courier:
    """Sends consignments. Shared by threads."""

    def __init__(self, spool: Spool, reinject: Reinjector, hold: Reinjector) -> None:
        self._spool = spool
        self._reinject = reinject
        self._hold = hold
        self._late: deque[tuple[LedgerRow, Sequence[News]]] = deque()
        self._recording = threading.Lock()
        self._in_hand = _InHand()

    def send(self, incoming: Incoming, consignment: Consignment) -> Verdict:
        """Send what the ledger lacks.

        Raises SpoolError and ReplayUsedError, both before anything was sent.
        """
        keys = {copy.row.key for copy in consignment.copies}
        with self._in_hand.taking(keys, incoming.deadline.left()) as free:
            if not free:
                return defer("4.3.0", _LATER, "an earlier try is still under way")
            return self._send_all(incoming, consignment)

    def _send_all(self, incoming: Incoming, consignment: Consignment) -> Verdict:
        in_time = replace(incoming.deadline, at=incoming.deadline.at - _TO_SEND)
        self.record_late(in_time)
        todo = list(self._lacking(consignment.copies))
        if not todo:
            return deliver("already sent, according to the ledger")
        rows = [replace(copy.row, reason=copy.again) for copy in todo]
        self._spool.begin(rows, consignment.contacts, consignment.marks, in_time)
        failures: list[str] = []
        held: list[Copy] = []
        for copy in todo:
            told = consignment.news if copy is todo[-1] and not failures else ()
            sent, problem = self._send_or_hold(incoming, copy, told)
            if problem:
                failures.append(problem)
            elif sent.hold:
                held.append(sent)
        if failures:
            return defer("4.3.0", _LATER, "; ".join(failures))
        if taken := [copy.reason for copy in held if copy.reason.startswith(TAKEN_OVER)]:
            return hold("; ".join(taken))
        earlier = len(consignment.copies) - len(todo)
        return deliver(f"sent={len(todo) - len(held)} held={len(held)} earlier={earlier}")

    def take_over(self, incoming: Incoming, copy: Copy, event: Entry | None) -> Verdict:
        """Hold a message as it came, instead of what was begun for its recipient. Raises SpoolError."""
        verdict = self.send(incoming, Consignment([copy], event=event))
        if verdict.accepted:
            self._spool.forget_begun(copy.row.queue_id, copy.row.recipient, _NOT_SENT)
        return verdict

    def conclude(self, incoming: Incoming, row: LedgerRow, news: Iterable[News]) -> None:
        """Record the outcome of a recipient that nothing is sent for. Raises SpoolError."""
        self.record_late(incoming.deadline)
        self._spool.conclude(row, news, incoming.deadline)

    def record_late(self, deadline: Deadline | None = None) -> None:
        """Record what was sent while the spool could not be written. Raises SpoolError if it still can't."""
        if not self._late:
            return
        if not self._recording.acquire(timeout=deadline.left() if deadline else -1):
            raise SpoolError("what was sent before is still to be recorded")
        try:
            while self._late:
                row, told = self._late[0]
                # What could not be written in time may be there all the same.
                self._spool.conclude(row, told, deadline)
                self._late.popleft()
        finally:
            self._recording.release()

    def close(self) -> None:
        """Record what is still to be recorded, now or never."""
        try:
            self.record_late()
        except SpoolError as error:
            for row, _ in list(self._late):
                line(
                    _log,
                    logging.ERROR,
                    "ledger.lost",
                    queue_id=row.queue_id,
                    key=row.key.hex(),
                    outcome=row.outcome.value,
                    new_queue_id=row.new_queue_id,
                    error=str(error),
                )

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

    def _send_or_hold(self, incoming: Incoming, copy: Copy, told: Sequence[News]) -> tuple[Copy, str]:
        """Send one copy, or hold it where this may be the last attempt; and what went wrong."""
        problem = self._send(incoming, copy, told)
        if not problem or copy.hold or not incoming.ending:
            return copy, problem
        again = copy.again or ("" if problem.startswith(_NOT_SENT) else f"{_AGAIN}{problem}")
        copy = replace(copy, hold=True, reason=f"{TAKEN_OVER}: {problem}", again=again)
        return copy, self._send(incoming, copy, [_as_held(one) for one in told])

    def _send(self, incoming: Incoming, copy: Copy, told: Sequence[News]) -> str:
        """Send one copy; return what went wrong. told: what the truth learns with this copy's outcome."""
        submitter = self._hold if copy.hold else self._reinject
        result = submitter.submit(
            copy.sender,
            [copy.recipient],
            b"".join((copy.headers, b"\r\n", copy.body)),
            ident=copy.row.key.hex(),
            client=_attributes(copy.client) if copy.client else {},
            smtputf8=copy.smtputf8 or incoming.envelope.smtputf8,
            deadline=incoming.deadline,
        )
        match result:
            case Submitted(queue_id):
                outcome = Outcome.HELD if copy.hold else Outcome.DELIVERED
                reason = "; ".join(filter(None, (copy.reason, copy.again)))
                row = replace(copy.row, outcome=outcome, new_queue_id=queue_id, reason=reason)
                self._finish(incoming, row, told)
                return ""
            case Refused():
                refusal = f"{_NOT_SENT}: {result.code} {result.status} {result.text}"
                problem = f"{copy.again}; {refusal}" if copy.again else refusal
            case Unknown():
                problem = f"re-injection: {result.reason}"
        self._finish(incoming, replace(copy.row, reason=problem), ())
        return problem

    def _finish(self, incoming: Incoming, row: LedgerRow, told: Sequence[News]) -> None:
        """Record an outcome; after Postfix's 250 nothing may turn it into a deferral any more."""
        try:
            self._spool.finish([row], told, incoming.deadline)
        except SpoolError as error:
            self._late.append((row, told))
            line(
                _log,
                logging.ERROR,
                "ledger",
                key=row.key.hex(),
                new_queue_id=row.new_queue_id,
                error=str(error),
            )
