"""The reply rule: is this message, sent to a reverse alias, proven to come from the owner?

Pure: everything that was found out is handed in as ReplyEvidence. The identity is the single address
of the single From field, equal to a confirmed mailbox of the alias or one of its authorised senders;
the envelope sender alone is never enough. One proof is needed:

    (a) login     a SASL login that is mapped to that mailbox
    (b) dkim      an aligned signature, without l=, by a key of 1024 bits or more, not expired when it came;
                  From, Date and To or Cc signed; this reverse alias in the signed To or Cc; Date within
                  5 days
    (c) dkim+spf  as (b), but for To and Cc: not signed, or without the reverse alias; plus aligned SPF
    (d) spf       aligned SPF alone: where the mailbox says so, never for big shared providers

Aligned means postmask.auth.alignment.aligned. SPF never counts for a client of the site's own
(loopback, mynetworks, one trusted with XCLIENT or XFORWARD): that proves the site, not the sender.

DIAGNOSTICS
    Proven: the caller has yet to see that none of `signatures` was used by another message to the same
    contact, and to record them all (`mark`). A message may bear several good ones, and whoever replays it
    may take off any.
    Undecided: a DNS server didn't answer, and with its answer there might be a proof: defer.
    Unproven: nothing of the kind. `reason` is for the log and the owner, and holds no address.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from postmask.address import Address
from postmask.auth.alignment import aligned
from postmask.auth.claims import Claims
from postmask.auth.providers import is_shared
from postmask.authentication import DkimResult, Spf, SpfResult
from postmask.clock import DAY
from postmask.directory.records import Mailbox, MailboxState

LEAST_KEY_BITS = 1024
OLDEST = 5 * DAY
"""Seconds for which a Date is fresh."""

EARLIEST = DAY
"""Seconds by which a Date may lie in the future."""

MARKS_KEPT = OLDEST + EARLIEST
"""Seconds; the span in which one signature can be used."""


class By(enum.StrEnum):
    """The proof that was found."""

    LOGIN = "login"
    DKIM = "dkim"
    DKIM_SPF = "dkim+spf"
    SPF = "spf"


@dataclass(frozen=True, slots=True)
class ReplyEvidence:
    """All that is known of a message to a reverse alias.

    reverse_alias:  key of the reverse alias that it was sent to.
    mailboxes:      those of the alias behind it.
    login:          the SASL login that it came by, if any.
    dkim, spf:      what verifying gave; spf None where it wasn't evaluated.
    client_trusted: it came from loopback, mynetworks, or a host that may use XCLIENT or XFORWARD.
    now:            seconds since the epoch.
    """

    claims: Claims
    reverse_alias: str
    mailboxes: tuple[Mailbox, ...]
    login: str | None
    dkim: tuple[DkimResult, ...]
    spf: SpfResult | None
    client_trusted: bool
    now: float


@dataclass(frozen=True, slots=True)
class Proven:
    """It is the owner's. signatures: the octets of each aligned one; none without DKIM."""

    by: By
    identity: Address
    mailbox: Mailbox
    signatures: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Unproven:
    """It may be anybody's."""

    reason: str


@dataclass(frozen=True, slots=True)
class Undecided:
    """Nobody can say now: DNS."""

    reason: str


Proof: TypeAlias = Proven | Unproven | Undecided


class _Holds(enum.IntEnum):
    """Whether a condition holds. MAYBE: it would, if DNS answered."""

    NO = 0
    MAYBE = 1
    YES = 2


def prove(evidence: ReplyEvidence) -> Proof:
    """Apply the reply rule."""
    author = evidence.claims.author
    if author is None:
        return Unproven(evidence.claims.fault)
    mailboxes = _own_mailboxes(evidence)
    if not mailboxes:
        return Unproven("From is neither a mailbox of this alias nor one of its authorised senders")
    for mailbox in mailboxes:
        if evidence.login is not None and mailbox.login == evidence.login:
            return Proven(By.LOGIN, author, mailbox)
    return _by_mail(evidence, author, mailboxes)


def is_owner(evidence: ReplyEvidence) -> bool:
    """Whether the message claims to be the owner's: without that, no proof is worth looking for."""
    return bool(_own_mailboxes(evidence))


def mark(signature: bytes, token: str) -> str:
    """What is remembered of a used signature: 64 hexadecimal digits.

    token: of the contact's reverse alias. By whatever address the contact was written to, whoever replays the
    message may write another.
    """
    return hashlib.sha256(signature + b"\0" + token.encode()).hexdigest()


