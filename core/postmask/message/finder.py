"""Addresses searched for in text: in any case, however "@", "." and "+" are escaped, also with a detail, in
quotes, or with "=" for "@", as bounce addresses of lists have them; and through what isn't seen in the text.

DIAGNOSTICS
    None. Finding nothing in 20 MB costs a few milliseconds a domain, where that isn't in it; else the most
    telling piece of each address is looked for first, in the lines that name the domain.

STANDARDS
    RFC 5233 (detail), RFC 3986 §2.1 (percent-encoding), HTML character references.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

import idna

from postmask.address import Address

_AT = (
    rb"(?:[ \t]?@[ \t]?|\xef\xbc\xa0|%(?:25)*40|&#0*64;|&#x0*40;|&commat;|\\(?:u0040|'40|@)"
    rb"| at | ?[(\[]at[)\]] ?)"
)
_DOT = rb"(?:\.|%(?:25)*2e|&#0*46;|&#x0*2e;|&period;| dot | ?[(\[]dot[)\]] ?)"
_PLUS = rb"(?:\+|%(?:25)*2b|&#0*43;|&#x0*2b;|&plus;)"
_QUOTE = rb"(?:\\?\"|&quot;|&#0*34;|%(?:25)*22)"
_NOT_IN_DETAIL = rb"\s@\"<>()\[\]\\:&%;,\xef"
_DETAIL = rb"(?:" + _PLUS + rb"[^" + _NOT_IN_DETAIL + rb"]{0,64}+)?"
_DETAIL_OF_VERP = rb"(?:" + _PLUS + rb"[^=" + _NOT_IN_DETAIL + rb"]{0,64}+)?"
_BEHIND_LOCAL = rb"(?:" + _DETAIL + rb"(" + _QUOTE + rb")?(" + _AT + rb")|" + _DETAIL_OF_VERP + rb"(=))"
_FILES = rb"eml|msg|txt|pdf|docx?|xlsx?|html?|png|jpe?g|zip|ics|vcf|csv|xml|json|mbox|asc|pgp|p7[sm]"
_END = rb"(?![a-z0-9])(?!\.(?!(?:" + _FILES + rb")(?![a-z0-9-]))[a-z0-9])"
"""A longer domain is another one; but "bob@example.com.pdf" names a file."""

_END_OR_TAG = rb"(?:" + _END + rb"|(?=[01]))"
"""Behind a string in a certificate stand tags that are digits as well: then its length tells the end."""

_COUNTED = frozenset(b"\x0c\x13\x16\x81\xb4\xcd")
"""Tags of strings in certificates and OpenPGP keys, behind which an octet gives the length."""

_BEFORE = re.compile(
    rb"(?:\A|[^a-z0-9._+-]|(?:\A|[^a-z0-9])[._+-]|%(?:25)*[0-9a-f]{2}|\\(?:[nrt]|u[0-9a-f]{4})"
    rb"|\x1b\([bj]|[\x81-\xfe][a-z0-9])\Z"
)
"""What may stand in front: nothing that would make it a longer local part. In iso-2022-jp, and as the second
octet of a character in shift_jis, big5 and their kind, letters do stand there."""

_GLUE = {b"=": b"+-_", b"%": b"+"}
"""What else may, by how "@" is written: "bounce-bob=example.com", "to+bob%40example.com"."""

_DELIVERED = re.compile(rb"delivered-to:[ \t]*+([a-z0-9.-]{1,255}-)\Z")
"""qmail puts the domain, or its number, before the local part."""

_LONGEST_DELIVERED = 280
_OPENING = re.compile(_QUOTE + rb"\Z")
_LOOK_BACK = 9
_CHUNK = re.compile(r"[a-z0-9]+")
_REVERSE_LOCAL = re.compile(rb"[a-z0-9][a-z0-9-]{0,38}\.[a-z2-7]{24}")
_REVERSE = re.compile(rb"(" + _REVERSE_LOCAL.pattern + rb")(" + _AT + rb")([a-z0-9.-]{1,253})")
_TOKEN = re.compile(rb"\.[a-z2-7]{24}[@%& (\[]")
_BOUNCE = re.compile(rb"@(?<![a-z0-9._+-][a-z2-7]{53}@)(?<=[a-z2-7]{53}@)([a-z0-9.-]{1,253})")
_BOUNCE_LENGTH = 53


ReverseAliases = Callable[[str], str | None]
"""For reverse aliases and bounce addresses, which aren't known beforehand: what looks like one → what stands
for it, or None for one that isn't ours."""


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
        self._secrets: dict[str, list[tuple[str, bytes, bytes | None]]] = {}
        for address, new in secrets.items():
            local, _, domain = address.lower().rpartition("@")
            one = (local, _telling(local), None if new is None else new.encode("utf-8"))
            self._secrets.setdefault(domain, []).append(one)
        self._reverse = reverse

    def hits(self, data: bytes, unseen: re.Pattern[bytes] | None = None) -> list[Hit]:
        """All places in their order; none overlaps another. unseen: what may stand within an address without
        being seen; tags of it are kept, behind the replacement."""
        found = self._found(data)
        if unseen:
            found += self._hidden(data, unseen)
        return _without_overlaps(found)

    def _found(self, data: bytes) -> list[Hit]:
        lowered = data.lower()
        found = [
            Hit(start, match.end(), new and _written(new, match[2] or match[3]))
            for pattern, new in self._possible(lowered)
            for match in pattern.finditer(lowered)
            if (start := _start(lowered, match)) is not None
        ]
        return found + self._reverse_hits(lowered)

    def _possible(self, lowered: bytes) -> Iterator[tuple[re.Pattern[bytes], bytes | None]]:
        """The patterns of those whose most telling pieces stand in a line that has their domain's, and what
        stands for them. An account may have thousands: a domain is looked for once, and what isn't there has
        no pattern made."""
        for domain, secrets in self._secrets.items():
            present = [spelling for spelling in spellings(domain) if _telling(spelling) in lowered]
            if present:
                lines = _lines(lowered, [_telling(spelling) for spelling in present])
                for local, telling, new in secrets:
                    if telling in lines:
                        yield from ((_pattern(local, spelling), new) for spelling in present)

    def _hidden(self, data: bytes, unseen: re.Pattern[bytes]) -> Iterator[Hit]:
        """The places that show without what isn't seen."""
        seen, count = unseen.subn(b"", data)
        hits = _without_overlaps(self._found(seen)) if count else []
        pieces = unseen.finditer(data) if hits else iter(())
        piece = next(pieces, None)
        gone = 0
        for hit in hits:
            while piece and piece.start() - gone <= hit.start:
                gone += len(piece[0])
                piece = next(pieces, None)
            start, inside = hit.start + gone, []
            while piece and piece.start() - gone < hit.end:
                inside.append(piece[0])
                gone += len(piece[0])
                piece = next(pieces, None)
            tags = b"".join(one for one in inside if one.startswith(b"<"))
            yield Hit(start, hit.end + gone, hit.replacement and hit.replacement + tags)

    def _reverse_hits(self, lowered: bytes) -> list[Hit]:
        if self._reverse is None:
            return []
        found = []
        for token in _TOKEN.finditer(lowered):
            match = _at_token(lowered, token.start())
            if not match:
                continue
            local, at, domain = match[1].decode(), match[2], match[3].rstrip(b".-").decode()
            real = self._reverse(f"{local}@{domain}")
            if real is not None:
                new = _written(real.encode("utf-8"), at)
                found.append(Hit(match.start(), match.start(3) + len(domain), new))
        for bounce in _BOUNCE.finditer(lowered):
            start, domain = bounce.start() - _BOUNCE_LENGTH, bounce[1].rstrip(b".-")
            alias = self._reverse(lowered[start : bounce.start(1)].decode() + domain.decode())
            if alias is not None:
                found.append(Hit(start, bounce.start(1) + len(domain), alias.encode("utf-8")))
        return found


