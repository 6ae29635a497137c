"""The evidence: what the scan milter found out about a message, for the forwarder that gets it later.

It stands in the field X-Postmask-Evidence, sealed under a key of its own, so that no one else can read
or make it, and bound to the message: to its body, From, Date and Message-ID, and to the recipients and
the time that it names. It isn't bound to the queue id or to the other fields, which content filters and
re-queueing change, nor to the envelope sender, which the host may rewrite (SRS): it carries the one
that the message came with.

DIAGNOSTICS
    open_evidence answers None where there is none for this message: missing, not ours, stale, of another
    message or recipient, or the body was altered on the way. That accuses nobody: whoever needs to know
    looks for himself. seal_evidence answers None for what a header can't hold.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

from postmask.address import key_of
from postmask.authentication import (
    Authentication,
    DkimResult,
    Dmarc,
    DmarcResult,
    Policy,
    Spf,
    SpfResult,
)
from postmask.keys import Keyring, Purpose
from postmask.message.headers import Field, Headers, fold

FIELD = "X-Postmask-Evidence"

LIMIT = 60_000
"""Octets of the value: well below what Postfix lets one field have (header_size_limit, 102,400)."""

_FORM = b"evidence 2"
"""To be raised with the form: what another version of ours has sealed is then no evidence."""

_PIECE = 56
_MOST_FIELDS = 10
"""The lowest ones: a milter adds its field below all others, and a sender may have put any number above."""

_CLOCK_SLACK = 300
"""Seconds by which another node's clock may be ahead."""


@dataclass(frozen=True, slots=True)
class SpamNote:
    """What the spam check said.

    ratio:     score ÷ the engine's threshold, 1.0 and more is spam; None: nobody has judged.
    unscanned: then why not.
    """

    engine: str = ""
    ratio: float | None = None
    symbols: tuple[str, ...] = ()
    milliseconds: int = 0
    unscanned: str = ""

    def __post_init__(self) -> None:
        if self.ratio is not None and not math.isfinite(self.ratio):
            raise ValueError("a ratio is a number")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen when the message was received. "" stands for what isn't known.

    at:         when, seconds since the epoch.
    recipients: of the message, all of them ours.
    sender:     of the envelope as it came, "" for the null sender too.
    client, client_name, helo, login: address, verified name, HELO and SASL login of the SMTP client.
    smtputf8, body: of the MAIL command; body is "7BIT", "8BITMIME" or "".
    """

    at: int
    recipients: tuple[str, ...]
    sender: str
    client: str = ""
    client_name: str = ""
    helo: str = ""
    login: str = ""
    smtputf8: bool = False
    body: str = ""
    spam: SpamNote | None = None
    authentication: Authentication | None = None


def seal_evidence(keys: Keyring, evidence: Evidence, headers: Headers, body: bytes) -> Field | None:
    """The field for the message with this header and body."""
    plain = json.dumps(_to_json(evidence), separators=(",", ":"), default=bytes.hex).encode("ascii")
    text = base64.b64encode(keys.seal(Purpose.EVIDENCE, plain, *_bound(headers, body)))
    if len(text) > LIMIT:
        return None
    return fold(FIELD, [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)])


def open_evidence(
    keys: Keyring,
    headers: Headers,
    body: bytes,
    recipients: Iterable[str],
    *,
    now: float,
    oldest: float,
) -> Evidence | None:
    """The evidence in a message that is handed over for these recipients: all, or some of those it names.

    oldest: seconds after which it is stale. Of several the newest.
    """
    sealed = [one for field in headers.get_all(FIELD)[-_MOST_FIELDS:] if (one := _decoded(field))]
    if not sealed:
        return None
    bound = _bound(headers, body)
    wanted = {key_of(recipient, recipient) for recipient in recipients}
    opened = [_read(plain) for one in sealed if (plain := keys.open(Purpose.EVIDENCE, one, *bound))]
    fitting = [
        evidence
        for evidence in opened
        if evidence
        and now - oldest <= evidence.at <= now + _CLOCK_SLACK
        and wanted
        and wanted <= set(evidence.recipients)
    ]
    return max(fitting, key=lambda evidence: evidence.at, default=None)


def _bound(headers: Headers, body: bytes) -> tuple[bytes, ...]:
    """What the seal is over besides the evidence itself.

    Line ends, folds, and empty lines at the end of the body make no difference.
    """
    content = hashlib.sha256(body.replace(b"\r\n", b"\n").rstrip(b"\n")).digest()
    named = [
        b"".join(_counted(b" ".join(field.value.split())) for field in headers.get_all(name))
        for name in ("from", "date", "message-id")
    ]
    return (_FORM, content, *named)


def _counted(value: bytes) -> bytes:
    """The value so that two of them can't be taken for one."""
    return b"%d:%b," % (len(value), value)


def _decoded(field: Field) -> bytes | None:
    if len(field.raw) > 2 * LIMIT:
        return None
    try:
        return base64.b64decode(b"".join(field.value.split()), validate=True)
    except binascii.Error:
        return None


def _to_json(evidence: Evidence) -> list[Any]:
    spam, found = evidence.spam, evidence.authentication
    return [
        evidence.at,
        sorted({key_of(recipient, recipient) for recipient in evidence.recipients}),
        evidence.sender,
        [evidence.client, evidence.client_name, evidence.helo, evidence.login],
        [evidence.smtputf8, evidence.body],
        spam and _values(spam),
        found
        and [
            _values(found.spf),
            _values(found.helo),
            [_values(one) for one in found.dkim],
            _values(found.dmarc),
        ],
    ]


def _values(record: SpamNote | SpfResult | DkimResult | DmarcResult) -> list[Any]:
    """In the order of its fields."""
    return [getattr(record, field.name) for field in fields(record)]


def _read(plain: bytes) -> Evidence | None:
    """What _to_json wrote. None: sealed by us, but in a form that we no longer know."""
    try:
        at, recipients, sender, client, mail, spam, found = json.loads(plain)
        address, name, helo, login = client
        smtputf8, body = mail
        return Evidence(
            at=at,
            recipients=tuple(recipients),
            sender=sender,
            client=address,
            client_name=name,
            helo=helo,
            login=login,
            smtputf8=smtputf8,
            body=body,
            spam=_spam_note(*spam) if spam else None,
            authentication=_authentication(*found) if found else None,
        )
    except (ValueError, TypeError, IndexError):
        return None


def _spam_note(
    engine: str, ratio: float | None, symbols: list[str], milliseconds: int, unscanned: str
) -> SpamNote:
    return SpamNote(engine, ratio, tuple(symbols), milliseconds, unscanned)


def _authentication(spf: list[Any], helo: list[Any], dkim: list[Any], dmarc: list[Any]) -> Authentication:
    return Authentication(_spf(*spf), _spf(*helo), tuple(_dkim(*one) for one in dkim), _dmarc(*dmarc))


def _spf(result: str, domain: str) -> SpfResult:
    return SpfResult(Spf(result), domain)


def _dkim(*values: Any) -> DkimResult:
    one = DkimResult(*values)
    return replace(one, signed=tuple(one.signed), b=bytes.fromhex(str(one.b)))


def _dmarc(result: str, policy: str, *rest: Any) -> DmarcResult:
    return DmarcResult(Dmarc(result), Policy(policy), *rest)
