"""Mail to an alias: the finished copies for the mailboxes behind it.

One rewritten, signed message serves all mailboxes of an alias; only the envelope differs, since each
bounce address names its mailbox. The copy of a mailbox that is paused or unconfirmed is held, and so is
what would be refused, if it could still be.

DIAGNOSTICS
    plan() raises UnknownNowError and SpoolError, both of which defer. A message that carries our own
    trace for the same alias has been round once already and is held as a loop.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from postmask.address import Address, AddressError, parse_loose
from postmask.alias.facts import find_alias
from postmask.authentication import Authentication, Dmarc
from postmask.clock import DAY, Clock, day_of
from postmask.directory.lookup import Found, known
from postmask.directory.records import Alias, Directory, Domain, Mailbox, MailboxState, ReverseAlias
from postmask.holding import LOOP
from postmask.keys import Keyring
from postmask.message import authres
from postmask.message import forward as rewriting
from postmask.message.evidence import SpamNote
from postmask.message.headers import Field, fold
from postmask.message.lines import fold_long
from postmask.message.mailboxes import NamedAddress
from postmask.message.msgid import Direction, carry, wrap
from postmask.message.spamfield import spam_field
from postmask.message.trace import FIELD, Trace, open_trace, seal_trace
from postmask.spool import Entry, Notice, Spool
from postmask.tokens import (
    NO_CONTACT,
    Bounce,
    BounceKind,
    BounceValid,
    Reverse,
    bounce_local_part,
    contact_of,
    read,
)
from postmask.verdict import Kind, Verdict, deliver, discard, hold
from postmask_transport.authors import Authors
from postmask_transport.contacts import ContactBook
from postmask_transport.courier import Consignment, Copy
from postmask_transport.examination import Examination
from postmask_transport.incoming import Incoming
from postmask_transport.rules import RuleBook
from postmask_transport.signing import DomainSigner

_MOST_ASKED = 500
"""Addresses of one message of which the directory is asked whether they are the owner's own."""

_HARDNESS = (Kind.DELIVER, Kind.DEFER, Kind.HOLD, Kind.REJECT, Kind.DISCARD)


@dataclass(frozen=True, slots=True)
class Stationery:
    """What every finished copy needs, and what is told of one.

    notices_from: for their From; None: postmask@ the alias's domain.
    """

    directory: Directory
    spool: Spool
    keys: Keyring
    clock: Clock
    contacts: ContactBook
    signer: DomainSigner
    mapped_addresses: int
    authserv_id: str
    notices_from: str | None

    def bounce_address(
        self, domain: str, kind: BounceKind, alias_id: int, token: str, mailbox_id: int
    ) -> str:
        """A signed envelope sender; token: of the contact's reverse alias, "" for none."""
        contact = contact_of(token) if token else NO_CONTACT
        day = day_of(self.clock.now())
        bounce = Bounce(kind, day, alias_id, contact, mailbox_id)
        return f"{bounce_local_part(self.keys, bounce)}@{domain}"

    def is_bounce_address(self, address: Address) -> bool:
        """Whether a bounce would be taken there today."""
        return isinstance(read(self.keys, address.local, day_of(self.clock.now())), BounceValid)

    def trace(self, incoming: Incoming, alias_id: int) -> bytes:
        """The value of the trace field: what a DSN brings back to us, readable by us alone."""
        trace = Trace(
            queue_id=incoming.queue_id,
            sender=incoming.envelope.sender,
            authenticated=incoming.authenticated,
            at=int(self.clock.now()),
            alias_id=alias_id,
        )
        return seal_trace(self.keys, trace)

    def reverse_alias(self, address: Address, account_id: int) -> ReverseAlias | None:
        """What stands behind the address, if it is a reverse alias of the account. Raises UnknownNowError."""
        reserved = read(self.keys, address.local, 0)
        found = known(self.directory.reverse_alias(reserved.token)) if isinstance(reserved, Reverse) else None
        if found and (found.alias.account_id, found.alias.domain) == (account_id, address.domain):
            return found
        return None

    def event(self, kind: str, alias: Alias, incoming: Incoming, **more: str | int | None) -> Entry:
        """What the truth is told of a message."""
        return Entry.new(
            "event", at=self.clock.now(), account_id=alias.account_id, alias_id=alias.id, kind=kind,
            queue_id=incoming.queue_id, **more,
        )  # fmt: skip

    def notice(
        self, kind: str, alias: Alias, recipient: str, subject: str, text: str, *, most: int
    ) -> Notice | None:
        """What a person is told; None where there is none, or so many a day were enough."""
        since = self.clock.now() - DAY
        if not recipient or self.spool.notices_since(recipient, kind, since) >= most:
            return None
        return Notice(self.notices_from or f"postmask@{alias.domain}", recipient, kind, subject, text)


