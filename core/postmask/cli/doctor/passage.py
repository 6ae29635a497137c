"""A message on its way through this node: sent, looked for in the queue and the ledger, and cleared away.

DIAGNOSTICS
    What can't be cleared away is a finding (PM614). All else raises.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from email.utils import formatdate
from functools import cached_property

from postmask.address import parse_loose
from postmask.cli.failure import CommandError
from postmask.cli.runtime import Runtime
from postmask.clock import Deadline
from postmask.doctor.finding import Finding
from postmask.doctor.sending import codes
from postmask.doctor.sending.journey import Arrival, Handed, Probe, Step, is_decided, is_stuck
from postmask.maillog.reckoning import Queued
from postmask.spool import LedgerRow, Outcome, Spool
from postmask_postfix import queue
from postmask_postfix.attachment.listeners import Listener
from postmask_postfix.commands import PostfixError
from postmask_postfix.doctor import handing

_REST, _LONGEST_REST = 0.25, 2.0
_SETTLING_SECONDS = 10.0
_OUTBOX_SECONDS = 5.0
_OUTBOX = 10_000
_CLOCK_SLACK = 2.0
_TEXT = """\
From: {author}
To: {recipient}
Subject: A test of the way of the mail
Date: {date}
Message-ID: <{name}>
MIME-Version: 1.0
Content-Type: text/plain; charset=us-ascii

