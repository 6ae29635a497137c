"""What the DNS has where a record of ours should be."""

from __future__ import annotations

from postmask.auth.dns import Dns
from postmask.clock import Clock, Deadline
from postmask.directory.lookup import Found, Unavailable
from postmask.dnsrecords import Published, Record, RecordType, compare

_SECONDS = 10.0


def published(resolver: Dns, record: Record, clock: Clock) -> tuple[Published, list[str]]:
    """Whether a record is published, and what there is under its name (or why nobody knows)."""
    values = _values(resolver, record, Deadline.after(clock, _SECONDS))
    if isinstance(values, Unavailable):
        return Published.UNKNOWN, [values.reason]
    return compare(record, values), values


def _values(resolver: Dns, record: Record, deadline: Deadline) -> list[str] | Unavailable:
    if record.type is RecordType.MX:
        exchanges = resolver.exchanges(record.name, deadline)
        if isinstance(exchanges, Unavailable):
            return exchanges
        found = exchanges.value if isinstance(exchanges, Found) else ()
        return [f"{preference} {host}" for preference, host in found]
    texts = resolver.txt(record.name, deadline)
    if isinstance(texts, Unavailable):
        return texts
    strings = texts.value if isinstance(texts, Found) else ()
    return [text.decode("utf-8", "backslashreplace") for text in strings]
