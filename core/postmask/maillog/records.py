"""What a line of Postfix's log says of a queue file.

Most values in a line are a stranger's: HELO, sender, Message-ID, a remote server's answer. So a line is
matched as a whole, from its start, by the form its daemon gives it, and each address by the grammar in
which Postfix writes it (info_log_address_format = external, the default): what is not quoted holds no
blank, comma or angle bracket. Nothing is ever searched for. Free text stands at the end alone.

DIAGNOSTICS
    None for a line that says nothing of a queue file. A delivery agent's line that doesn't have its
    form is Unreadable: nobody may take it for a delivery, nor for none.

STANDARDS
    RFC 5321 §4.1.2 (quoted local parts); Postfix's log_adhoc(3), smtpd(8), qmgr(8), postsuper(1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from postmask.maillog.lines import Line

AGENTS = frozenset({"pipe", "lmtp", "smtp", "local", "virtual", "error", "retry", "discard"})
"""The daemons that deliver, or say that they couldn't."""

REINJECTION = frozenset({"postfix/postmask-reinject", "postfix/postmask-hold"})
"""The services through which the forwarder's copies come."""


@dataclass(frozen=True, slots=True)
class Received:
    """smtpd, pickup: a queue file was begun. key: the ledger's, of a copy of ours. previous: its queue
    id before `postsuper -r`. by: who handed it in."""

    queue_id: str
    by: str
    key: str = ""
    previous: str = ""


@dataclass(frozen=True, slots=True)
class MessageId:
    """cleanup: the Message-ID as it stands in the header; free text."""

    queue_id: str
    value: str


@dataclass(frozen=True, slots=True)
class Active:
    """qmgr: it is in the queue, accepted for good. recipients: how many are left."""

    queue_id: str
    sender: str
    recipients: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery agent: one attempt for one recipient. status: sent, deferred, bounced."""

    queue_id: str
    agent: str
    recipient: str
    relay: str
    dsn: str
    status: str
    text: str


@dataclass(frozen=True, slots=True)
class Expired:
    """qmgr: it was returned to its sender because it was too old."""

    queue_id: str


@dataclass(frozen=True, slots=True)
class Removed:
    """by: qmgr, when all is done; postsuper, when somebody deleted it."""

    queue_id: str
    by: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """smtpd, cleanup: refused, a recipient or all of it. queue_id: "" before there was one.

    recipient: "" where none is named; of all, Postfix names one.
    """

    queue_id: str
    recipient: str
    whole: bool
    text: str


@dataclass(frozen=True, slots=True)
class Notified:
    """bounce: a DSN was made of it, as a message of its own."""

    queue_id: str
    notice: str


@dataclass(frozen=True, slots=True)
class Deleted:
    """postsuper: how many it deleted, where it doesn't say which."""

    count: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A delivery agent's line that doesn't have its form."""

    queue_id: str


@dataclass(frozen=True, slots=True)
class Other:
    """Anything else that is said of a queue file."""

    queue_id: str


Record: TypeAlias = (
    Received | MessageId | Active | Delivery | Expired | Removed | Rejected | Notified | Deleted | Unreadable
    | Other
)  # fmt: skip

_QUEUED = re.compile(r"([0-9A-Za-z]{6,40}): ")
_PLAIN = r'[^"<>\x09-\x0d ,]*+'
"""Without ASCII's blanks alone: others are characters of an address like any other."""
_LOCAL = rf'(?:"(?:[^"\\]|\\.)*+"|{_PLAIN})'
_ADDRESS = rf"({_LOCAL}(?:@{_PLAIN})?)"
_DELIVERY = re.compile(
    rf"to=<{_ADDRESS}>, (?:orig_to=<{_ADDRESS}>, )?relay=([^\s,]+), (?:conn_use=\d+, )?"
    r"delay=[\d.]+, delays=[\d.]+/[\d.]+/[\d.]+/[\d.]+, (?:tls=[^\s,]+, )?dsn=(\d\.\d+\.\d+), "
    r"status=(sent|deferred|bounced|undeliverable|deliverable) \((.*)\)",
    re.DOTALL,
)
_COPY = re.compile(
    r"client=localhost\[[0-9a-f.:]+\], orig_queue_id=([0-9A-Za-z-]{1,64})(?:, orig_client=.*)?"
)
_CLIENT = re.compile(r"client=([^\s,]+)")
_PICKED_UP = re.compile(rf"uid=(\d+) from=<{_ADDRESS}>(?: orig_id=([0-9A-Za-z]+))?")
_ACTIVE = re.compile(rf"from=<{_ADDRESS}>, size=\d+, nrcpt=(\d+) \(queue active\)")
_EXPIRED = re.compile(rf"from=<{_ADDRESS}>, status=(?:force-)?expired, returned to sender")
_NOTIFIED = re.compile(r"sender (?:non-delivery|delivery status|delay) notification: ([0-9A-Za-z]+)")
_REJECTED = re.compile(r"(?:milter-)?(?:reject|discard): ")
_REFUSED_RECIPIENT = re.compile(
    rf"reject: RCPT from \S+: [245]\d\d [245]\.\d+\.\d+ <{_ADDRESS}>: ", re.DOTALL
)
_REFUSED_MESSAGE = re.compile(
    rf"milter-reject: END-OF-MESSAGE from \S+: [^<>]*; from=<{_ADDRESS}> to=<{_ADDRESS}> proto="
)
_DELETED = re.compile(r"Deleted: (\d+) messages?")


