"""What a text says to whoever decodes it once more: its other readings, in which addresses are searched for.

Programs write addresses so into links, keys and cards, and a source that is quoted shows them so; where a
structure isn't read as another program would read it, whole parts stand there. Nothing is written back from a
reading.

DIAGNOSTICS
    readings never raises. What has no reading of its own costs a look for its mark.

STANDARDS
    RFC 4648 §4, §5 (base64), RFC 2045 §6.7 (quoted-printable), RFC 3986 §2.1 (percent-encoding), HTML
    character references, Sender Rewriting Scheme.
"""

from __future__ import annotations

import binascii
import html
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from postmask.message.mime import decode_base64

_RUN = re.compile(
    rb"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{16,}+(?:(?:\r?\n[ \t>]*+|[ \t]++)[A-Za-z0-9+/_-]++)*+"
)
"""Base64 in one line or in several, with the words behind it."""

_NOT_DIGITS = b"\r\n\t >"
_URL_DIGITS = bytes.maketrans(b"-_", b"+/")
_LETTER_ESCAPED = re.compile(rb"%(?:25)*(?:3[0-9]|[46][1-9a-fA-F]|[57][0-9aA])")
_MOST_UNESCAPED = 3
_QUOTED_PRINTABLE = re.compile(rb"=(?:[0-9A-Fa-f]{2}|\r?\n)")
_SOFT_BREAK = re.compile(rb"=\r?\n[ \t>]*+")
_SRS = re.compile(rb"=[A-Za-z0-9]{2}=([^\s=@]{1,253}+)=([^\s=@]{1,128}+)@")
"""The end of an envelope sender that a forwarder wrote: "=TT=domain=local@"."""


def readings(text: bytes) -> Iterator[bytes]:
    """The other readings."""
    if b"&#" in text:
        yield html.unescape(text.decode("latin-1")).encode("utf-8", "replace")
    if b"%" in text and _LETTER_ESCAPED.search(text):
        yield _percent_decoded(text)
    if _QUOTED_PRINTABLE.search(text):
        yield binascii.a2b_qp(_SOFT_BREAK.sub(b"", text))
    if rewritten := [b"%s@%s" % (local, domain) for domain, local in _SRS.findall(text)]:
        yield b"\n".join(rewritten)
    yield b"\n".join(_base64_decoded(text))


def _percent_decoded(text: bytes) -> bytes:
    for _ in range(_MOST_UNESCAPED):
        text = unquote_to_bytes(text)
    return text


def _base64_decoded(text: bytes) -> Iterator[bytes]:
    """What runs of base64 say, at each place where the first group of four may begin."""
    for run in _RUN.findall(text):
        digits = run.translate(_URL_DIGITS, _NOT_DIGITS)
        for start in range(4):
            yield decode_base64(digits[start:])
