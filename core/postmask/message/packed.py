"""What compressed files hold: the members of a zip archive (Word, Excel, OpenDocument), gzip, the compressed
streams of a PDF, and its strings in hexadecimal.

Office programs write there who edited or commented a file, in a PDF who made it.

DIAGNOSTICS
    unpacked never raises: what is encrypted, broken or compressed in another way is left out. A bomb is
    unpacked in pieces, and no further than there is room.

STANDARDS
    APPNOTE.TXT §4.3.7 (zip), RFC 1950, RFC 1951, RFC 1952 (deflate), ISO 32000 §7.3.4.3 (strings), §7.3.8.
"""

from __future__ import annotations

import binascii
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress

_PIECE = 65_536
_MOST_STREAMS = 5_000
_MOST_WITHIN = 2
"""A document in an archive in an archive."""

_BEGINNING = 1024
_PDF = b"%PDF-"
_STREAMS = (
    (b"PK\x03\x04", re.compile(rb"PK\x03\x04.{4}\x08\0.{16}(..)(..)", re.DOTALL), -zlib.MAX_WBITS),
    (b"\x1f\x8b\x08", re.compile(rb"(?=\x1f\x8b\x08)"), zlib.MAX_WBITS | 16),
    (_PDF, re.compile(rb"(?<!end)stream\r?\n"), zlib.MAX_WBITS),
)
"""With what such a file begins, what stands before each stream, with two lengths of what stands between, and
what zlib calls the form."""

_HEXADECIMAL = re.compile(rb"<([0-9A-Fa-f\s]{12,4000}+)>")


def unpacked(data: bytes, room: int, within: int = 0) -> Iterator[bytes]:
    """The contents, one after the other, at most `room` octets in all."""
    beginning = data[:_BEGINNING]
    for mark, before, form in _STREAMS:
        if mark not in beginning:
            continue
        if mark == _PDF:
            yield from _hexadecimal(data)
        for content in _inflated(data, before, form, room):
            room -= len(content)
            yield content
            if mark == _PDF:
                yield from _hexadecimal(content)
            elif within < _MOST_WITHIN:
                for inner in unpacked(content, room, within + 1):
                    room -= len(inner)
                    yield inner


def _inflated(data: bytes, before: re.Pattern[bytes], form: int, room: int) -> Iterator[bytes]:
    position = 0
    view = memoryview(data)
    for _ in range(_MOST_STREAMS):
        match = before.search(data, position)
        if not match or room <= 0:
            return
        start = match.end() + sum(int.from_bytes(length, "little") for length in match.groups())
        content, position = _stream(view, start, form, room)
        position = max(position, match.start() + 1)
        room -= len(content)
        if content:
            yield content


def _stream(view: memoryview, start: int, form: int, room: int) -> tuple[bytes, int]:
    """What it holds, as far as it is sound, and where it ends, or is no stream any more."""
    inflater = zlib.decompressobj(form)
    pieces: list[bytes] = []
    position = start
    with suppress(zlib.error):
        while room > 0 and not inflater.eof and position < len(view):
            piece = view[position : position + _PIECE]
            pieces.append(inflater.decompress(piece, room))
            room -= len(pieces[-1])
            position += len(piece)
    return b"".join(pieces), position - len(inflater.unused_data)


def _hexadecimal(data: bytes) -> Iterator[bytes]:
    """What its strings in hexadecimal say, in one piece: a page has thousands."""
    digits = [one for found in _HEXADECIMAL.findall(data) if len(one := b"".join(found.split())) % 2 == 0]
    if digits:
        yield b"\n".join(map(binascii.unhexlify, digits))
