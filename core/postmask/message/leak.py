"""The leak check: no address that the contact must not see leaves in a reply.

What is quoted in header fields and text parts is replaced: a mailbox by the alias, a reverse alias by
the contact's real address. Text is read through its transfer encoding and charset; changed parts are
encoded again, all others keep every octet. Within an address there may stand what readers don't see: tags,
soft hyphens, folds. What can't be replaced is reported, and the message must then not go out.

DIAGNOSTICS
    check never raises. `unreplaceable` says what was found where, without the address itself. At the
    end the finished bytes are searched once more as a whole; what that finds is reported too.

STANDARDS
    RFC 2045 §6 (transfer encodings), RFC 2047, RFC 2231 §3, RFC 5545 §3.1 (folding), RFC 3676 §4.1
    (flowed lines, DelSp), RFC 3986 §2.1 and HTML (escaped "@" and ".").
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from urllib.parse import unquote_to_bytes

from postmask.message import words
from postmask.message.finder import Finder, ReverseAliases, replace
from postmask.message.headers import Field, Headers, make_field, tidy
from postmask.message.mime import MESSAGES, Part, content_type, read_on_base64, walk
from postmask.message.packed import unpacked
from postmask.message.readings import IN_HTML, READ_TWICE, SOFT, readings

MAX_TEXT = 10_000_000
"""Octets of one decoded text part that is edited."""

MAX_UNPACKED = 30_000_000
"""Octets of what compressed files of one message hold that are searched: no bomb costs more."""

_MAX_ENCODED = 3
"""Messages within one another, each encoded as a whole, that are decoded and searched."""

_PROBE = "az09@.+-_"
"""What addresses are made of."""

_EDITED = ("text/", "message/", "application/ics", "application/xhtml+xml")
"""What begins the types of parts that are text, whatever their charset."""

_FOLDED = ("text/calendar", "text/vcard", "text/x-vcard", "text/directory", "application/ics")
"""Types in which a line goes on behind a line end and a blank, in the middle of an address too."""

_HTML = ("text/html", "text/x-amp-html", "application/xhtml+xml")

_IN_TEXT = re.compile(SOFT)
_IN_FOLDED = re.compile(rb"\r?\n[ \t]|" + SOFT)
_IN_FLOWED = re.compile(rb" \r?\n(?:>+ ?)?|" + SOFT)
_BARE_LF = re.compile(rb"(?<!\r)\n")
_NEXT_PIECE = re.compile(rb'"?[ \t]{0,9};\s*[^\s;=*"]{1,100}\*[1-9]\d{0,8}\*?\s*=\s*"?')
"""Between the pieces of a parameter's value that is written in several (RFC 2231 §3)."""

_ESCAPE = re.compile(rb"\\(.)")
_UNSTRUCTURED = frozenset({b"subject", b"comments", b"keywords", b"content-description", b"thread-topic"})


@dataclass(frozen=True, slots=True)
class LeakResult:
    """The cleaned message. replaced: how many places; unreplaceable: empty, or it must not go out."""

    headers: Headers
    body: bytes
    replaced: int
    unreplaceable: tuple[str, ...]


def check(
    headers: Headers,
    body: bytes,
    secrets: Mapping[str, str | None],
    reverse: ReverseAliases | None = None,
) -> LeakResult:
    """Replace every secret address by what it maps to; one that maps to None can only be reported."""
    return _Check(Finder(secrets, reverse)).run(headers, body)


