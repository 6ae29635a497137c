"""Delivery status notifications, read: did the message fail, and what was its header.

Understood are multipart/report (RFC 3464; Postfix, Exim, Exchange, the big providers), a
message/delivery-status part wherever it stands but in an attached message, Exim's X-Failed-Recipients
and the plain-text bounces of qmail. Other answers by machines are told apart, since a vacation message
is no bounce; but a receipt by which a mailbox's filter refuses is one (Sieve's reject).

DIAGNOSTICS
    parse never raises. A notification without a readable status counts as "failed" with 5.0.0; one
    that only warns of a delay has the action "delayed"; a filter's refusal is "failed" with 5.7.1.

STANDARDS
    RFC 3462 (multipart/report), RFC 3464 (delivery-status), RFC 3463 (status codes), RFC 3834
    (Auto-Submitted), RFC 8098 (receipts), RFC 5429 §2.1.1 (reject), QSBMF (qmail).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from postmask.message.headers import Headers, read, split
from postmask.message.mime import MESSAGES, Part, content_type, walk

_MOST_RECIPIENTS = 50
_ACTIONS = frozenset({"failed", "delayed", "delivered", "relayed", "expanded"})
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_PERMANENT = re.compile(r"(?<![\d.])(5\.\d\.\d{1,3})(?![\d.])")
_REPLY_CODE = re.compile(r"\s*smtp;\s*([45])\d\d\b", re.IGNORECASE)
_STATUS_LIMIT = 64_000
_QMAIL = re.compile(rb"\s*Hi\. This is the ")
_QMAIL_RECIPIENT = re.compile(rb"^<[^\r\n]*>:\s*$((?:\r?\n(?!\r?\n)[^\n]*){1,20})", re.MULTILINE)
"""QSBMF paragraphs: "<address>:" and the reason, often ending in "(#5.1.1)"."""

_REFUSAL = re.compile(r"\s*automatic-action\s*/\s*MDN-sent-automatically\s*;\s*deleted\b", re.IGNORECASE)
_COPY = re.compile(rb"\n-{3,} (?:Below|Enclosed|This is a copy)[^\n]*\n\s*\n")
_REPLY_FIELDS = ("x-autoreply", "x-autorespond", "x-autoresponder", "x-vacation")


@dataclass(frozen=True, slots=True)
class Dsn:
    """A notification, with the header of the message that it is about where it holds that.

    action, status: of the first recipient that failed, else of the first.
    """

    action: str
    status: str
    original_headers: Headers | None


@dataclass(frozen=True, slots=True)
class NotDsn:
    """Something else."""

    kind: Literal["auto-reply", "other"]


def parse(headers: Headers, body: bytes, *, refusals: bool = False) -> Dsn | NotDsn:
    """What came to a bounce address. refusals: whether a receipt by which a filter refuses counts."""
    parts = _own(walk(headers, body).parts)
    status = _first(parts, "message/delivery-status", "message/global-delivery-status")
    if status:
        return Dsn(*_fate(status.content(body) or b""), _original(parts, body))
    if headers.get("x-failed-recipients"):
        return Dsn("failed", _status_in(body, _PERMANENT), _original(parts, body) or _copied(body))
    if _QMAIL.match(body) and (paragraph := _QMAIL_RECIPIENT.search(body, 0, _STATUS_LIMIT)):
        return Dsn("failed", _status_in(paragraph[1], _STATUS), _copied(body))
    if content_type(headers)[1].get("report-type", "").lower() == "delivery-status":
        return Dsn("failed", _status_in(body, _PERMANENT), _original(parts, body))
    if refusals and _is_refusal(parts, body):
        return Dsn("failed", "5.7.1", _original(parts, body))
    return NotDsn("auto-reply" if _is_auto_reply(headers) else "other")


def _own(parts: list[Part]) -> list[Part]:
    """Without those of attached messages: what these say was said to somebody else."""
    kept: list[Part] = []
    attached = -1
    for part in parts:
        if part.at < attached:
            continue
        kept.append(part)
        if part.holds_parts and part.kind in MESSAGES and part.at >= 0:
            attached = part.end
    return kept


def _first(parts: list[Part], *kinds: str) -> Part | None:
    return next((part for part in parts if part.kind in kinds), None)


def _fate(content: bytes) -> tuple[str, str]:
    """By the groups of fields behind the first, which is about the message (RFC 3464 §2.1)."""
    found: list[tuple[str, str]] = []
    position = 0
    content = content[:_STATUS_LIMIT]
    while position < len(content) and len(found) < _MOST_RECIPIENTS:
        group, after = read(content, position, len(content))
        if after == position:
            break
        position = after
        if group.get("action") or group.get("status") or group.get("final-recipient"):
            found.append(_of_recipient(group))
    failed = (one for one in found if one[0] == "failed")
    return next(failed, found[0] if found else ("failed", "5.0.0"))


def _of_recipient(group: Headers) -> tuple[str, str]:
    action_field, status_field = group.get("action"), group.get("status")
    diagnostic_field = group.get("diagnostic-code")
    action = action_field.text.split("(")[0].strip().lower() if action_field else ""
    diagnostic = diagnostic_field.text if diagnostic_field else ""
    found = _STATUS.search(status_field.text if status_field else "") or _STATUS.search(diagnostic)
    code = _REPLY_CODE.match(diagnostic)
    status = found[1] if found else f"{code[1]}.0.0" if code else ""
    if action not in _ACTIONS:
        action = "delayed" if status.startswith("4") else "failed"
    return action, status or {"failed": "5.0.0", "delayed": "4.0.0"}.get(action, "2.0.0")


def _status_in(text: bytes, pattern: re.Pattern[str]) -> str:
    """The first one in what only people are meant to read, or 5.0.0."""
    found = pattern.search(text[:_STATUS_LIMIT].decode("latin-1"))
    return found[1] if found else "5.0.0"


def _original(parts: list[Part], body: bytes) -> Headers | None:
    """The header of the message that bounced, from the part that brings it back."""
    about = _first(parts, "message/delivery-status", "message/global-delivery-status")
    behind = parts[parts.index(about) + 1 :] if about else parts[1:]
    returned = _first(
        behind, "message/rfc822", "text/rfc822-headers", "message/rfc822-headers", "message/global",
        "message/global-headers",
    )  # fmt: skip
    content = returned.content(body) if returned else None
    return split(content)[0] if content else None


def _copied(body: bytes) -> Headers | None:
    """The header of a copy that a plain-text bounce has at its end."""
    mark = _COPY.search(body)
    if not mark:
        return None
    copied, _ = read(body, mark.end(), len(body))
    return copied if copied.fields else None


def _is_refusal(parts: list[Part], body: bytes) -> bool:
    receipt = _first(parts, "message/disposition-notification", "message/global-disposition-notification")
    content = receipt.content(body) if receipt else None
    if not content:
        return False
    field = read(content, 0, min(len(content), _STATUS_LIMIT))[0].get("disposition")
    return bool(field and _REFUSAL.match(field.text))


def _is_auto_reply(headers: Headers) -> bool:
    submitted = headers.get("auto-submitted")
    if submitted and submitted.value.lower().split(b";")[0].strip() not in (b"", b"no"):
        return True
    precedence = headers.get("precedence")
    if precedence and precedence.value.lower() == b"auto_reply":
        return True
    return any(headers.get(name) for name in _REPLY_FIELDS)
