"""Encoded words: how header text outside ASCII is written, and read.

Reading is tolerant: a wrong charset, broken base64 or a character cut in two between neighbouring
words still gives some text. Writing gives UTF-8 words of at most 75 octets, cut between characters.

DIAGNOSTICS
    None: decode never raises, whatever it is given.

STANDARDS
    RFC 2047, RFC 2231 §5 (a language after the charset).
"""

from __future__ import annotations

import base64
import binascii
import codecs
import encodings
import pkgutil
import re
from collections.abc import Callable
from encodings.aliases import aliases

_WORD = re.compile(r"=\?([^?*\s]{1,40})(?:\*[^?\s]{0,40})?\?([BbQq])\?([^?\r\n]*+)\?=")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")
_HEX = re.compile(rb"=([0-9A-Fa-f]{2})")
_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
"""What stands for itself in a Q word, also inside a phrase (RFC 2047 §5 (3))."""

_ROOM = 75 - len("=?utf-8?q?") - len("?=")

_NOT_MAIL_CHARSETS = frozenset({"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined"})
"""Python calls these text encodings; none is a charset, and some take quadratic time."""

_NAMES = frozenset(aliases) | {module.name for module in pkgutil.iter_modules(encodings.__path__)}
"""All that Python knows. It is asked for nothing else: it remembers each unknown name for ever."""

_WIDER = {"gb2312": "gb18030"}
"""A charset that is commonly declared where the wider one is meant."""


def charset_text(data: bytes, charset: str) -> str:
    """Bytes in a declared charset as text; what the charset doesn't explain is read as UTF-8 or Latin-1."""
    try:
        known = lookup(charset)
        if known.replace("_", "-") not in _NOT_MAIL_CHARSETS:
            return _sound(data.decode(_WIDER.get(known, known)))
    except (LookupError, ValueError):
        pass  # unknown or wrongly declared: read below as if nothing had been declared
    return raw_text(data)


def lookup(charset: str) -> str:
    """Python's name for a charset. Raises LookupError."""
    name = encodings.normalize_encoding(charset.lower()).lower()
    if name not in _NAMES and name.replace(".", "_") not in _NAMES:
        raise LookupError("no charset of that name")
    return codecs.lookup(name).name


def _sound(text: str) -> str:
    """The text, if it can be written down: half a surrogate pair, which UTF-7 lets pass, is a ValueError."""
    text.encode("utf-8")
    return text


def raw_text(data: bytes) -> str:
    """Undeclared 8-bit bytes as text: UTF-8 if they are that, else Latin-1."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def decode(text: str) -> str:
    """Header text with its encoded words read. Words in a row are joined before their charset is applied."""
    if "=?" not in text:
        return text
    pieces: list[str] = []
    charset, run, end = "", bytearray(), 0
    for word in _WORD.finditer(text):
        between = text[end : word.start()]
        glued = end > 0 and not between.strip()
        if not glued or word[1].lower() != charset:
            pieces.append(charset_text(bytes(run), charset) if run else "")
            run.clear()
            charset = word[1].lower()
        if not glued:
            pieces.append(between)
        run += _payload(word[2], word[3])
        end = word.end()
    if run:
        pieces.append(charset_text(bytes(run), charset))
    pieces.append(text[end:])
    return "".join(pieces)


def _payload(encoding: str, payload: str) -> bytes:
    data = payload.encode("utf-8", "replace")
    if encoding in "Qq":
        return _HEX.sub(lambda pair: bytes.fromhex(pair[1].decode()), data.replace(b"_", b" "))
    digits = _NOT_BASE64.sub(b"", data)
    digits = digits[:-1] if len(digits) % 4 == 1 else digits
    return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))


def encode(text: str) -> list[str]:
    """The text as encoded words, each at most 75 characters, to be joined by folding white space."""
    data = text.encode("utf-8", "replace")
    escaped = sum(byte not in _SAFE and byte != 0x20 for byte in data)
    if 3 * escaped + len(data) - escaped > len(data) * 4 // 3 + 3:
        return [
            f"=?utf-8?b?{base64.b64encode(chunk).decode()}?=" for chunk in _chunks(text, len, _ROOM // 4 * 3)
        ]
    return [f"=?utf-8?q?{_quoted(chunk)}?=" for chunk in _chunks(text, _quoted_length, _ROOM)]


def _quoted(data: bytes) -> str:
    return "".join(chr(b) if b in _SAFE else "_" if b == 0x20 else f"={b:02X}" for b in data)


def _quoted_length(data: bytes) -> int:
    return sum(1 if b in _SAFE or b == 0x20 else 3 for b in data)


def _chunks(text: str, size: Callable[[bytes], int], room: int) -> list[bytes]:
    """UTF-8 cut between characters into pieces whose sizes sum up to no more than the room in a word."""
    chunks: list[bytes] = []
    chunk, used = bytearray(), 0
    for character in text:
        more = character.encode("utf-8", "replace")
        needed = size(more)
        if used + needed > room:
            chunks.append(bytes(chunk))
            chunk, used = bytearray(), 0
        chunk += more
        used += needed
    chunks.append(bytes(chunk))
    return chunks
