"""The forwarder's engine: what becomes of each recipient of a message that Postfix hands over.

The RCPT decision is asked again, since local mail and a dead milter go past it. Then the recipient is
what its local part says: an alias is forwarded to, a reverse alias replied through, a bounce address
takes a bounce home, postmaster and abuse go where the domain says.

After the queue a refusal makes Postfix bounce, hence it is spoken only to a known sender who isn't a
machine; for everybody else the message is put on hold, with a record. So is, for the same reason, what
would be deferred once more when Postfix is about to return it: as the finished copy where there is one,
else as it came.

DIAGNOSTICS
    Each recipient is answered for itself. Whatever is raised becomes "451 4.3.0", is logged with its
    type and its place, and is tried again by Postfix: nothing is lost by an error of ours.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from postmask.address import Address, AddressError, parse_loose
from postmask.alias.facts import Facts, gather
from postmask.alias.rcpt import answer, blocked, of_alias
from postmask.clock import Clock, Deadline, day_of
from postmask.directory.lookup import Found, Gone, UnknownNowError, known
from postmask.directory.records import AliasState, Directory
from postmask.fault import fault
from postmask.keys import Keyring
from postmask.log import line
from postmask.message.forward import author
from postmask.spool import Entry, LedgerRow, Outcome, SpoolError
from postmask.tokens import BounceValid, Postmaster, Reverse
from postmask.verdict import Kind, Verdict, defer, discard, hold, unavailable
from postmask_transport.bounces import Bounces
from postmask_transport.courier import TAKEN_OVER, Consignment, Courier, as_it_came
from postmask_transport.examination import Examination, Examiner
from postmask_transport.forwarding import Forwarding, envelope_sender
from postmask_transport.incoming import Incoming, Reader
from postmask_transport.lmtp import Envelope
from postmask_transport.patience import Patience
from postmask_transport.replying import Replying

_log = logging.getLogger(__name__)


class Engine:
    """Handles messages. Shared by threads; see postmask_transport.lmtp.Handler."""

    def __init__(
        self,
        *,
        directory: Directory,
        keys: Keyring,
        clock: Clock,
        courier: Courier,
        forwarding: Forwarding,
        replying: Replying,
        bounces: Bounces,
        patience: Patience,
        reader: Reader,
        examiner: Examiner,
    ) -> None:
        self._directory = directory
        self._keys = keys
        self._clock = clock
        self._courier = courier
        self._forwarding = forwarding
        self._replying = replying
        self._bounces = bounces
        self._patience = patience
        self._reader = reader
        self._examiner = examiner

    def message(self, envelope: Envelope, data: bytes, deadline: Deadline) -> Sequence[Verdict]:
        """One verdict for each recipient, in their order."""
        incoming = self._reader.read(envelope, data, deadline)
        if not incoming.may_bounce and self._patience.is_ending(incoming.received, envelope.sender):
            incoming = replace(incoming, ending=True)
        examined = self._examiner.examination(incoming)
        return [self._one(incoming, recipient, examined) for recipient in envelope.recipients]

    def _one(self, incoming: Incoming, recipient: str, examined: Examination) -> Verdict:
        start = self._clock.monotonic()
        verdict = self._attempt(partial(self._decide, examined), incoming, recipient)
        if incoming.ending and verdict.kind is Kind.DEFER:
            taken = self._attempt(partial(self._take_over, verdict.reason), incoming, recipient)
            verdict = taken if taken.accepted else verdict
        line(
            _log,
            logging.WARNING if not verdict.accepted or TAKEN_OVER in verdict.reason else logging.INFO,
            "message",
            queue_id=incoming.queue_id,
            recipient=recipient,
            verdict=verdict.kind.value,
            status=verdict.status,
            reason=verdict.reason,
            **examined.so_far(),
            size=len(incoming.data),
            ms=round((self._clock.monotonic() - start) * 1000, 1),
        )
        return verdict

    @staticmethod
    def _attempt(step: Callable[[Incoming, str], Verdict], incoming: Incoming, recipient: str) -> Verdict:
        """Whatever is raised becomes a deferral."""
        try:
            return step(incoming, recipient)
        except (UnknownNowError, SpoolError) as error:
            return unavailable(str(error))
        except Exception as error:  # noqa: BLE001  an unknown exception is a deferral, in every shell
            line(_log, logging.ERROR, "message.failed", queue_id=incoming.queue_id, error=fault(error))
            return unavailable(fault(error))

    def _take_over(self, reason: str, incoming: Incoming, recipient: str) -> Verdict:
        """Hold, as it came, what would be deferred for that reason."""
        address = parse_loose(recipient)
        facts = self._facts(incoming, address)
        why = f"{TAKEN_OVER}: {reason}"
        copy = as_it_came(incoming, self._row(incoming, address, facts), str(address), why)
        verdict = hold(why)
        held = self._courier.take_over(incoming, copy, self._event("held", incoming, facts, verdict))
        return verdict if held.accepted else held

    def _facts(self, incoming: Incoming, address: Address) -> Facts:
        today = day_of(self._clock.now())
        return gather(self._directory, self._keys, today, address, incoming.envelope.sender)

    @staticmethod
    def _row(
        incoming: Incoming,
        address: Address,
        facts: Facts,
        outcome: Outcome = Outcome.PENDING,
        reason: str = "",
    ) -> LedgerRow:
        """Of a recipient as a whole."""
        alias = facts.alias_behind
        return incoming.row(address, outcome, alias_id=alias.id if alias else 0, reason=reason)

    def _decide(self, examined: Examination, incoming: Incoming, recipient: str) -> Verdict:
        try:
            address = parse_loose(recipient)
        except AddressError as error:
            return defer("4.3.0", "not a recipient of this service", f"recipient: {error}")
        facts = self._facts(incoming, address)
        if isinstance(facts.reserved, Reverse) and not isinstance(facts.reverse, Gone):
            return self._replying.handle(incoming, address, facts.reserved.token, examined)
        verdict = answer(facts)
        if verdict is None:
            return defer("4.3.0", "not a recipient of this service", "domain not in the directory")
        if incoming.ending and _lacks_a_mailbox(facts, verdict):
            taken = self._accepted(incoming, address, facts, examined)
            return hold(f"{TAKEN_OVER}: {taken.reason}") if taken.accepted else taken
        if verdict.kind is not Kind.DELIVER:
            return self._unsent(incoming, address, facts, verdict)
        return self._accepted(incoming, address, facts, examined)

    def _unsent(self, incoming: Incoming, address: Address, facts: Facts, verdict: Verdict) -> Verdict:
        """What isn't forwarded is refused, discarded or deferred."""
        if verdict.kind is Kind.REJECT:
            return self._refuse(incoming, address, facts, verdict)
        if verdict.kind is Kind.DISCARD:
            return self._discard(incoming, address, facts, verdict)
        return verdict

    def _accepted(self, incoming: Incoming, address: Address, facts: Facts, examined: Examination) -> Verdict:
        if not isinstance(facts.domain, Found):
            return unavailable("accepted without a domain")
        domain = facts.domain.value
        if isinstance(facts.reserved, BounceValid):
            found = self._bounces.handle(incoming, address, facts.reserved.bounce)
            if isinstance(found, Verdict):
                return found
            incoming = incoming.addressed_to(found.address)
            facts = self._facts(incoming, parse_loose(found.address))
            if rule := known(facts.rule):
                # Whoever looks after what is held need not see it: its owner wants none of it.
                return self._discard(incoming, address, facts, discard(blocked(rule).reason))
        if isinstance(facts.reserved, Postmaster):
            return self._courier.send(incoming, self._forwarding.postmaster(incoming, domain, address))
        if not isinstance(facts.alias, Found):
            return unavailable("accepted without an alias")
        alias = facts.alias.value
        written_first = self._replying.write_first(incoming, address, alias, facts.detail, examined)
        if written_first is not None:
            return written_first
        planned = self._forwarding.plan(incoming, alias, domain, address, examined)
        if isinstance(planned, Verdict):
            return self._unsent(incoming, address, facts, planned)
        return self._courier.send(incoming, planned)

    def _refuse(self, incoming: Incoming, address: Address, facts: Facts, verdict: Verdict) -> Verdict:
        """Refuse to a known sender, else hold the message as it came."""
        if incoming.may_bounce:
            event = self._event("refused", incoming, facts, verdict)
            row = self._row(incoming, address, facts, Outcome.REFUSED, verdict.reason)
            self._courier.conclude(incoming, row, [event] if event else [])
            return verdict
        copy = as_it_came(incoming, self._row(incoming, address, facts), str(address), verdict.reason)
        event = self._event("held", incoming, facts, verdict)
        return self._courier.send(incoming, Consignment([copy], event=event))

    def _discard(self, incoming: Incoming, address: Address, facts: Facts, verdict: Verdict) -> Verdict:
        """Accept, deliver to nobody, record."""
        row = self._row(incoming, address, facts, Outcome.DISCARDED, verdict.reason)
        event = self._event("discarded", incoming, facts, verdict)
        self._courier.conclude(incoming, row, [event] if event else [])
        return discard(verdict.reason)

    def _event(self, kind: str, incoming: Incoming, facts: Facts, verdict: Verdict) -> Entry | None:
        alias = facts.alias_behind
        if alias is None:
            return None
        return Entry.new(
            "event", at=self._clock.now(), account_id=alias.account_id, alias_id=alias.id, kind=kind,
            contact=_contact(incoming, facts), queue_id=incoming.queue_id, status=verdict.status,
            reason=verdict.reason,
        )  # fmt: skip


def _contact(incoming: Incoming, facts: Facts) -> str | None:
    """For whom it is, or who wrote it."""
    if isinstance(facts.reverse, Found):
        return facts.reverse.value.contact
    wrote = author(incoming.headers, envelope_sender(incoming))
    return wrote.address.key if wrote else None


def _lacks_a_mailbox(facts: Facts, verdict: Verdict) -> bool:
    """Whether nothing but the state of an active alias's mailboxes, of which there are some, keeps the mail
    waiting."""
    if not isinstance(facts.alias, Found) or facts.alias.value.state is not AliasState.ACTIVE:
        return False
    if not facts.alias.value.mailboxes:
        return False
    return verdict.kind is Kind.DEFER and verdict == of_alias(facts.alias.value)
