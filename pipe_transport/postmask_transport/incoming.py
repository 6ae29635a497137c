"""One message as it was handed over, and what is read from it once for all its recipients."""

from __future__ import annotations

from dataclasses import dataclass

from postmask.clock import Deadline
from postmask.message.headers import Headers, split
from postmask.message.identity import first_received_date, local_queue_id, message_digest
from postmask_transport.lmtp import Envelope

_AUTOMATIC_PRECEDENCE = frozenset({"bulk", "list", "junk", "auto_reply"})


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message on its way through the forwarder.

    data: the whole message with CRLF line ends, as Postfix's queue holds it. digest: SHA-256, the same
    after a requeue. received: when our Postfix got it, None if nobody says it. queue_id: "" likewise.
    authenticated: came by a SASL login or was submitted on this host. automatic: must not be answered
    (RFC 3834 §2). ending: Postfix would return it before long, to somebody who may not be bounced to.
    """

    envelope: Envelope
    data: bytes
    headers: Headers
    body: bytes
    digest: bytes
    received: int | None
    queue_id: str
    deadline: Deadline
    authenticated: bool
    automatic: bool
    ending: bool = False

    @property
    def may_bounce(self) -> bool:
        """Only to a known sender who isn't a machine may Postfix send a bounce."""
        return self.authenticated and not self.automatic


def read(envelope: Envelope, data: bytes, deadline: Deadline, postfix_uid: int) -> Incoming:
    """Read what was handed over."""
    headers, body = split(data)
    return Incoming(
        envelope=envelope,
        data=data,
        headers=headers,
        body=body,
        digest=message_digest(data, postfix_uid),
        received=first_received_date(headers, postfix_uid),
        queue_id=envelope.client.queue_id or local_queue_id(headers),
        deadline=deadline,
        authenticated=is_authenticated(envelope),
        automatic=is_automatic(envelope, headers),
    )


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
