"""The DNS records that a domain of ours needs, how they are written, and whether they are published.

STANDARDS
    RFC 5321 §5 (MX), RFC 7208 (SPF), RFC 6376 §3.6.2 (DKIM keys), RFC 9989 §4.7 (DMARC),
    RFC 1035 §5.1 and §3.3.14 (zone files; strings of 255 octets at most).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SPF = "v=spf1 mx -all"
DMARC = "v=DMARC1; p=quarantine"
MX_PREFERENCE = 10

_STRING_LIMIT = 255


class RecordType(enum.StrEnum):
    """The kinds we need."""

    MX = "MX"
    TXT = "TXT"


class Purpose(enum.StrEnum):
    """What a record is for: decides how strictly the published one is compared."""

    MX = "mx"
    SPF = "spf"
    DKIM = "dkim"
    DMARC = "dmarc"


class Published(enum.StrEnum):
    """What a look-up of a record came to."""

    FOUND = "found"
    MISSING = "missing"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


_RELEVANT = {Purpose.SPF: r"v=spf1( |$)", Purpose.DMARC: r"v\s*=\s*(?-i:DMARC1)\s*(;|$)"}
"""How a value begins where others may stand under the same name."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record to publish. name: in full, without the final dot. value: as one string, unquoted."""

    purpose: Purpose
    name: str
    type: RecordType
    value: str

    def line(self) -> str:
        """For people and web forms: name, type, value, the value to the end of the line."""
        return f"{self.name} {self.type} {self.value}"

    def zone_line(self) -> str:
        """For a zone file (RFC 1035 §5.1)."""
        value = self.value + "." if self.type is RecordType.MX else _strings(self.value)
        return f"{self.name}. IN {self.type} {value}"


def wanted(domain: str, hosts: Sequence[str], keys: Iterable[tuple[str, str]]) -> tuple[Record, ...]:
    """The records for a domain. hosts: its mail exchangers; keys: (selector, TXT value)."""
    return (
        *(Record(Purpose.MX, domain, RecordType.MX, f"{MX_PREFERENCE} {host}") for host in hosts),
        Record(Purpose.SPF, domain, RecordType.TXT, SPF),
        *(
            Record(Purpose.DKIM, f"{selector}._domainkey.{domain}", RecordType.TXT, value)
            for selector, value in keys
        ),
        Record(Purpose.DMARC, f"_dmarc.{domain}", RecordType.TXT, DMARC),
    )


def compare(record: Record, published: Sequence[str]) -> Published:
    """Whether what is published does the wanted record's work.

    published: TXT values as one string each, or MX values as "preference host". More mail exchangers,
    further SPF mechanisms and another DMARC policy are the owner's own choice.
    """
    found = relevant(record, published)
    match record.purpose:
        case Purpose.MX:
            good = _host(record.value) in map(_host, found)
        case Purpose.SPF:
            good = len(found) == 1 and "mx" in _mechanisms(found[0])
        case Purpose.DKIM:
            good = any(_key(value) == _key(record.value) for value in found)
        case Purpose.DMARC:
            good = len(found) == 1
    if not found:
        return Published.MISSING
    return Published.FOUND if good else Published.DIFFERENT


def relevant(record: Record, published: Sequence[str]) -> list[str]:
    """Those values that are of the wanted record's purpose."""
    pattern = _RELEVANT.get(record.purpose, "")
    return [value for value in published if re.match(pattern, value, re.IGNORECASE)]


def _strings(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    pieces = [escaped[at : at + _STRING_LIMIT] for at in range(0, len(escaped), _STRING_LIMIT)]
    return " ".join(f'"{piece}"' for piece in pieces)


def _host(value: str) -> str:
    return value.split()[-1].rstrip(".").lower()


def _mechanisms(value: str) -> set[str]:
    return {term.lstrip("+").lower() for term in value.split()[1:]}


def _key(value: str) -> tuple[str, str]:
    """Kind and key of a DKIM record; k= is rsa unless it says otherwise."""
    tags = dict(part.split("=", 1) for part in re.sub(r"\s+", "", value).split(";") if "=" in part)
    return tags.get("k", "rsa"), tags.get("p", "")