@dataclass(slots=True)
class _Check:
    """One run over one message. depth: of how many it is inside that are encoded as a whole; room: octets
    of compressed files that are still searched."""

    finder: Finder
    depth: int = 0
    room: int = MAX_UNPACKED
    replaced: int = 0
    unreplaceable: list[str] = field(default_factory=list)

    def run(self, headers: Headers, body: bytes) -> LeakResult:
        structure = walk(headers, body)
        if not structure.complete:
            self.unreplaceable.append("the message has too many parts, or parts too deep, to be searched")
        cleaned = Headers([self._field(one, "the header") for one in headers.fields])
        if content_type(cleaned) != content_type(headers) and structure.parts[0].holds_parts:
            self.unreplaceable.append("an address is part of the boundary between parts")
        edits: list[tuple[int, int, bytes]] = []
        for number, part in enumerate(structure.parts):
            where = f"part {number} ({part.kind})"
            edits += self._part_header(part, where)
            if not part.holds_parts:
                edits += self._content(part, body, where)
        changed = _apply(body, edits)
        self._last_gate(cleaned, changed)
        return LeakResult(cleaned, changed, self.replaced, tuple(dict.fromkeys(self.unreplaceable)))

    def _field(self, one: Field, where: str) -> Field:
        """The field cleaned: in its octets first, then in what its encoded words say."""
        new = one
        raw = self._text(one.raw, where, _IN_TEXT)
        if raw is not one.raw:
            new = tidy(Field(raw, one.key))
        if b"*" in new.raw and self.finder.hits(unquote_to_bytes(_NEXT_PIECE.sub(b"", new.value))):
            self.unreplaceable.append(f"{where}: an address in the pieces of a parameter")
            return new
        if b"\\" in new.raw and self.finder.hits(_ESCAPE.sub(rb"\1", new.value)):
            self.unreplaceable.append(f"{where}: an address with escaped letters")
            return new
        text = new.text.encode("utf-8", "replace") if b"=?" in new.raw else b""
        if self.finder.hits(text, _IN_TEXT):
            if one.key not in _UNSTRUCTURED:
                self.unreplaceable.append(f"{where}: an address in an encoded word")
                return new
            new = make_field(new.name, self._text(text, where, _IN_TEXT).decode("utf-8", "replace"))
        self._read_again(new.raw, where)
        return new

    def _part_header(self, part: Part, where: str) -> list[tuple[int, int, bytes]]:
        if part.at < 0:
            return []
        edits = []
        at = part.at
        for one in part.headers.fields:
            new = self._field(one, where)
            end = min(at + len(one.raw), part.start)
            if new is not one:
                edits.append((at, end, new.raw))
                if part.holds_parts and content_type(Headers([new])) != content_type(Headers([one])):
                    self.unreplaceable.append("an address is part of the boundary between parts")
            at = end
        return edits

    def _content(self, part: Part, body: bytes, where: str) -> list[tuple[int, int, bytes]]:
        """The edit that cleans a part's content, if it needs one."""
        data = part.content(body)
        if data is None:
            self.unreplaceable.append(f"{where}: an unknown transfer encoding")
            return []
        if not part.is_identity and (part.kind in MESSAGES or part.kind.startswith("multipart/")):
            return self._encoded_parts(part, data, where)
        charset = _charset(part)
        wide = _is_wide(charset)
        text = _narrow(data, charset) if wide else data
        edited = part.kind.startswith(_EDITED) and len(data) <= MAX_TEXT
        if not edited and self.finder.hits(text, _IN_FOLDED if b"BEGIN:V" in text[:16] else None):
            self.unreplaceable.append(f"{where}: an address in something that isn't edited")
            return []
        new = self._text(text, where, _unseen(part)) if edited else text
        if b"\0" not in new or part.kind.endswith("pkcs7-mime"):  # S/MIME: a message with its signature
            self._read_again(new, where)
        content = data if new is text else new.decode("utf-8", "replace").encode(charset) if wide else new
        self._unpacked(data, where)
        if (wide or b"\0" in content) and self.finder.hits(content.replace(b"\0", b"")):
            self.unreplaceable.append(f"{where}: an address in something that isn't in its charset")
        if new is not text:
            return [(part.start, part.end, _encoded(content, part, wide=wide))]
        other = read_on_base64(body[part.start : part.end]) if part.encoding == "base64" else b""
        if self.finder.hits(other) or self.finder.hits(other.replace(b"\0", b"")):
            self.unreplaceable.append(f"{where}: an address in base64 that not all programs read alike")
        return []

    def _read_again(self, text: bytes, where: str) -> None:
        """What is written in yet another way within the text: only searched."""
        if any(map(self.finder.hits, readings(text))):
            self.unreplaceable.append(f"{where}: an address that is encoded once more, as in a key or a link")

    def _unpacked(self, data: bytes, where: str) -> None:
        """What a compressed file holds: only searched."""
        for inner in unpacked(data, self.room):
            self.room -= len(inner)
            texts = chain((inner,), readings(inner) if len(inner) <= READ_TWICE else ())
            if any(map(self.finder.hits, texts)):
                self.unreplaceable.append(f"{where}: an address in a compressed file")
                return

    def _encoded_parts(self, part: Part, data: bytes, where: str) -> list[tuple[int, int, bytes]]:
        """Parts that are encoded as a whole, which no standard allows and some programs do: only searched."""
        if self.depth == _MAX_ENCODED:
            self.unreplaceable.append(f"{where}: parts that are encoded as a whole too often to be searched")
            return []
        check = _Check(self.finder, self.depth + 1, self.room)
        inner = check.run(Headers(part.headers.get_all("content-type")), data)
        self.room = check.room
        if inner.replaced or inner.unreplaceable:
            self.unreplaceable.append(f"{where}: an address in parts that are encoded as a whole")
        return []

    def _text(self, data: bytes, where: str, unseen: re.Pattern[bytes] | None = None) -> bytes:
        """The bytes with all that was found replaced; the same object where nothing was."""
        hits = self.finder.hits(data, None if unseen is _IN_TEXT and data.isascii() else unseen)
        if any(hit.replacement is None for hit in hits):
            self.unreplaceable.append(f"{where}: an address that nothing may stand for")
        usable = [hit for hit in hits if hit.replacement is not None]
        self.replaced += len(usable)
        return replace(data, usable) if usable else data

    def _last_gate(self, headers: Headers, body: bytes) -> None:
        if self.finder.hits(headers.to_bytes()):
            self.unreplaceable.append("the finished header still holds an address")
        if self.finder.hits(body):
            self.unreplaceable.append("the finished body still holds an address")


