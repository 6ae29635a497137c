"""Sends the small messages of ours that wait in the spool: confirmation codes and notices.

Where their From lies in a domain of ours that signs them, and their envelope sender is a bounce address.
How many there may be is the business of who queues them.

DIAGNOSTICS
    What Postfix refuses, or can't take now, or whose domain can't be looked up, is tried again, after
    longer and longer waits, for as long as the spool keeps it. So is what can't be made into a message; it
    keeps no other waiting. While the spool can't be written nothing more is sent: what Postfix took is
    recorded first, and not sent again.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections import deque

from postmask.clock import Clock, Deadline, day_of
from postmask.daemon import begin, lasting
from postmask.directory.lookup import UnknownNowError, known
from postmask.directory.records import Directory
from postmask.fault import fault
from postmask.keys import Keyring
from postmask.log import line
from postmask.message.headers import split
from postmask.message.notice import build
from postmask.reinjection.submit import Reinjector, Submitted
from postmask.spool import NOTICE_WAIT, Notice, Spool, SpoolError
from postmask.tokens import NO_CONTACT, Bounce, BounceKind, bounce_local_part
from postmask_transport.signing import DomainSigner

_log = logging.getLogger(__name__)
_AT_ONCE = 20
_DEADLINE = 20.0
_FIRST_RETRY = 30.0


class NoticeSender:
    """A thread that looks for due notices.

    interval: seconds between rounds.
    """

    def __init__(
        self,
        *,
        spool: Spool,
        reinject: Reinjector,
        keys: Keyring,
        clock: Clock,
        directory: Directory,
        signer: DomainSigner,
        interval: float = 1.0,
    ) -> None:
        self._spool = spool
        self._reinject = reinject
        self._keys = keys
        self._clock = clock
        self._directory = directory
        self._signer = signer
        self._interval = interval
        self._taken: deque[int] = deque()
        self._stop = threading.Event()
        self._thread = lasting("notices", self._run)

    def start(self) -> None:
        begin(self._thread)

    def stop(self) -> None:
        """End after the notice in hand. What isn't recorded then is sent again after the next start."""
        self._stop.set()
        self._thread.join()
        try:
            self._record_taken()
        except SpoolError as error:
            line(_log, logging.ERROR, "notices", error=str(error))

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            try:
                self._round()
            except SpoolError as error:
                line(_log, logging.ERROR, "notices", error=str(error))

    def _round(self) -> None:
        self._record_taken()
        for notice in self._spool.due_notices(_AT_ONCE):
            if self._stop.is_set():
                return
            try:
                self._send(notice)
            except SpoolError:
                raise
            except UnknownNowError as error:
                self._failed(notice, str(error))
            except Exception as error:  # noqa: BLE001  whatever is wrong with one, the others go out
                line(_log, logging.ERROR, "notice", kind=notice.kind, id=notice.id, error=fault(error))
                self._spool.notice_failed(notice.id, NOTICE_WAIT)

    def _send(self, notice: Notice) -> None:
        domain = notice.sender.rpartition("@")[2]
        data = build(
            sender=notice.sender,
            recipient=notice.recipient,
            subject=notice.subject,
            text=notice.text,
            at=self._clock.now(),
            message_id=f"<{uuid.uuid4().hex}@{domain}>",
        )
        ours = known(self._directory.domain(domain)) is not None
        result = self._reinject.submit(
            self._bounce_address(domain) if ours else "",
            [notice.recipient],
            self._signer.sign(domain, *split(data)) + data if ours else data,
            ident=f"notice-{notice.id}",
            smtputf8=not notice.recipient.isascii(),
            deadline=Deadline.after(self._clock, _DEADLINE),
        )
        if not isinstance(result, Submitted):
            return self._failed(notice, str(result))
        self._taken.append(notice.id)
        self._record_taken()
        return self._say(notice, queue_id=result.queue_id)

    def _failed(self, notice: Notice, error: str) -> None:
        self._spool.notice_failed(notice.id, min(NOTICE_WAIT, _FIRST_RETRY * 2**notice.tries))
        self._say(notice, error=error)

    @staticmethod
    def _say(notice: Notice, *, queue_id: str = "", error: str = "") -> None:
        line(
            _log, logging.INFO, "notice", kind=notice.kind, tries=notice.tries + 1,
            queue_id=queue_id, error=error,
        )  # fmt: skip

    def _record_taken(self) -> None:
        """Record what Postfix took. Raises SpoolError, and then it is done later."""
        while self._taken:
            self._spool.notice_sent(self._taken[0])
            self._taken.popleft()

    def _bounce_address(self, domain: str) -> str:
        """At a domain of ours; at another it would be nobody's: a notice from there has the null sender."""
        day = day_of(self._clock.now())
        bounce = Bounce(BounceKind.NOTICE, day, 0, NO_CONTACT, 0)
        return f"{bounce_local_part(self._keys, bounce)}@{domain}"
