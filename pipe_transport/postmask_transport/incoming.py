"""One message as it was handed over, and what is read from it once for all its recipients.

The evidence of the scan milter, where there is one that belongs to this message, tells more of the client
than either door does, and behind a content filter it alone tells it; it also tells the envelope sender that
the message came with, where the host has rewritten that (SRS). It goes no further than here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from postmask.address import Address, parse_loose
from postmask.clock import Clock, Deadline
from postmask.keys import Keyring
from postmask.message import evidence as sealed
from postmask.message.evidence import Evidence, open_evidence
from postmask.message.headers import Headers, split
from postmask.message.identity import first_received, local_queue_id, message_identity, received_at
from postmask.message.mailboxes import NamedAddress, format_list
from postmask.spool import LedgerRow, Outcome
from postmask_transport.lmtp import Envelope

_AUTOMATIC_PRECEDENCE = frozenset({"bulk", "list", "junk", "auto_reply"})


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message on its way through the forwarder.

    envelope: with sender and client as the evidence has them. data: the whole message with CRLF line ends, as
    Postfix's queue holds it. headers: without any evidence. identity: the same at each try of this message.
    received: when our Postfix got it, None if nobody says it. queue_id: "" likewise. authenticated: came by
    a SASL login or was submitted on this host. automatic: must not be answered (RFC 3834 §2). ending:
    Postfix would return it before long, to somebody who may not be bounced to.
    """

    envelope: Envelope
    data: bytes
    headers: Headers
    body: bytes
    identity: bytes
    received: int | None
    queue_id: str
    deadline: Deadline
    authenticated: bool
    automatic: bool
    evidence: Evidence | None
    ending: bool = False

    @property
    def may_bounce(self) -> bool:
        """Only to a known sender who isn't a machine may Postfix send a bounce."""
        return self.authenticated and not self.automatic

    def addressed_to(self, alias: str) -> Incoming:
        """With the alias in To, where a machine that answers its owner has put a bounce address."""
        to = format_list("To", [NamedAddress(None, parse_loose(alias))])
        fields = [to if field.key == b"to" else field for field in self.headers.fields]
        return replace(self, headers=Headers(fields))

    def row(
        self,
        recipient: Address,
        outcome: Outcome = Outcome.PENDING,
        *,
        to: str = "",
        alias_id: int = 0,
        mailbox_id: int = 0,
        reason: str = "",
    ) -> LedgerRow:
        """The ledger's, the same at each try. to: which copy of several; "": the recipient as a whole."""
        parts = (self.identity, recipient.key.encode(), to.encode())
        key = hashlib.sha256(b"".join(len(part).to_bytes(4) + part for part in parts)).digest()
        return LedgerRow(key, recipient.key, self.queue_id, outcome, alias_id, mailbox_id, reason=reason)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads what is handed over.

    postfix_uid: Postfix's own user. oldest: seconds after which evidence is stale.
    """

    keys: Keyring
    clock: Clock
    postfix_uid: int
    oldest: float

    def read(self, envelope: Envelope, data: bytes, deadline: Deadline) -> Incoming:
        """One message."""
        headers, body = split(data)
        evidence = open_evidence(
            self.keys,
            headers,
            body,
            envelope.recipients,
            now=self.clock.now(),
            oldest=self.oldest,
        )
        queue_id = envelope.client.queue_id or local_queue_id(headers)
        received = first_received(headers, self.postfix_uid)
        return Incoming(
            envelope=_completed(envelope, evidence) if evidence else envelope,
            data=data,
            headers=_without_evidence(headers),
            body=body,
            identity=message_identity(data, received, self.postfix_uid, queue_id),
            received=received_at(received),
            queue_id=queue_id,
            deadline=deadline,
            authenticated=bool(evidence.login) if evidence else is_authenticated(envelope),
            automatic=is_automatic(envelope, headers),
            evidence=evidence,
        )


def _completed(envelope: Envelope, evidence: Evidence) -> Envelope:
    """With the sender and client whom the scan milter saw; the door tells of who handed it over last."""
    client = replace(
        envelope.client,
        address=evidence.client or None,
        name=evidence.client_name or None,
        helo=evidence.helo or None,
        login=evidence.login or None,
    )
    return replace(
        envelope,
        sender=evidence.sender,
        client=client,
        smtputf8=envelope.smtputf8 or evidence.smtputf8,
    )


def _without_evidence(headers: Headers) -> Headers:
    key = sealed.FIELD.lower().encode("ascii")
    return Headers([field for field in headers.fields if field.key != key])


def is_authenticated(envelope: Envelope) -> bool:
    """A SASL login, or a submission on this host, which has no client.

    pipe(8) gives a local submission the loopback address without a port, lmtp(8) no address at all.
    """
    client = envelope.client
    if client.login:
        return True
    return not client.address or (client.address in ("127.0.0.1", "::1") and client.port in (None, "", "0"))


def is_automatic(envelope: Envelope, headers: Headers) -> bool:
    """A null sender, an automatic submission, or a list's mail."""
    if not envelope.sender:
        return True
    submitted = headers.get("auto-submitted")
    if submitted is not None and submitted.value.strip().lower() != b"no":
        return True
    precedence = headers.get("precedence")
    if precedence is not None and precedence.text.strip().lower() in _AUTOMATIC_PRECEDENCE:
        return True
    return headers.get("list-id") is not None or headers.get("list-unsubscribe") is not None
