"""Who sent this message: SPF for the envelope sender and for HELO, DKIM, and DMARC, in one go.

The policy of the author's domain is looked up first, then what may speak for that domain, strangers' domains
last: nobody can use up the budget with servers of his own that don't answer, and so get past the policy of
a domain that he forges.

DIAGNOSTICS
    Never an error: without DNS the results are temperror, and DKIM's temporary. `dns` sees to it that
    this doesn't take long (postmask.auth.questions).
"""

from __future__ import annotations

from dataclasses import dataclass

from postmask.auth import dkim, spf
from postmask.auth.dmarc import Judge, author_domain
from postmask.auth.dns import Dns
from postmask.authentication import Authentication, Dmarc, DmarcResult, SpfResult
from postmask.clock import Deadline
from postmask.message.headers import Headers


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom a message came from: client address ("" unknown), HELO, envelope sender ("" the null one)."""

    address: str
    helo: str
    sender: str


def authenticate(
    headers: Headers, body: bytes, peer: Peer, dns: Dns, deadline: Deadline, now: float
) -> Authentication:
    """All results for a message.

    headers, body: as they came, with CRLF line ends. dns: the message's own, which remembers answers.
    deadline: for everything, hashing the body included. now: seconds since the epoch.
    """
    author = author_domain(headers)
    judge = Judge(author, dns, deadline) if author else None
    if judge:
        judge.prepare()
    speaks = judge.may_align if judge else lambda _: True

    def check_spf(sender: str) -> SpfResult:
        return spf.check(peer.address, peer.helo, sender, dns, deadline)

    first = speaks(spf.domain_of(peer.helo, peer.sender))
    by_sender = check_spf(peer.sender) if first else None
    signatures = dkim.verify(headers, body, dns.txt, deadline, now, first=speaks)
    by_sender = by_sender or check_spf(peer.sender)
    return Authentication(
        spf=by_sender,
        helo=check_spf("") if peer.sender else by_sender,
        dkim=signatures,
        dmarc=judge.judge(by_sender, signatures)
        if judge
        else DmarcResult(Dmarc.PERMERROR, reason="From names not exactly one domain"),
    )
