"""What came from mail, made fit to be shown: on a terminal, in a log, in a notice.

`printable` is the one function for it. What it returns is one line without control characters,
without anything that turns the direction of writing or has no shape of its own, and unambiguous: an
escape begins with a backslash, a backslash of the text is doubled.

DIAGNOSTICS
    None: every input has an answer, however broken.

STANDARDS
    Unicode general categories; UAX #9 for the bidirectional controls (all of category Cf).
"""

from __future__ import annotations

import unicodedata

BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
"""The bidirectional controls, and the byte order mark, which is as little to be seen."""

_CUT = "..."

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
"""Categories that are escaped: controls, formats (bidi, zero width), surrogates, private use,
unassigned, and all separators but the plain space."""

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"}


def printable(text: str | bytes, limit: int = 200, *, sentence: bool = False) -> str:
    """The text on one line, escaped where needed, at most `limit` characters ("..." at the end if cut).

    Bytes are read as UTF-8; octets that aren't are shown as \\xNN.
    sentence: one of ours, in which what came from elsewhere may be escaped already; its backslashes stay.
    """
    if isinstance(text, bytes):
        # An octet needs no more than four characters, a character needs no more than four octets.
        text = text[: 4 * limit + 4].decode("utf-8", "surrogateescape")
    if len(text) <= limit and text.isascii() and text.isprintable() and "\\" not in text:
        return text
    shown: list[str] = []
    length = 0
    for character in text:
        piece = character if sentence and character == "\\" else _escaped(character)
        length += len(piece)
        if length > limit:
            return _cut(shown, limit)
        shown.append(piece)
    return "".join(shown)


def _escaped(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    if character == " " or unicodedata.category(character) not in _HIDDEN:
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _cut(pieces: list[str], limit: int) -> str:
    """Whole pieces with the mark of the cut behind them; an escape is never torn."""
    room = max(0, limit - len(_CUT))
    length = sum(map(len, pieces))
    while length > room and pieces:
        length -= len(pieces.pop())
    return ("".join(pieces) + _CUT)[:limit]
