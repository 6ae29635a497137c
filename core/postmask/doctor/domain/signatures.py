"""DKIM: whether the keys that sign for a domain are the published ones.

STANDARDS
    RFC 6376 §3.6.1 (key records), §3.6.2.2 (several records), RFC 8301, RFC 8463.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from postmask.auth.dkim.record import KeyRecordError, RevokedKeyError, parse_record
from postmask.dnsrecords import Published, Record, compare
from postmask.doctor.domain import codes
from postmask.doctor.finding import Finding
from postmask.doctor.inquiry import Inquiry, shown


def look(domain: str, records: Sequence[Record], inquiry: Inquiry) -> Iterator[Finding]:
    """What is wrong with the published keys. records: the wanted ones."""
    if not records:
        yield codes.DKIM_NONE.at(domain)
    for record in records:
        texts = inquiry.texts(record.name)
        if texts is not None:
            yield from _compared(record, texts)


def _compared(record: Record, texts: Sequence[bytes]) -> Iterator[Finding]:
    where = record.name
    if not texts:
        yield codes.DKIM_MISSING.at(where)
        return
    if len(texts) > 1:
        yield codes.DKIM_SEVERAL.at(where, f"there are {len(texts)}: {shown(b' | '.join(texts))}")
    ours = [text for text in texts if compare(record, [text.decode("latin-1")]) is Published.FOUND]
    text = (ours or texts)[0]
    try:
        key = parse_record(text)
    except RevokedKeyError:
        yield codes.DKIM_REVOKED.at(where)
    except KeyRecordError as error:
        yield codes.DKIM_UNUSABLE.at(where, f"{error}: {shown(text)}")
    else:
        if not ours:
            yield codes.DKIM_DIFFERS.at(where, f"published is {shown(text)}")
        elif key.testing:
            yield codes.DKIM_TESTING.at(where)
