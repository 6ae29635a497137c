"""What a text says to whoever decodes it once more: its other readings, in which addresses are searched for.

Programs write addresses so into links, keys and cards, and a source that is quoted shows them so; where a
structure isn't read as another program would read it, whole parts stand there. A short reading is read once
more: base64 in a source that is quoted as quoted-printable, say. Nothing is written back from a reading.

DIAGNOSTICS
    readings never raises. What has no reading of its own costs a look for its mark.

STANDARDS
    RFC 4648 §4, §5 (base64), RFC 2045 §6.7 (quoted-printable), RFC 2047 (encoded words), RFC 3986
    §2.1 (percent-encoding), HTML tags and character references, POSIX uuencode, Sender Rewriting Scheme.
"""

from __future__ import annotations

import binascii
import html
import re
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import unquote_to_bytes

from postmask.message import words
from postmask.message.mime import decode_base64, decode_quoted_printable

SOFT = rb"\xc2\xad|\xad|\xe2\x80[\x8b-\x8f]|\xe2\x81\xa0|\xef\xbb\xbf"
"""Soft hyphens, and characters without any width."""

_SOFT_ENTITY = rb"&(?:shy|zwn?j|ZeroWidthSpace|#0*(?:173|820[345]|8288|65279)|#x0*(?:ad|200[b-d]|2060|feff));"
_BLOCKS = rb"(?:p|br|hr|h\d|div|li|[uod]l|d[dt]|t(?:able|body|[dhr])|pre|center|blockquote|body)\b"
"""Tags at which a line ends, or a cell, and an address too."""

IN_HTML = re.compile(
    rb"<(?!/?" + _BLOCKS + rb")[a-z/!?][^<>]*+>|" + SOFT + rb"|" + _SOFT_ENTITY, re.IGNORECASE
)
"""What may stand within an address in HTML without being seen."""

_BREAKS = re.compile(rb"(?:\s*+<[a-z/!?][^<>]*+>\s*+)++", re.IGNORECASE)

READ_TWICE = 1_000_000
"""Octets of a reading that is read once more, and of a compressed file's content that is."""

_RUN = re.compile(
    rb"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{16,}+(?:(?:\r?\n[ \t>]*+|[ \t]++)[A-Za-z0-9+/_-]++)*+"
)
"""Base64 in one line or in several, with the words behind it."""

_NOT_DIGITS = b"\r\n\t >"
_URL_DIGITS = bytes.maketrans(b"-_", b"+/")
_LETTER_ESCAPED = re.compile(rb"%(?:25)*(?:3[0-9]|[46][1-9a-fA-F]|[57][0-9aA])")
_MOST_UNESCAPED = 3
_QUOTED_PRINTABLE = re.compile(rb"=(?:[0-9A-Fa-f]{2}|[ \t]*+\r?\n)")
_SOFT_BREAK = re.compile(rb"=[ \t]*+\r?\n[ \t>]*+")
_UUENCODED = re.compile(rb"^begin [0-7]{3,4} [^\n]*+\n((?:[ -`]{2,62}\r?\n)++)", re.MULTILINE)
_SRS = re.compile(rb"=[A-Za-z0-9]{2}=([^\s=@]{1,253}+)=([^\s=@]{1,128}+)@")
"""The end of an envelope sender that a forwarder wrote: "=TT=domain=local@"."""


def readings(text: bytes) -> Iterator[bytes]:
    """The other readings, and the readings of those."""
    for once in _read(text):
        yield once
        if len(once) <= READ_TWICE:
            yield from _read(once)


def _read(text: bytes) -> Iterator[bytes]:
    if b"\0" in text:
        yield text.replace(b"\0", b"")
    if b"</" in text:  # HTML may be attached as anything
        yield _BREAKS.sub(b"\n", IN_HTML.sub(b"", text))
    if b"&#" in text:
        yield html.unescape(text.decode("latin-1")).encode("utf-8", "replace")
    if b"%" in text and _LETTER_ESCAPED.search(text):
        yield _percent_decoded(text)
    if _QUOTED_PRINTABLE.search(text):
        yield decode_quoted_printable(_SOFT_BREAK.sub(b"", text))
    if b"=?" in text:
        yield words.decode(text.decode("latin-1")).encode("utf-8", "replace")
    if rewritten := [b"%s@%s" % (local, domain) for domain, local in _SRS.findall(text)]:
        yield b"\n".join(rewritten)
    if b"begin" in text:
        yield from map(_uudecoded, _UUENCODED.findall(text))
    if runs := _RUN.findall(text):
        yield b"\n".join(_base64_decoded(runs))


def _percent_decoded(text: bytes) -> bytes:
    for _ in range(_MOST_UNESCAPED):
        text = unquote_to_bytes(text)
    return text


def _base64_decoded(runs: list[bytes]) -> Iterator[bytes]:
    """What they say, at each place where the first group of four may begin."""
    for run in runs:
        digits = run.translate(_URL_DIGITS, _NOT_DIGITS)
        for start in range(4):
            yield decode_base64(digits[start:])


def _uudecoded(lines: bytes) -> bytes:
    """As far as it is that."""
    pieces: list[bytes] = []
    with suppress(binascii.Error):
        pieces.extend(map(binascii.a2b_uu, lines.splitlines()))
    return b"".join(pieces)
