"""Addresses searched for in text: in any case, however "@", "." and "+" are escaped, also with a detail.

DIAGNOSTICS
    None. Finding nothing in 20 MB costs a few milliseconds an address: the two most telling pieces of
    it are looked for first.

STANDARDS
    RFC 5233 (detail), RFC 3986 §2.1 (percent-encoding), HTML character references.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

import idna

from postmask.address import Address

_AT = rb"(?:@|%40|&#0*64;|&#x0*40;|&commat;| at | ?[(\[]at[)\]] ?)"
_DOT = rb"(?:\.|%2e|&#0*46;|&#x0*2e;|&period;)"
_PLUS = rb"(?:\+|%2b|&#0*43;|&#x0*2b;|&plus;)"
_DETAIL = rb"(?:" + _PLUS + rb"[^\s@\"<>&%;,]{0,64}+)?"
_FILES = rb"eml|msg|txt|pdf|docx?|xlsx?|html?|png|jpe?g|zip|ics|vcf|csv|xml|json|mbox|asc|pgp|p7[sm]"
_END = rb"(?![a-z0-9])(?!\.(?!(?:" + _FILES + rb")(?![a-z0-9-]))[a-z0-9])"
"""A longer domain is another one; but "bob@example.com.pdf" names a file."""

_BEFORE = re.compile(rb"(?:\A|[^a-z0-9._+-]|(?:\A|[^a-z0-9])[._+-]|%[0-9a-f]{2}|\\[nrt])\Z")
"""What may stand in front: nothing that would make it a longer local part."""

_LOOK_BACK = 3
_CHUNK = re.compile(rb"[a-z0-9]+|[^\x00-\x7f]+")
_REVERSE_LOCAL = re.compile(rb"[a-z0-9][a-z0-9-]{0,38}\.[a-z2-7]{24}")
_REVERSE = re.compile(_REVERSE_LOCAL.pattern + _AT + rb"([a-z0-9.-]{1,253})")
_TOKEN = re.compile(rb"\.[a-z2-7]{24}[@%& (\[]")


ReverseAliases = Callable[[str], str | None]
"""For reverse aliases that aren't known beforehand: what looks like one → what stands for it, or None for
one that isn't ours."""


@dataclass(frozen=True, slots=True)
class Hit:
    """An address found. replacement: None where nothing may stand for it."""

    start: int
    end: int
    replacement: bytes | None


def has_reverse_shape(address: Address) -> bool:
    """Whether its local part looks like that of a reverse alias."""
    return _REVERSE_LOCAL.fullmatch(address.local.lower().encode("utf-8", "replace")) is not None


class Finder:
    """Finds a set of addresses. secrets: address → what stands for it, or None."""

    def __init__(self, secrets: Mapping[str, str | None], reverse: ReverseAliases | None = None) -> None:
        self._patterns = [
            (chunks, pattern, None if new is None else new.encode("utf-8"))
            for address, new in secrets.items()
            for chunks, pattern in _forms(address)
        ]
        self._reverse = reverse

    def hits(self, data: bytes) -> list[Hit]:
        """All places in their order; none overlaps another."""
        lowered = data.lower()
        found = [
            Hit(match.start(), match.end(), new)
            for chunks, pattern, new in self._patterns
            if all(chunk in lowered for chunk in chunks)
            for match in pattern.finditer(lowered)
            if _begins(lowered, match.start())
        ]
        found += self._reverse_hits(lowered)
        return _without_overlaps(found)

    def _reverse_hits(self, lowered: bytes) -> list[Hit]:
        if self._reverse is None:
            return []
        found = []
        for token in _TOKEN.finditer(lowered):
            match = _at_token(lowered, token.start())
            if not match:
                continue
            local = match[0][: token.start() - match.start() + 25].decode()
            domain = match[1].rstrip(b".-").decode()
            real = self._reverse(f"{local}@{domain}")
            if real is not None:
                found.append(Hit(match.start(), match.start(1) + len(domain), real.encode("utf-8")))
        return found


def replace(data: bytes, hits: Sequence[Hit]) -> bytes:
    """The bytes with each place replaced. Where "@" was percent-encoded it is so again."""
    pieces: list[bytes] = []
    position = 0
    for hit in hits:
        new = hit.replacement or b""
        if b"%40" in data[hit.start : hit.end]:
            new = new.replace(b"@", b"%40")
        pieces += (data[position : hit.start], new)
        position = hit.end
    pieces.append(data[position:])
    return b"".join(pieces)


@lru_cache(maxsize=512)
def _forms(address: str) -> tuple[tuple[tuple[bytes, ...], re.Pattern[bytes]], ...]:
    """For each spelling of the domain the pieces that must be there at all, and the pattern."""
    local, _, domain = address.lower().rpartition("@")
    spellings = {domain}
    with suppress(idna.IDNAError, UnicodeError):  # then it is no international name
        spellings.add(idna.decode(domain))
    return tuple(_form(local.encode("utf-8"), spelling.encode("utf-8")) for spelling in sorted(spellings))


def _form(local: bytes, domain: bytes) -> tuple[tuple[bytes, ...], re.Pattern[bytes]]:
    telling = [max(chunks, key=len) for part in (domain, local) if (chunks := _CHUNK.findall(part))]
    pattern = _escaped(local) + _DETAIL + _AT + _escaped(domain) + _END
    return tuple(sorted(telling, key=len, reverse=True)), re.compile(pattern)


def _escaped(part: bytes) -> bytes:
    return _DOT.join(_PLUS.join(map(re.escape, piece.split(b"+"))) for piece in part.split(b"."))


def _begins(lowered: bytes, start: int) -> bool:
    return bool(_BEFORE.search(lowered[max(0, start - _LOOK_BACK) : start]))


def _at_token(lowered: bytes, dot: int) -> re.Match[bytes] | None:
    """The reverse alias whose token begins behind this dot, with the longest hint that fits."""
    start = dot
    while (
        start > 0
        and dot - start < 39
        and (lowered[start - 1 : start].isalnum() or lowered[start - 1] == 0x2D)
    ):
        start -= 1
    while start < dot and lowered[start] == 0x2D:
        start += 1
    return _REVERSE.match(lowered, start) if start < dot else None


def _without_overlaps(hits: list[Hit]) -> list[Hit]:
    kept: list[Hit] = []
    for hit in sorted(hits, key=lambda hit: (hit.start, -hit.end)):
        if not kept or hit.start >= kept[-1].end:
            kept.append(hit)
    return kept
