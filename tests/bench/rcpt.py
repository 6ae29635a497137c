"""What RCPT takes, seen by the client: with gate and milter, and without."""

from __future__ import annotations

import smtplib
import time

from load import SENDER
from ways import Way

_A_TRANSACTION = 50


def milliseconds(way: Way, count: int) -> list[float]:
    """The times of so many RCPTs of one session."""
    host, _, port = way.smtp.rpartition(":")
    times: list[float] = []
    with smtplib.SMTP(host, int(port), timeout=60) as session:
        session.ehlo()
        while len(times) < count:
            session.mail(SENDER)
            for _ in range(_A_TRANSACTION):
                begun = time.perf_counter()
                code, text = session.rcpt(way.recipient)
                times.append((time.perf_counter() - begun) * 1000)
                if code != 250:
                    raise RuntimeError(f"{way.name}: RCPT was answered {code} {text!r}")
            session.rset()
    return times
