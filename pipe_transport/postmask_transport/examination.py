"""Who sent a message, and whether it is spam: taken from its evidence, else found out here.

Both are asked for when they are first needed, once a message: DNS and the engines at the same time,
within the budget of the spam check, and within half of the time that the message has in all.

DIAGNOSTICS
    None: without an answer the spam note says why, and authentication has its temporary errors. What raises
    is logged, and is None or a note that says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from typing import TypeAlias

from postmask.auth.authenticate import Peer, authenticate
from postmask.auth.dns import Dns
from postmask.auth.questions import REST, Questions
from postmask.authentication import Authentication
from postmask.breaker import Breaker
from postmask.clock import Clock, Deadline
from postmask.fault import fault
from postmask.log import line
from postmask.message.evidence import SpamNote
from postmask.spam.engine import Facts
from postmask.spam.judgement import Scan
from postmask.spam.note import awaited, note_of
from postmask_transport.incoming import Incoming

Scanning: TypeAlias = Callable[[bytes, Facts, Deadline], Scan]

_log = logging.getLogger(__name__)

SHARE = 0.5
"""Of the message's time; the rest is for what is done with the answers."""

_SLACK = 0.5
"""Seconds after the deadline in which a check says why it has found nothing."""


class Examiner:
    """One for the program. Shared by threads."""

    def __init__(
        self,
        dns: Dns,
        clock: Clock,
        *,
        scan: Scanning | None,
        budget: float = 10.0,
        most: int = 50,
        host: str = "",
    ) -> None:
        """scan: asks the engines; None where none is set up. budget: seconds a message. most: messages
        at once. host: this node's name."""
        self._dns = dns
        self._clock = clock
        self._breaker = Breaker(clock, REST)
        self._scan = scan
        self._budget = budget
        self._host = host
        self._checks = ThreadPoolExecutor(most, "spam")

    def examination(self, incoming: Incoming) -> Examination:
        """Of one message; nothing is asked yet."""
        deadline = incoming.deadline
        within = deadline.within(min(self._budget, SHARE * deadline.left()))
        questions = Questions(self._dns, self._breaker, self._clock)
        return Examination(incoming, questions, within, self._clock.now(), self._check(incoming, within))

    def _check(self, incoming: Incoming, within: Deadline) -> Callable[[], Future[SpamNote]] | None:
        """What starts the spam check; None where there is none to start."""
        scan = self._scan
        if scan is None:
            return None
        facts = self._facts(incoming)
        return lambda: self._checks.submit(lambda: note_of(scan(incoming.data, facts, within)))

    def _facts(self, incoming: Incoming) -> Facts:
        client = incoming.envelope.client
        return Facts(
            client=client.address or "",
            client_name=client.name or "",
            helo=client.helo or "",
            login=client.login or "",
            sender=incoming.envelope.sender,
            recipients=incoming.envelope.recipients,
            host=self._host,
            queue_id=incoming.queue_id,
            at=self._clock.now(),
        )


class Examination:
    """What there is to know about one message. For one thread.

    questions: its DNS. deadline: of its questions.
    """

    def __init__(
        self,
        incoming: Incoming,
        questions: Questions,
        deadline: Deadline,
        now: float,
        check: Callable[[], Future[SpamNote]] | None,
    ) -> None:
        """check: starts the spam check."""
        self.questions = questions
        self.deadline = deadline
        self._incoming = incoming
        self._now = now
        self._check = check
        self._noted = incoming.evidence.spam if incoming.evidence else None
        self._said: SpamNote | None = None

    def spam(self, *, insists: bool) -> SpamNote | None:
        """What the spam check says; None where there is none. insists: engines are asked again where the
        evidence says that none had judged."""
        known = self._noted is not None and (self._noted.ratio is not None or not insists)
        self._said = self._noted if known or self._check is None else self._checked
        return self._said

    @cached_property
    def _checked(self) -> SpamNote | None:
        """What the engines said when they were asked from here."""
        if self._checking is None:
            return None
        return awaited(self._checking, self.deadline.left() + _SLACK)

    @cached_property
    def authentication(self) -> Authentication | None:
        """SPF, DKIM and DMARC; None for what was submitted here, which isn't asked for them."""
        if self._incoming.authenticated:
            return None
        evidence = self._incoming.evidence
        if evidence and evidence.authentication:
            return evidence.authentication
        self._begin()
        return self._authenticate()

    def so_far(self) -> Mapping[str, object]:
        """For the log: what was found out until now."""
        found, spam = vars(self).get("authentication"), self._said
        return {
            "dmarc": found and found.dmarc.result.value,
            "engine": (spam and spam.engine) or None,
            "ratio": spam and spam.ratio,
            "unscanned": (spam and spam.unscanned) or None,
        }

    @cached_property
    def _checking(self) -> Future[SpamNote] | None:
        return self._check() if self._check else None

    def _begin(self) -> None:
        """Have the engines at work while DNS is asked."""
        if self._noted is None:
            _ = self._checking

    def _authenticate(self) -> Authentication | None:
        incoming = self._incoming
        client = incoming.envelope.client
        peer = Peer(client.address or "", client.helo or "", incoming.envelope.sender)
        try:
            return authenticate(
                incoming.headers, incoming.body, peer, self.questions, self.deadline, self._now
            )
        except Exception as error:  # noqa: BLE001  the message goes on without it
            line(_log, logging.ERROR, "authentication", queue_id=incoming.queue_id, error=fault(error))
            return None