def _charset(part: Part) -> str:
    try:
        return words.lookup(part.parameters.get("charset", "utf-8"))
    except (LookupError, ValueError):
        return "utf-8"


@lru_cache(maxsize=64)
def _is_wide(charset: str) -> bool:
    """Whether an ASCII address isn't its ASCII octets in it."""
    try:
        return _PROBE.encode(charset) != _PROBE.encode()
    except (LookupError, ValueError):  # none of text, or it has no such letters
        return False


def _unseen(part: Part) -> re.Pattern[bytes]:
    """What may stand within an address in the part without being seen."""
    if part.kind in _HTML:
        return IN_HTML
    if part.kind in _FOLDED:
        return _IN_FOLDED
    if part.parameters.get("delsp", "").lower() == "yes":
        return _IN_FLOWED
    return _IN_TEXT


def _narrow(data: bytes, charset: str) -> bytes:
    """Text in a wide charset as UTF-8, as far as it is that."""
    return data.decode(charset, "replace").encode("utf-8", "replace")


def _encoded(data: bytes, part: Part, *, wide: bool) -> bytes:
    """Content in the transfer encoding that its part declares. wide: its line ends aren't those octets."""
    if part.encoding == "base64":
        return base64.encodebytes(data).replace(b"\n", b"\r\n").removesuffix(b"\r\n")
    if part.encoding == "quoted-printable":
        # Python breaks lines with a bare LF where the text has no line end that shows it what to use.
        return _BARE_LF.sub(b"\r\n", binascii.b2a_qp(data, istext=not wide))
    return data


def _apply(body: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    if not edits:
        return body
    pieces: list[bytes] = []
    position = 0
    for start, end, new in sorted(edits, key=lambda edit: edit[0]):
        pieces += (body[position:start], new)
        position = end
    pieces.append(body[position:])
    return b"".join(pieces)
