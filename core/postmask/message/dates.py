"""Dates in header fields, to and from seconds since the epoch.

DIAGNOSTICS
    parse answers None for what isn't a date, also for one that no calendar has.

STANDARDS
    RFC 5322 §3.3, §4.3 (obsolete zones).
"""

from __future__ import annotations

from email.utils import formatdate, mktime_tz, parsedate_tz

_LONGEST = 200


def parse(value: bytes) -> int | None:
    """Seconds since the epoch; a date without a zone is read as UTC."""
    try:
        parsed = parsedate_tz(value[:_LONGEST].decode("ascii", "replace"))
        return None if parsed is None else int(mktime_tz(parsed))
    except (ValueError, OverflowError, TypeError, IndexError):
        return None  # parsedate_tz lets impossible dates through, and mktime_tz stumbles over them


def format(at: float) -> str:  # noqa: A001 - parse's counterpart
    """The date as a field's value, in UTC."""
    return formatdate(at)