class Forwarding:
    """Plans what becomes of mail to an alias. Shared by threads."""

    def __init__(self, stationery: Stationery, authors: Authors, book: RuleBook) -> None:
        self._with = stationery
        self._authors = authors
        self._book = book

    def plan(
        self, incoming: Incoming, alias: Alias, domain: Domain, recipient: Address, examined: Examination
    ) -> Consignment | Verdict:
        """The copies for an active alias, or why there are none. Raises UnknownNowError."""
        # smtp(8) would fold longer lines after they were signed.
        incoming = replace(incoming, body=fold_long(incoming.body))
        address = parse_loose(alias.address)
        sender = envelope_sender(incoming)
        own = _OwnAddresses(self._with, alias.account_id)
        wanted = rewriting.wanted(incoming.headers, address, own, sender, self._with.mapped_addresses)
        author = wanted[0].address.key if wanted else ""
        mapped = self._with.contacts.map(alias, wanted)
        if author in mapped.blocked:
            # The owner's block of the header From acts here: the message is discarded with a record.
            return discard("contact blocked")
        allowed = author in mapped.allowed and not _disowned(examined)
        # Before the engines are waited for: DNS is asked meanwhile.
        judged = self._authors.judge(incoming, alias, domain, author, examined.authentication)
        quarantined = self._authors.quarantined(incoming, examined.authentication)
        rules = self._book.rules(alias)
        spam = examined.spam(insists=rules.insists)
        sifted = (
            deliver()
            if allowed
            else rules.forward(spam, quarantined=quarantined, may_refuse=incoming.may_bounce)
        )
        verdict = _hardest(judged, sifted, may_refuse=incoming.may_bounce)
        if verdict.kind not in (Kind.DELIVER, Kind.HOLD):
            return verdict
        marked = not allowed and rules.marks(spam, quarantined=quarantined)
        context = rewriting.ForwardContext(
            alias=address,
            sender=sender,
            reverse=mapped.reverse,
            own=own,
            wrap_id=partial(self._owner_id, alias, by_owner=author in alias.writers),
            trace=self._with.trace(incoming, alias.id),
            authserv_id=self._with.authserv_id,
            notes=self._notes(examined.authentication, spam, marked, quarantined),
            subject_prefix=rules.subject_prefix if marked else "",
        )
        headers = rewriting.forward(incoming.headers, context)
        signed = self._with.signer.sign(alias.domain, headers, incoming.body) + headers.to_bytes()
        why = verdict.reason if verdict.kind is Kind.HOLD else ""
        why = LOOP if self._has_been_here(incoming, alias) else why
        token = mapped.tokens.get(author, "")
        copies = [
            self._copy(incoming, alias, recipient, mailbox, token, signed, why) for mailbox in alias.mailboxes
        ]
        held = [copy.reason for copy in copies if copy.hold]
        kind = "held" if len(held) == len(copies) else "forwarded"
        told = "; ".join(dict.fromkeys(held))
        if held and kind == "forwarded":
            told = f"held for {len(held)} of {len(copies)} mailboxes: {told}"
        event = self._with.event(kind, alias, incoming, contact=author or None, reason=told or None)
        return Consignment(copies, mapped.fresh, event=event)

    def _notes(
        self, found: Authentication | None, spam: SpamNote | None, marked: bool, quarantined: bool
    ) -> list[Field]:
        """The fields that tell what was found out."""
        notes = [authres.results_field(self._with.authserv_id, found)] if found else []
        if spam or quarantined:
            notes.append(spam_field(spam, marked=marked, quarantined=quarantined))
        return notes

    def _owner_id(self, alias: Alias, message_id: bytes, *, by_owner: bool) -> bytes:
        """A Message-ID as the owner may see it.

        by_owner: what an owner wrote has one that contacts know wrapped: an answer must show them that again.
        """
        keys = self._with.keys
        if not by_owner:
            return carry(keys, Direction.TO_OWNER, alias.address, message_id, alias.domain)
        seen = carry(keys, Direction.TO_CONTACT, alias.address, message_id, alias.domain)
        return wrap(keys, Direction.TO_OWNER, alias.address, seen, alias.domain)

    def _copy(
        self,
        incoming: Incoming,
        alias: Alias,
        recipient: Address,
        mailbox: Mailbox,
        token: str,
        headers: bytes,
        why: str,
    ) -> Copy:
        row = incoming.row(recipient, to=str(mailbox.id), alias_id=alias.id, mailbox_id=mailbox.id)
        reason = why if mailbox.state is MailboxState.ACTIVE else f"mailbox {mailbox.state}"
        return Copy(
            row=row,
            sender=self._with.bounce_address(alias.domain, BounceKind.FORWARD, alias.id, token, mailbox.id),
            recipient=mailbox.deliver_to,
            headers=headers,
            body=incoming.body,
            hold=bool(reason),
            reason=reason,
        )

    def postmaster(self, incoming: Incoming, domain: Domain, recipient: Address) -> Consignment:
        """Mail to postmaster@ or abuse@: unchanged but for the trace, to where the domain says."""
        trace = fold(FIELD, self._with.trace(incoming, 0).split()).raw
        row = incoming.row(recipient, to="postmaster")
        sender = self._with.bounce_address(domain.name, BounceKind.FORWARD, 0, "", 0)
        copy = Copy(row, sender, domain.postmaster, trace + incoming.headers.to_bytes(), incoming.body)
        return Consignment([copy])

    def _has_been_here(self, incoming: Incoming, alias: Alias) -> bool:
        for field in incoming.headers.get_all(FIELD):
            trace = open_trace(self._with.keys, field.value)
            if trace is not None and trace.alias_id == alias.id:
                return True
        return False


