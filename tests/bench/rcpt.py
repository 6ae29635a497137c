"""What RCPT takes, seen by the client."""

from __future__ import annotations

import smtplib
import time
from collections.abc import Iterable

from load import SENDER

from postmask.store.batches import batched

_A_TRANSACTION = 50


def milliseconds(smtp: str, recipients: Iterable[str]) -> list[float]:
    """The times of the RCPTs of one session with the server at smtp, in order. All must be accepted."""
    host, _, port = smtp.rpartition(":")
    times: list[float] = []
    with smtplib.SMTP(host, int(port), timeout=60) as session:
        session.ehlo()
        for some in batched(recipients, _A_TRANSACTION):
            session.mail(SENDER)
            for recipient in some:
                begun = time.perf_counter()
                code, text = session.rcpt(recipient)
                times.append((time.perf_counter() - begun) * 1000)
                if code != 250:
                    raise RuntimeError(f"{smtp}: RCPT of {recipient} was answered {code} {text!r}")
            session.rset()
    return times