def replace(data: bytes, hits: Sequence[Hit]) -> bytes:
    """The bytes with each place replaced."""
    pieces: list[bytes] = []
    position = 0
    for hit in hits:
        pieces += (data[position : hit.start], hit.replacement or b"")
        position = hit.end
    pieces.append(data[position:])
    return b"".join(pieces)


def _lines(data: bytes, pieces: Sequence[bytes]) -> bytes:
    """The lines that have one of the pieces. No pattern of an address goes on behind an LF."""
    return b"\n".join(line for line in data.split(b"\n") if any(piece in line for piece in pieces))


@lru_cache(maxsize=512)
def spellings(domain: str) -> tuple[str, ...]:
    """How it is written; an international name in Unicode too."""
    found = {domain}
    with suppress(idna.IDNAError, UnicodeError):  # then it is no international name
        found.add(idna.decode(domain))
    return tuple(sorted(found))


def _telling(part: str) -> bytes:
    """The longest piece of it that stands as it is however it is escaped; may be empty."""
    return max(_CHUNK.findall(part), key=len, default="").encode()


@lru_cache(maxsize=512)
def _pattern(local: str, domain: str) -> re.Pattern[bytes]:
    return re.compile(_escaped(local) + _BEHIND_LOCAL + _escaped(domain) + _END_OR_TAG)


def _escaped(part: str) -> bytes:
    pieces = (piece.split("+") for piece in part.split("."))
    return _DOT.join(_PLUS.join(b"".join(map(_character, one)) for one in piece) for piece in pieces)


def _character(character: str) -> bytes:
    """What isn't ASCII in both cases, composed or not, in UTF-8, percent-encoded UTF-8 and Latin-1."""
    if character.isascii():
        return re.escape(character.encode())
    cases = [character, character.upper()]
    spelled = [one.encode() for case in cases for one in (case, unicodedata.normalize("NFD", case))]
    spelled += [
        b"".join(b"%%%02x" % octet if octet > 0x7F else b"%c" % octet for octet in one) for one in spelled
    ]
    spelled += [one.encode("latin-1") for one in cases if max(one) <= "\xff"]
    return b"(?:" + b"|".join(map(re.escape, spelled)) + b")"


def _written(new: bytes, at: bytes) -> bytes:
    """The address with its "@" escaped as that of the one that it stands for."""
    return new.replace(b"@", at) if at[:1] in (b"%", b"=", b"\\") else new


def _start(lowered: bytes, match: re.Match[bytes]) -> int | None:
    """Where the address begins; None: it is the beginning or the end of a longer one."""
    start, end = match.span()
    if _is_counted(lowered, start, end):
        return start
    if lowered[end : end + 1] in (b"0", b"1"):
        return None
    if match[1]:
        opening = _OPENING.search(lowered, max(0, start - _LOOK_BACK), start)
        if not opening:
            return None
        start = opening.start()
    if _BEFORE.search(lowered[max(0, start - _LOOK_BACK) : start]):
        return start
    before = lowered[start - 1]
    if before in _GLUE.get((match[2] or match[3])[:1], b""):
        return start
    delivered = before == 0x2D and _DELIVERED.search(lowered, max(0, start - _LONGEST_DELIVERED), start)
    return delivered.start(1) if delivered else None


def _is_counted(lowered: bytes, start: int, end: int) -> bool:
    """Whether it is a whole string in a certificate or key."""
    length = bytes([min(end - start, 0xFF)]).lower()
    return start > 1 and lowered[start - 2] in _COUNTED and lowered[start - 1 : start] == length


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
