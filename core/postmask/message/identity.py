"""What makes two hand-overs the same message: its identity for the ledger, and its age.

`postsuper -r` gives a message a new queue id and prepends "Received: by … (Postfix, from userid N)".
A local submission carries such a field too. So leading fields of that form are left out only where N
is Postfix's own user: a re-queued message keeps its digest, two equal submissions have two. It is also
where the queue id of a message stands that has no client: lmtp(8) doesn't tell it.

Where the site's header_checks take Received out, two equal messages have nothing to tell them apart but
their queue ids: these belong to the identity then, and a re-queued message is another one.

DIAGNOSTICS
    None: every message has an identity. A date that can't be read is None.

STANDARDS
    RFC 5321 §4.4 (Received), RFC 5322 §3.3 (dates).
"""

from __future__ import annotations

import hashlib
import re

from postmask.message import dates
from postmask.message.headers import Field, Headers

_REQUEUED = re.compile(
    rb"Received: by \S{1,255} \([^()\r\n]{1,100}, from userid (\d{1,10})\)\r?\n"
    rb"[ \t]+id [^\s;]{1,100}; [^\r\n]{1,100}\r?\n"
)
_WITHOUT_CLIENT = re.compile(
    rb"Received: by \S{1,255} \([^()\r\n]{1,100}\)\r?\n[ \t]+id ([0-9A-Za-z]{1,100});", re.IGNORECASE
)
_DELIVERY = re.compile(
    rb"(?:Return-Path|X-Original-To|Delivered-To):[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE
)
"""What a delivery agent may prepend (RFC 5321 §4.4; pipe(8) flags R, O, D): the same at each try."""


def message_identity(data: bytes, received: Field | None, postfix_uid: int, queue_id: str) -> bytes:
    """32 octets. received: the data's, from first_received. queue_id: "" where nobody tells it."""
    digest = message_digest(data, postfix_uid)
    if received is not None:
        return digest
    return hashlib.sha256(digest + queue_id.encode("utf-8", "surrogateescape")).digest()


def message_digest(data: bytes, postfix_uid: int) -> bytes:
    """SHA-256 of the message as the queue holds it, without the fields that re-queueing prepended."""
    digest = hashlib.sha256()
    position = 0
    while True:
        requeued = _REQUEUED.match(data, position)
        if requeued and int(requeued[1]) == postfix_uid:
            position = requeued.end()
            continue
        delivery = _DELIVERY.match(data, position)
        if not delivery:
            break
        digest.update(delivery[0])
        position = delivery.end()
    digest.update(memoryview(data)[position:])
    return digest.digest()


def first_received(headers: Headers, postfix_uid: int) -> Field | None:
    """The field that our Postfix wrote when it received the message; re-queueing doesn't count."""
    fields = headers.get_all("received")
    return next((field for field in fields if not _by_requeue(field, postfix_uid)), None)


def received_at(received: Field | None) -> int | None:
    """The date in it, in seconds since the epoch."""
    return dates.parse(received.value.rpartition(b";")[2]) if received else None


def local_queue_id(headers: Headers) -> str:
    """The queue id of a message without a client (submitted here, re-queued, a DSN); "" if it isn't said."""
    newest = headers.get("received")
    found = _WITHOUT_CLIENT.match(newest.raw) if newest else None
    return found[1].decode("ascii") if found else ""


def _by_requeue(field: Field, postfix_uid: int) -> bool:
    requeued = _REQUEUED.match(field.raw)
    return requeued is not None and int(requeued[1]) == postfix_uid
