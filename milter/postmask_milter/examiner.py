"""What the scan milter does with a message at its end: examine it, refuse it or add the evidence.

SPF, DKIM and DMARC are looked up beside the spam check, both within one deadline. A message is refused
only where every recipient is ours and all refuse it (postmask.alias.content). Every other one goes on
with the sealed evidence, from which the forwarder knows what was seen here.

One canonical log line a message:

    scan queue_id=4Q… spf=pass dkim=1/2 dmarc=pass verdict=accept evidence=yes size=2048 ms=12.3

DIAGNOSTICS
    None. What can't be found out in time is left out of the evidence, and what raises is logged and
    left out likewise: the forwarder finds it out for itself. What is examined too late for an answer is
    not recorded: the message has gone on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from postmask.address import AddressError, parse_loose
from postmask.alias.content import Content, Wishes, agreed, judge
from postmask.alias.facts import Facts, gather
from postmask.alias.sifting import SpamRules, effective, policies_of
from postmask.auth.claims import read_claims
from postmask.auth.forwarders import TrustedForwarders
from postmask.auth.networks import Network, is_own
from postmask.authentication import Authentication
from postmask.clock import Clock, Deadline, day_of
from postmask.directory.lookup import ABSENT, Found, Unavailable
from postmask.directory.records import ContactRule, Directory
from postmask.keys import Keyring
from postmask.log import line
from postmask.message.evidence import Evidence, SpamNote, seal_evidence
from postmask.message.headers import Field
from postmask.spam.note import awaited
from postmask.verdict import Verdict
from postmask_milter.rcpt import Recorder
from postmask_milter.scan import NOTHING, Message, Outcome

T = TypeVar("T")

LOGGER = logging.getLogger(__name__)

Authenticate = Callable[[Message, Deadline, float], Authentication]
"""Of a message, until when, and the time now in seconds since the epoch."""

CheckSpam = Callable[[Message, Deadline], SpamNote]


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found out about a message in that many seconds, None where it couldn't be; what follows."""

    found: Authentication | None
    note: SpamNote | None
    outcome: Outcome
    seconds: float


class Examiner:
    """Shared by threads.

    check_spam: None where no engine is set up. own_networks: clients of the site's own. trusted: who may
    break DMARC. rules: what counts of spam where nothing narrower is set. most: so many spam checks at once.
    """

    def __init__(
        self,
        *,
        directory: Directory,
        keys: Keyring,
        clock: Clock,
        authenticate: Authenticate,
        check_spam: CheckSpam | None,
        recorder: Recorder,
        own_networks: Sequence[Network],
        trusted: TrustedForwarders,
        rules: SpamRules,
        most: int,
    ) -> None:
        self._directory = directory
        self._keys = keys
        self._clock = clock
        self._authenticate = authenticate
        self._check_spam = check_spam
        self._recorder = recorder
        self._own_networks = own_networks
        self._trusted = trusted
        self._rules = rules
        self._checks = ThreadPoolExecutor(most, "spam")

    def all_ours(self, recipients: Sequence[str]) -> bool:
        """Whether the recipients are in domains of ours, all of them; False where nobody can say."""
        try:
            domains = {parse_loose(recipient).domain for recipient in recipients}
        except AddressError:
            return False
        return bool(domains) and all(isinstance(self._directory.domain(name), Found) for name in domains)

    def examine(self, message: Message, deadline: Deadline) -> Examined:
        """A message whose recipients are all ours. Never raises."""
        began, now = self._clock.monotonic(), self._clock.now()
        check = self._checks.submit(self._check_spam, message, deadline) if self._check_spam else None
        found = _tried("authentication", lambda: self._authenticate(message, deadline, now))
        note = awaited(check, deadline.left()) if check else None
        refusal = _tried("the verdict", lambda: self._refusal(message, found, note, now)) if found else None
        field = None if refusal else _tried("evidence", lambda: self._seal(message, found, note, now))
        return Examined(found, note, Outcome(field, refusal), self._clock.monotonic() - began)

    def answer(self, message: Message, examined: Examined | None) -> Outcome:
        """What a message is answered; recorded and logged. examined: None where that came too late."""
        outcome = examined.outcome if examined else NOTHING
        if outcome.refusal:
            for recipient in message.recipients:
                self._recorder.refused(outcome.refusal, recipient, message.sender, message.queue_id)
        self._log(message, examined, outcome)
        return outcome

    def _refusal(
        self, message: Message, found: Authentication, note: SpamNote | None, now: float
    ) -> Verdict | None:
        content = Content(
            claims=read_claims(message.headers),
            authentication=found,
            login=message.login or None,
            own=is_own(message.client.address, self._own_networks),
            trusted=self._trusted.may_have_brought(message.client.address, found),
            spam=note,
            now=now,
        )
        return agreed(self._verdicts(message, content))

    def _verdicts(self, message: Message, content: Content) -> Iterator[Verdict]:
        author = content.claims.author.key if content.claims.author else ""
        today = day_of(content.now)
        for recipient in message.recipients:
            address = parse_loose(recipient)
            facts = gather(self._directory, self._keys, today, address, author)
            yield judge(content, address, facts, self._wishes(content, facts, author))

    def _wishes(self, content: Content, facts: Facts, author: str) -> Wishes | None:
        """Asked for where they can make a difference."""
        alias = facts.alias_behind
        if alias is None or not content.spam:
            return None
        policies = policies_of(self._directory, alias)
        contact = self._directory.contact(alias.id, author) if author else ABSENT
        if isinstance(policies, Unavailable) or isinstance(contact, Unavailable):
            return None
        allowed = isinstance(contact, Found) and contact.value.rule is ContactRule.ALLOW
        return Wishes(effective(self._rules, policies), allowed)

    def _seal(
        self, message: Message, found: Authentication | None, note: SpamNote | None, now: float
    ) -> Field | None:
        evidence = Evidence(
            at=int(now),
            recipients=message.recipients,
            sender=message.sender,
            client=message.client.address,
            client_name=message.client.name,
            helo=message.client.helo,
            login=message.login,
            smtputf8=message.smtputf8,
            body=message.body_type,
            spam=note,
            authentication=found,
        )
        return seal_evidence(self._keys, evidence, message.headers, message.body)

    @staticmethod
    def _log(message: Message, examined: Examined | None, outcome: Outcome) -> None:
        found, note = (examined.found, examined.note) if examined else (None, None)
        refusal = outcome.refusal
        line(
            LOGGER,
            logging.INFO,
            "scan",
            queue_id=message.queue_id or None,
            spf=found and found.spf.result.value,
            dkim=found and f"{sum(one.passed for one in found.dkim)}/{len(found.dkim)}",
            dmarc=found and found.dmarc.result.value,
            engine=(note and note.engine) or None,
            ratio=note.ratio if note else None,
            unscanned=(note and note.unscanned) or None,
            verdict=refusal.kind.value if refusal else "accept",
            status=refusal and refusal.status,
            reason=refusal.reason if refusal else None if examined else "not examined in time",
            evidence="yes" if outcome.field else "no",
            size=len(message.body),
            ms=examined and round(1000 * examined.seconds, 1),
        )


def _tried(what: str, step: Callable[[], T]) -> T | None:
    """What the step returns; None, and a word in the log, if it raises."""
    try:
        return step()
    except Exception:  # the message goes on without it
        LOGGER.exception("%s could not be made", what)
        return None