This message was sent by postmask doctor --send on {host},
to see that mail gets through. Nobody needs to answer it.
"""
_NOBODY = "Postmask doctor:;"
"""An empty group (RFC 6854): without an author no contact is made of one."""


def rest(deadline: Deadline, seconds: float = _REST) -> None:
    """For a moment."""
    time.sleep(deadline.at_most(seconds))


class NodePassage:
    """See postmask.doctor.sending.journey.Passage.

    probe: with addresses that nobody else has. end: one likewise, at which the copy is discarded; "" for a
    copy that goes out to a mailbox. deadline: of all waiting.
    """

    def __init__(self, runtime: Runtime, spool: Spool, probe: Probe, end: str, deadline: Deadline) -> None:
        self._runtime = runtime
        self._spool = spool
        self._recipient = probe.recipient
        self._end = end
        self._ours = {address for address in (probe.recipient, probe.guarded, end) if address}
        self._taken: list[str] = []
        self._rest = _REST
        self._deadline = deadline
        self._config_dir = runtime.settings.postfix.config_dir
        self._began = runtime.clock.now() - _CLOCK_SLACK
        self._cleared = False

    @cached_property
    def _door(self) -> Listener | None:
        return handing.front_door(self._config_dir)

    @property
    def examined(self) -> bool:
        """Whether the milters see content; a proxy filter hides it."""
        return self._door is not None and handing.is_examined(self._config_dir, self._door)

    def asked(self, recipient: str) -> Handed:
        """What a recipient is answered."""
        return handing.ask(self._door, recipient) if self._door else _NO_DOOR

    def hand_in(self, recipient: str, author: str = "") -> Handed:
        """A message for it, at the front door."""
        if self._door is None:
            return _NO_DOOR
        host = self._runtime.settings.node.name
        text = _TEXT.format(
            author=author or _NOBODY,
            recipient=recipient,
            date=formatdate(),
            name=f"{secrets.token_hex(8)}@{host}",
            host=host,
        )
        handed = handing.hand_in(self._door, recipient, text)
        if handed.taken:
            self._taken.append(recipient)
        return handed

    def rows(self) -> list[LedgerRow]:
        """Its copies."""
        return self._rows(self._recipient)

    def queued(self) -> Queued | None:
        """It, if it is in the queue."""
        return self._queued(self._recipient)

    def arrival(self, row: LedgerRow) -> Arrival:
        """Where the copy is now."""
        if self._end and any(one.outcome is Outcome.DISCARDED for one in self._rows(self._end)):
            return Arrival(there=True)
        copy = queue.queued(self._config_dir).get(row.new_queue_id)
        if copy is not None:
            return Arrival(trouble=copy.reason or "on hold") if is_stuck(copy) else Arrival()
        return Arrival() if self._end else self._sent(row.new_queue_id)

    def wait(self) -> bool:
        """Rest a moment, a longer one each time; False when the time is up."""
        rest(self._deadline, self._rest)
        self._rest = min(2 * self._rest, _LONGEST_REST)
        return not self._deadline.passed

    def clear(self, alias_ids: Sequence[int]) -> Iterator[Finding]:
        """Leave nothing behind, once. alias_ids: those that were made for it."""
        if self._cleared:
            return
        self._cleared = True
        for what, step in (("queue", self._empty_queue), ("ledger", self._close_rows)):
            try:
                step()
            except Exception as error:  # noqa: BLE001 - whatever it is, the rest is still to be cleared
                yield codes.LEFT_BEHIND.at(what, str(error))
        if alias_ids:
            try:
                self._forget(alias_ids)
            except Exception as error:  # noqa: BLE001 - likewise
                yield codes.LEFT_BEHIND.at("aliases", str(error))

    def _queued(self, recipient: str) -> Queued | None:
        found = queue.queued(self._config_dir).values()
        return next((one for one in found if recipient in one.recipients), None)

    def _rows(self, recipient: str) -> list[LedgerRow]:
        return self._spool.rows_of(parse_loose(recipient).key, self._began)

    def _sent(self, queue_id: str) -> Arrival:
        """What Postfix's log says of a copy that has left the queue."""
        from postmask.cli.postfix_log import open_log
        from postmask.maillog.records import parse
        from postmask.maillog.sources import LogError
        from postmask.maillog.tracking import Tracker

        tracker = Tracker(lambda _attempt: True)
        try:
            for line in open_log(self._runtime, ()).lines(self._began):
                if line.service:
                    tracker.add(line.at, parse(line))
        except (LogError, CommandError, PostfixError):
            return Arrival(unseen=True)
        message = tracker.current.get(queue_id)
        attempts = list(message.last.values()) if message else []
        if failed := [one for one in attempts if one.status != "sent"]:
            return Arrival(trouble=f"{failed[0].status}: {failed[0].text}")
        return Arrival(there=bool(attempts), unseen=not attempts)

    def _empty_queue(self) -> None:
        """Take out what still lies there of it."""
        for recipient in set(self._taken):
            self._settle(recipient)
        copies = {row.new_queue_id for address in self._ours for row in self._rows(address)}
        found = queue.queued(self._config_dir).values()
        queue.delete(
            self._config_dir,
            [
                one.queue_id
                for one in found
                if self._ours.intersection(one.recipients)
                or (one.queue_id in copies and one.arrived >= self._began)
            ],
        )

    def _settle(self, recipient: str) -> None:
        """Until nobody has a message in hand: what is deleted then isn't made anew."""
        until = Deadline.after(self._runtime.clock, _SETTLING_SECONDS)
        while not until.passed and not is_stuck(self._queued(recipient)):
            rows = self._rows(recipient)
            if is_decided(rows) and len(rows) >= self._taken.count(recipient):
                return
            rest(until)

    def _close_rows(self) -> None:
        """What was begun or held ends here, with a record: nobody is to wait for it."""
        for recipient in self._ours:
            for row in self._rows(recipient):
                if row.outcome in (Outcome.PENDING, Outcome.HELD):
                    reason = f"{row.reason}; taken away by postmask doctor"
                    self._spool.finish([replace(row, outcome=Outcome.DISCARDED, reason=reason)])

    def _forget(self, alias_ids: Sequence[int]) -> None:
        """Once the truth has learned what was noted of them, or that is thrown away."""
        from postmask.store.admin import probes

        until = Deadline.after(self._runtime.clock, _OUTBOX_SECONDS)
        while self._noted(alias_ids) and not until.passed:
            rest(until)
        self._spool.sent(self._noted(alias_ids))
        with self._runtime.changing() as session:
            probes.take_away(session, alias_ids)

    def _noted(self, alias_ids: Sequence[int]) -> list[int]:
        """What the truth is to learn of them, by number."""
        return [
            number
            for number, entry in self._spool.outbox(_OUTBOX)
            if entry.payload.get("alias_id") in alias_ids
        ]


_NO_DOOR = Handed(Step.CONNECTED, "no listener is in master.cf")
