"""The parts of a MIME message as places in its bytes: found, never copied or written anew.

Whoever wants to change a part edits the bytes between its offsets, and all else keeps every octet.

DIAGNOSTICS
    walk never raises. What passes MAX_DEPTH or MAX_PARTS isn't taken apart: the structure then says
    that it isn't complete. A multipart without a boundary, or whose delimiter never comes, is one part.

STANDARDS
    RFC 2045 (Content- fields), RFC 2046 §5 (multipart, message), RFC 6532 §3.7 (message/global).
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from postmask.message.headers import Headers, read

MAX_DEPTH = 20
MAX_PARTS = 1000

MESSAGES = frozenset({"message/rfc822", "message/global", "message/news"})
"""Types whose content is a message."""

_LONGEST_VALUE = 4_000
_TYPE = re.compile(rb"\s*([^\s;/]+/[^\s;/]+)")
_PARAMETER = re.compile(rb';\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*+)"|([^\s;"]*))')
_ESCAPE = re.compile(rb"\\(.)")
_DELIMITER_END = re.compile(rb"(--)?[ \t]*(?:\r?\n|\Z)")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/=]+")
_NO_DIGIT = re.compile(rb"[^A-Za-z0-9+/]+")
_BASE64_RUN = re.compile(rb"[^=]{2,}")
_PADDED_INSIDE = re.compile(rb"[^=]*+=[^A-Za-z0-9+/]*+[A-Za-z0-9+/]")
_BLANKS_AT_SOFT_BREAK = re.compile(rb"=[ \t]++(?=\r?\n|\Z)")
_COMMENT = re.compile(rb"\([^()]*+\)?")
_IDENTITY = frozenset({"", "7bit", "8bit", "binary"})


@dataclass(frozen=True, slots=True)
class Part:
    """One part. Offsets are into the message's body.

    headers:      its header; at:    where that begins (-1 for the message's own).
    start, end:   its content, without the line end that belongs to the next delimiter.
    kind:         "type/subtype" in lower case; parameters: of Content-Type, keys in lower case.
    encoding:     Content-Transfer-Encoding in lower case.
    holds_parts:  its content is other parts, which follow in the list.
    """

    headers: Headers
    at: int
    start: int
    end: int
    kind: str
    parameters: Mapping[str, str]
    encoding: str
    holds_parts: bool

    @property
    def is_identity(self) -> bool:
        """The content stands there as it is."""
        return self.encoding in _IDENTITY

    def content(self, body: bytes) -> bytes | None:
        """The content without its transfer encoding; None: an encoding that nobody knows."""
        if self.is_identity:
            return body[self.start : self.end]
        raw = memoryview(body)[self.start : self.end]
        if self.encoding == "quoted-printable":
            return decode_quoted_printable(bytes(raw))
        return decode_base64(raw) if self.encoding == "base64" else None


@dataclass(slots=True)
class Structure:
    """All parts, containers before what they hold. complete: nothing was left out."""

    parts: list[Part] = field(default_factory=list)
    complete: bool = True


def walk(headers: Headers, body: bytes) -> Structure:
    """The parts of a message."""
    walker = _Walker(body)
    walker.part(headers, -1, 0, len(body), 0, "text/plain")
    return walker.structure


def content_type(headers: Headers, default: str = "text/plain") -> tuple[str, dict[str, str]]:
    """The type and the parameters of Content-Type; the default where there is none that can be read."""
    found = headers.get("content-type")
    value = found.value[:_LONGEST_VALUE] if found else b""
    kind = _TYPE.match(value)
    if not kind:
        return default, {}
    parameters = {
        name.lower().decode("latin-1"): (_ESCAPE.sub(rb"\1", quoted) or token).decode("latin-1")
        for name, quoted, token in _PARAMETER.findall(value)
    }
    return kind[1].lower().decode("latin-1"), parameters


class _Walker:
    """One walk over one body."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.structure = Structure()

    def part(self, headers: Headers, at: int, start: int, end: int, depth: int, default: str) -> None:
        kind, parameters = content_type(headers, default)
        encoding = _encoding(headers)
        boundary = parameters.get("boundary", "").rstrip().encode("latin-1")
        multipart = kind.startswith("multipart/") and bool(boundary)
        holds = (multipart or kind in MESSAGES) and encoding in _IDENTITY
        if len(self.structure.parts) >= MAX_PARTS or (holds and depth >= MAX_DEPTH):
            self.structure.complete = False
            holds = False
        if len(self.structure.parts) > MAX_PARTS:
            return
        self.structure.parts.append(Part(headers, at, start, end, kind, parameters, encoding, holds))
        if not holds:
            return
        if not multipart:
            self._inner(start, end, depth, "text/plain")
            return
        inner_default = "message/rfc822" if kind == "multipart/digest" else "text/plain"
        parts, preamble_end, epilogue_start = self._delimited(start, end, boundary)
        self._outside(start, preamble_end)
        for part_start, part_end in parts:
            self._inner(part_start, part_end, depth, inner_default)
        self._outside(epilogue_start, end)

    def _inner(self, start: int, end: int, depth: int, default: str) -> None:
        headers, content = read(self.body, start, end)
        self.part(headers, start, content, end, depth + 1, default)

    def _outside(self, start: int, end: int) -> None:
        """Preamble or epilogue: text that mail programs don't show, but that is sent."""
        if start < end:
            self.structure.parts.append(Part(Headers([]), -1, start, end, "text/plain", {}, "", False))

    def _delimited(self, start: int, end: int, boundary: bytes) -> tuple[list[tuple[int, int]], int, int]:
        """The places of the parts, the end of the preamble, the start of the epilogue."""
        spans: list[tuple[int, int]] = []
        mark = b"--" + boundary
        preamble_end, opened, position = end, -1, start
        while (at := self.body.find(mark, position, end)) >= 0:
            position = at + len(mark)
            tail = _DELIMITER_END.match(self.body, position, end)
            if not tail or (at != start and self.body[at - 1] != 0x0A):
                continue
            if opened < 0:
                preamble_end = at
            else:
                spans.append((opened, max(opened, self._before_line_end(at))))
            opened = position = tail.end()
            if tail[1]:
                return spans, preamble_end, opened
            if len(spans) > MAX_PARTS:
                break
        if opened >= 0:
            spans.append((opened, end))
        return spans, preamble_end, end

    def _before_line_end(self, at: int) -> int:
        return at - 2 if self.body[at - 2 : at] == b"\r\n" else at - 1


def _encoding(headers: Headers) -> str:
    found = headers.get("content-transfer-encoding")
    words = _COMMENT.sub(b" ", found.value[:_LONGEST_VALUE]).split() if found else []
    return words[0].lower().decode("latin-1") if words else ""


def decode_quoted_printable(raw: bytes) -> bytes:
    """As mail programs read it: blanks at the end of a line don't count, also behind a "=", where Python
    takes that for a letter."""
    return binascii.a2b_qp(_BLANKS_AT_SOFT_BREAK.sub(b"=", raw))


def decode_base64(raw: bytes | memoryview) -> bytes:
    """As mail programs read it: also behind a padding, where Python stops, and without one at the end."""
    if not _PADDED_INSIDE.match(raw):
        with suppress(binascii.Error):
            return binascii.a2b_base64(raw)
    runs = _BASE64_RUN.findall(_NOT_BASE64.sub(b"", raw))
    return b"".join(binascii.a2b_base64(_whole(run)) for run in runs)


def read_on_base64(raw: bytes) -> bytes:
    """As programs read it to which a "=" that more follows means nothing; empty where there is none."""
    return binascii.a2b_base64(_whole(_NO_DIGIT.sub(b"", raw))) if _PADDED_INSIDE.match(raw) else b""


def _whole(run: bytes) -> bytes:
    """The characters with their padding, without a last one that is too little for an octet."""
    kept = run[:-1] if len(run) % 4 == 1 else run
    return kept + b"=" * (-len(kept) % 4)