def parse(line: Line) -> Record | None:
    """What the line says of a queue file."""
    deleted = _DELETED.fullmatch(line.text) if line.daemon == "postsuper" else None
    if deleted:
        return Deleted(int(deleted[1]))
    queued = _QUEUED.match(line.text)
    if queued is None:
        return None
    queue_id, text = queued[1], line.text[queued.end() :]
    if queue_id == "NOQUEUE":
        return _rejected("", text)
    if line.daemon in AGENTS:
        return _delivery(line, queue_id, text)
    match line.daemon:
        case "smtpd":
            return _received(line, queue_id, text)
        case "pickup":
            found = _PICKED_UP.fullmatch(text)
            return Received(queue_id, f"uid {found[1]}", previous=found[3] or "") if found else None
        case "cleanup":
            if text.startswith("message-id="):
                return MessageId(queue_id, text.removeprefix("message-id="))
            return _rejected(queue_id, text) or Other(queue_id)
        case "qmgr":
            return _queue_manager(queue_id, text)
        case "bounce":
            found = _NOTIFIED.fullmatch(text)
            return Notified(queue_id, found[1]) if found else Other(queue_id)
        case "postsuper":
            return Removed(queue_id, "postsuper") if text == "removed" else Other(queue_id)
    return Other(queue_id)


def _delivery(line: Line, queue_id: str, text: str) -> Record:
    if not text.startswith("to=<"):
        return Other(queue_id)
    found = _DELIVERY.fullmatch(text)
    if found is None:
        return Unreadable(queue_id)
    return Delivery(queue_id, line.daemon, found[1], found[3], found[4], found[5], found[6])


def _received(line: Line, queue_id: str, text: str) -> Record:
    if line.service in REINJECTION:
        copy = _COPY.fullmatch(text)
        if copy:
            return Received(queue_id, "postmask-forwarder", key=copy[1])
    client = _CLIENT.match(text)
    if client:
        return Received(queue_id, client[1])
    return _rejected(queue_id, text) or Other(queue_id)


def _queue_manager(queue_id: str, text: str) -> Record:
    if text == "removed":
        return Removed(queue_id, "qmgr")
    active = _ACTIVE.fullmatch(text)
    if active:
        return Active(queue_id, active[1], int(active[2]))
    return Expired(queue_id) if _EXPIRED.fullmatch(text) else Other(queue_id)


def _rejected(queue_id: str, text: str) -> Record | None:
    if not _REJECTED.match(text):
        return None
    one = _REFUSED_RECIPIENT.match(text)
    whole = _REFUSED_MESSAGE.match(text)
    return Rejected(queue_id, one[1] if one else whole[2] if whole else "", one is None, text)


def queue_id_of(record: Record) -> str:
    """Whose record it is; "" for what is said of no queue file in particular."""
    return "" if isinstance(record, Deleted) else record.queue_id


def at_our_door(attempt: Delivery) -> bool:
    """Whether it was made by one of our two transports."""
    if attempt.agent == "pipe":
        return attempt.relay == "postmask"
    return attempt.agent == "lmtp" and attempt.relay.endswith("/forwarder.sock]")
