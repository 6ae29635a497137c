"""Tries to have mail relayed through a host, from outside and at every listener.

    accepted(site)      the attempts that were not refused: (listener, sender, recipient)

Recipients are nobody's on this host, written in each of the ways by which servers were fooled: routes in
the local part and before the address, a quoted local part, our domain's neighbours, addresses that look like
ours. No message is sent, for none should get that far.
"""

from __future__ import annotations

import itertools
import smtplib
from typing import TypeAlias

from sites import DOMAIN, Site

Attempt: TypeAlias = tuple[str, str, str]

SENDERS = ("bob@example.com", f"shop@{DOMAIN}", "me@host.test", "")
RECIPIENTS = (
    "x@foreign.test",
    f"x%foreign.test@{DOMAIN}",
    f"@{DOMAIN}:x@foreign.test",
    f'"x@foreign.test"@{DOMAIN}',
    f"foreign.test!x@{DOMAIN}",
    f"x@foreign.test@{DOMAIN}",
    f"x@{DOMAIN}.foreign.test",
    f"x@{DOMAIN}@foreign.test",
    f"x@nosuch.{DOMAIN}",
    f'"x@{DOMAIN}"@foreign.test',
    f"bob.aaaaaaaaaaaaaaaaaaaaaaaa@{DOMAIN}",
    f"{'a' * 53}@{DOMAIN}",
    f"x%{DOMAIN}@foreign.test",
    "x@[203.0.113.9]",
)
_IN_A_SESSION = 7
"""Below smtpd_soft_error_limit, from which on smtpd is slow to answer."""
_NO_LISTENERS = ("SINK", "FILTER", "NOBODY", "SRS", "UNSRS")


def accepted(site: Site) -> list[Attempt]:
    """Those whose recipient was taken; none at a listener that turns such a client away at once."""
    listeners = [name for name in site.ports if name not in _NO_LISTENERS]
    halves = RECIPIENTS[:_IN_A_SESSION], RECIPIENTS[_IN_A_SESSION:]
    return [
        attempt
        for listener, sender, recipients in itertools.product(listeners, SENDERS, halves)
        for attempt in _accepted(site, listener, sender, recipients)
    ]


def _accepted(site: Site, listener: str, sender: str, recipients: tuple[str, ...]) -> list[Attempt]:
    try:
        with site.session(listener) as session:
            assert session.docmd(f"MAIL FROM:<{sender}>")[0] == 250
            answers = [session.docmd(f"RCPT TO:<{recipient}>")[0] for recipient in recipients]
    except smtplib.SMTPConnectError:
        return []
    assert all(code // 100 in (2, 4, 5) for code in answers), answers
    return [
        (listener, sender, recipient)
        for recipient, code in zip(recipients, answers, strict=True)
        if code // 100 == 2
    ]