def _hardest(judged: Verdict, sifted: Verdict, *, may_refuse: bool) -> Verdict:
    """Of what is said of the author and of spam."""
    if judged.kind is Kind.REJECT and not may_refuse:
        judged = hold(judged.reason)
    return max(judged, sifted, key=lambda one: _HARDNESS.index(one.kind))


def _disowned(examined: Examination) -> bool:
    """Whether the author's domain says that the message isn't the author's, or there is not exactly one to be
    asked: then no rule speaks for it."""
    found = examined.authentication
    return found is not None and (found.dmarc.result is Dmarc.FAIL or not found.dmarc.domain)


class _OwnAddresses:
    """Whether an address is an alias of the account, or a reverse alias, as in an answer to all by an owner:
    whoever answers that then reaches the same contacts.

    Each is asked for once, and _MOST_ASKED at most, since a header holds tens of thousands, each of which
    the truth would be asked for: what comes behind those is taken for a stranger's.
    """

    def __init__(self, stationery: Stationery, account_id: int) -> None:
        self._with = stationery
        self._account_id = account_id
        self._known: dict[str, bool] = {}

    def __call__(self, address: Address) -> bool:
        own = self._known.get(address.key)
        if own is None:
            if len(self._known) >= _MOST_ASKED:
                return False
            own = self._known[address.key] = self._ask(address)
        return own

    def _ask(self, address: Address) -> bool:
        if not isinstance(self._with.directory.domain(address.domain), Found):
            return False
        if self._with.reverse_alias(address, self._account_id):
            return True
        alias, _ = find_alias(self._with.directory, address)
        return isinstance(alias, Found) and alias.value.account_id == self._account_id


def envelope_sender(incoming: Incoming) -> NamedAddress | None:
    """For a message whose From is of no use; None for the null sender."""
    try:
        return NamedAddress(None, parse_loose(incoming.envelope.sender))
    except AddressError:
        return None