def _own_mailboxes(evidence: ReplyEvidence) -> list[Mailbox]:
    """The alias's mailboxes for which the author may write.

    An unconfirmed mailbox is only claimed to be the account's, so it speaks for nobody.
    """
    author = evidence.claims.author
    return [
        mailbox
        for mailbox in evidence.mailboxes
        if author is not None
        and author.key in mailbox.writers
        and mailbox.state is not MailboxState.UNCONFIRMED
    ]


def _by_mail(evidence: ReplyEvidence, author: Address, mailboxes: Sequence[Mailbox]) -> Proof:
    """Proofs (b), (c) and (d), in that order; the first that holds for sure."""
    own = [result for result in evidence.dkim if aligned(result.domain, author.domain)]
    usable = [result for result in own if not _flaw(evidence, result)]
    spf = _spf(evidence, author)
    willing = [mailbox for mailbox in mailboxes if mailbox.allow_spf and not is_shared(author.domain)]

    signed = _best(result for result in usable if _names_reverse_alias(evidence, result))
    found = {
        By.DKIM: signed,
        By.DKIM_SPF: min(_best(iter(usable)), spf),
        By.SPF: spf if willing else _Holds.NO,
    }
    signatures = tuple(dict.fromkeys(result.b for result in own if result.b))
    for by, holds in found.items():
        if holds is _Holds.YES:
            mailbox = willing[0] if by is By.SPF else mailboxes[0]
            return Proven(by, author, mailbox, () if by is By.SPF else signatures)
    if _Holds.MAYBE in found.values():
        return Undecided(_temporary_reason(usable))
    return Unproven(_reason(evidence, own, usable))


def _best(results: Iterator[DkimResult]) -> _Holds:
    states = (
        _Holds.YES if result.passed else _Holds.MAYBE if result.temporary else _Holds.NO for result in results
    )
    return max(states, default=_Holds.NO)


def _spf(evidence: ReplyEvidence, author: Address) -> _Holds:
    """Whether aligned SPF passes for a client that isn't the site's own."""
    spf = evidence.spf
    if spf is None or evidence.client_trusted or not aligned(spf.domain, author.domain):
        return _Holds.NO
    return {Spf.PASS: _Holds.YES, Spf.TEMPERROR: _Holds.MAYBE}.get(spf.result, _Holds.NO)


def _flaw(evidence: ReplyEvidence, result: DkimResult) -> str:
    """Why a signature would prove nothing even if it verified; "" if it would."""
    if result.has_length:
        return "the signature has l=, so text may have been appended"
    if not {"from", "date"} <= set(result.signed):
        return "From or Date is not signed"
    if result.passed and result.key_bits < LEAST_KEY_BITS and result.algorithm != "ed25519":
        return "the key is too short"
    date = evidence.claims.date
    if date is None:
        return "there is not exactly one readable Date"
    if not evidence.now - OLDEST <= date <= evidence.now + EARLIEST:
        return "Date is not within 5 days"
    return ""


def _names_reverse_alias(evidence: ReplyEvidence, result: DkimResult) -> bool:
    """Whether the reverse alias stands in a To or Cc field that the signature covers.

    Fields of one name are signed from the bottom up: of three To fields with "to" twice in h=, the
    topmost is anybody's (RFC 6376 §5.4.2).
    """
    for name, fields in (("to", evidence.claims.to), ("cc", evidence.claims.cc)):
        unsigned = max(0, len(fields) - result.signed.count(name))
        if any(evidence.reverse_alias in field for field in fields[unsigned:]):
            return True
    return False


def _temporary_reason(usable: Sequence[DkimResult]) -> str:
    return next((result.reason for result in usable if result.temporary), "SPF: DNS did not answer")


def _reason(evidence: ReplyEvidence, own: Sequence[DkimResult], usable: Sequence[DkimResult]) -> str:
    """What stood in the way of the nearest proof."""
    if not own:
        return "there is no DKIM signature of the From domain"
    if not usable:
        return f"DKIM: {_flaw(evidence, own[0])}"
    if not any(result.passed for result in usable):
        return f"DKIM: {usable[0].reason}"
    return "DKIM: the reverse alias is not in a signed To or Cc, and SPF does not pass for the From domain"
