"""A line of the log: when, which of Postfix's daemons, and what it said.

Three forms are read: syslog's own ("Nov  3 08:56:01 mx postfix/smtpd[22]: …", local time, no year), ISO
8601 as rsyslog and journalctl write it, and the lines of our own programs.

DIAGNOSTICS
    None: a line that is none of these is None.

STANDARDS
    RFC 3164 §4.1, RFC 3339; postlogd(8).
"""

from __future__ import annotations

import datetime
import re
import time
from dataclasses import dataclass

from postmask.clock import DAY

_CLASSIC = re.compile(r"([A-Z][a-z]{2}) ([ 0-3]\d) (\d\d):(\d\d):(\d\d) ")
_ISO = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:?\d\d) ")
_TAGGED = re.compile(r"\S+ ([!-9;-~]+)\[\d+\]: ")
_OURS = re.compile(r"(?:\S+ [!-~]+: )?(postmask-[a-z]+): ")
_OUT_OF_ORDER = 120.0
"""Seconds by which a line may be behind the one before it: several programs write into one log."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Line:
    """service: how master.cf's service logs, "postfix" or "postfix/submission". daemon: smtpd, qmgr, …

    For a line of ours service is "" and daemon the program.
    """

    at: float
    service: str
    daemon: str
    text: str


class LineReader:
    """Reads the lines of one Postfix.

    name: its syslog_name, by which it is told from other instances in the same log. now: seconds since
    the epoch, for lines without a year.
    """

    def __init__(self, name: str, now: float) -> None:
        self._mine = (f"{name}/", "postfix/postmask-")
        self._now = now
        self._minute = ("", 0.0)
        self._last = 0.0

    def read(self, text: str) -> Line | None:
        """The line, or None for one that isn't this Postfix's nor ours."""
        if "postfix" not in text and "postmask-" not in text and self._mine[0] not in text:
            return None
        text = text.rstrip("\r\n")
        classic = _CLASSIC.match(text)
        stamp = classic or _ISO.match(text)
        if stamp is None:
            return None
        tagged = _TAGGED.match(text, stamp.end())
        if tagged and tagged[1].startswith(self._mine):
            service, _, daemon = tagged[1].rpartition("/")
            said = text[tagged.end() :]
        else:
            ours = _OURS.match(text, stamp.end())
            if ours is None:
                return None
            service, daemon, said = "", ours[1], text[ours.end() :]
        at = self._classic(text, stamp) if classic else _iso(stamp)
        return None if at is None else Line(at, service, daemon, said)

    def _classic(self, text: str, stamp: re.Match[str]) -> float | None:
        """Seconds since the epoch; the year is the latest that doesn't put the line ahead of now.

        Of an hour that comes twice, when summer time ends, it is the second if the log has had the first.
        """
        minute, second = text[:12], int(stamp[5])
        if self._minute[0] != minute:
            found = self._minute_of(stamp)
            if found is None:
                return None
            self._minute = (minute, found)
        self._last = self._minute[1] + second
        return self._last

    def _minute_of(self, stamp: re.Match[str]) -> float | None:
        if stamp[1] not in _MONTHS:
            return None
        month = _MONTHS.index(stamp[1]) + 1
        this_year = time.localtime(self._now).tm_year
        for year in (this_year + 1, this_year, this_year - 1):
            try:
                day, hour, minute = (int(stamp[place]) for place in (2, 3, 4))
                local = datetime.datetime(year, month, day, hour, minute)  # noqa: DTZ001 - it is local time
            except ValueError:  # 29 February
                continue
            at = local.timestamp()
            if at <= self._now + DAY:
                return local.replace(fold=1).timestamp() if at < self._last - _OUT_OF_ORDER else at
        return None


def _iso(stamp: re.Match[str]) -> float | None:
    zone = "+00:00" if stamp[4] == "Z" else stamp[4]
    try:
        at = datetime.datetime.fromisoformat(f"{stamp[1]}T{stamp[2]}{zone}").timestamp()
    except ValueError:
        return None
    return at + float(stamp[3] or 0)
