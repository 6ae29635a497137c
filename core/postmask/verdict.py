"""The one verdict: what becomes of a recipient or a message, and how each protocol says it.

A verdict has a kind (deliver, discard, hold, defer, reject), an RFC 3463 enhanced status whose
class must agree with the kind, a public text for the peer, and a private reason for the log.

DIAGNOSTICS
    The constructor raises ValueError for a status that contradicts the kind, and for a text that
    could not stand in one SMTP reply line. Soft or hard is never stored: it is the status's first
    digit.

STANDARDS
    RFC 3463 (enhanced status codes), RFC 5321 §4.2 (replies), RFC 2033 (LMTP).
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

MARK = "postmask: "
"""Begins the text of every 5xx that is ours. The fence in master.cf lets only these bounce."""

_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_TEXT = re.compile(r"[\x20-\x7e]{1,400}")


class Kind(enum.StrEnum):
    """What becomes of it."""

    DELIVER = "deliver"
    DISCARD = "discard"
    HOLD = "hold"
    DEFER = "defer"
    REJECT = "reject"


_CLASS = {Kind.DELIVER: "2", Kind.DISCARD: "2", Kind.HOLD: "2", Kind.DEFER: "4", Kind.REJECT: "5"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One decision.

    kind:   what becomes of the recipient or message.
    status: RFC 3463 status, "x.y.z"; its class agrees with the kind.
    text:   for the peer: one line of printable ASCII, no address that the peer doesn't know.
    reason: for our log only.
    """

    kind: Kind
    status: str
    text: str
    reason: str = ""

    def __post_init__(self) -> None:
        if not _STATUS.fullmatch(self.status) or self.status[0] != _CLASS[self.kind]:
            raise ValueError(f"status {self.status!r} does not fit a verdict of kind {self.kind}")
        if not _TEXT.fullmatch(self.text):
            raise ValueError("the public text must be one line of 1 to 400 printable ASCII characters")

    @property
    def code(self) -> int:
        """SMTP reply code (RFC 5321 §4.2.3): 250, 450 (this recipient, now), 451 (our own trouble), 550."""
        if self.status[0] == "2":
            return 250
        if self.status[0] == "4":
            return 451 if self.status.startswith("4.3.0") else 450
        return 550

    @property
    def accepted(self) -> bool:
        """True where the peer is told 2xx: delivered, held and discarded are not told apart."""
        return self.status[0] == "2"


def deliver(reason: str = "") -> Verdict:
    """Accept and deliver."""
    return Verdict(Kind.DELIVER, "2.1.5", "ok", reason)


def discard(reason: str) -> Verdict:
    """Accept, record, deliver to nobody. The peer can't tell it from a delivery."""
    return Verdict(Kind.DISCARD, "2.1.5", "ok", reason)


def hold(reason: str) -> Verdict:
    """Accept and put the finished copy on hold. The peer can't tell it from a delivery."""
    return Verdict(Kind.HOLD, "2.1.5", "ok", reason)


def defer(status: str, text: str, reason: str = "") -> Verdict:
    """Not now: the peer keeps the message and tries again."""
    return Verdict(Kind.DEFER, status, text, reason)


def reject(status: str, text: str, reason: str = "") -> Verdict:
    """Never: the peer bounces."""
    return Verdict(Kind.REJECT, status, text, reason)


def unavailable(reason: str) -> Verdict:
    """We can't tell: 451 4.3.0. What every unknown exception and every failed look-up becomes."""
    return defer("4.3.0", "temporary trouble, try again later", reason)


def smtp_reply(verdict: Verdict) -> tuple[int, str, str]:
    """As a milter's setreply and a policy server's action want it: (code, status, text)."""
    return verdict.code, verdict.status, verdict.text


def lmtp_reply(verdict: Verdict) -> str:
    """As one LMTP reply line without CRLF. A 5xx carries our mark, by which the fence knows it."""
    mark = MARK if verdict.status[0] == "5" else ""
    return f"{verdict.code} {verdict.status} {mark}{verdict.text}"
