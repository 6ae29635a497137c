"""Body and header fields as DKIM hashes them.

Written for messages that a stranger chose: every step takes time linear in the length, where a
pattern like "blanks, then a line's end" takes quadratic time on one long line of blanks. A body is
hashed where it lies; only in relaxed form pieces of it are copied, one after the other.

DIAGNOSTICS
    OutOfTimeError: the deadline passed while a body was being hashed.

STANDARDS
    RFC 6376 §3.4 (canonicalisation), §3.7 (what is hashed), §8.2 (l=).
"""

from __future__ import annotations

import enum
import hashlib
import re
from collections.abc import Collection, Iterator

from postmask.clock import Deadline
from postmask.message.headers import Field

_CRLF = b"\r\n"
_MANY_CRLF = _CRLF * 2048
_PIECE = 65_536
_BLANKS = re.compile(rb"[\t ]{2,}|\t")
_VISIBLE = re.compile(rb"[^\t \r\n]")


class Form(enum.StrEnum):
    """The two canonical forms, named as in c=."""

    SIMPLE = "simple"
    RELAXED = "relaxed"


class OutOfTimeError(Exception):
    """The deadline passed before the body was hashed."""


def hash_body(body: bytes) -> bytes:
    """SHA-256 of the whole body in simple form: what bh= of a signature of ours says."""
    digest = hashlib.sha256()
    for piece in _simple(body):
        digest.update(piece)
    return digest.digest()


def hash_bodies(
    body: bytes, form: Form, lengths: Collection[int | None], deadline: Deadline
) -> dict[int | None, bytes | None]:
    """SHA-256 of the canonical body, for each length: None for all of it, a number as l= gives it.

    None for a length that the body doesn't have. One pass, however many lengths. Raises OutOfTimeError.
    """
    digests = {length: hashlib.sha256() for length in lengths}
    done = 0
    for piece in _simple(body) if form is Form.SIMPLE else _relaxed(body):
        if deadline.passed:
            raise OutOfTimeError
        for length, digest in digests.items():
            digest.update(piece if length is None else piece[: max(0, length - done)])
        done += len(piece)
    return {
        length: None if length is not None and length > done else digest.digest()
        for length, digest in digests.items()
    }


def canonical_field(field: Field, form: Form) -> bytes:
    """A field with its CRLF."""
    if form is Form.SIMPLE:
        return field.raw
    _, _, value = field.raw.partition(b":")
    return field.key + b":" + _relaxed_value(value) + _CRLF


def canonical_signature(name: bytes, value: bytes, form: Form) -> bytes:
    """The signature's own field, its b= already emptied: without the final CRLF."""
    if form is Form.SIMPLE:
        return name + b":" + value.removesuffix(_CRLF)
    return name.strip().lower() + b":" + _relaxed_value(value)


def _relaxed_value(value: bytes) -> bytes:
    return _BLANKS.sub(b" ", value.replace(_CRLF, b"")).strip(b" ")


def _end_of_text(body: bytes) -> int:
    """Where the empty lines at the body's end begin; the last line's own CRLF is one of them."""
    end = len(body)
    for block in (_MANY_CRLF, _CRLF):
        while body.endswith(block, 0, end):
            end -= len(block)
    return end


def _simple(body: bytes) -> Iterator[bytes | memoryview]:
    """Empty lines at the end become the one CRLF that even an empty body has."""
    yield memoryview(body)[: _end_of_text(body)]
    yield _CRLF


def _relaxed(body: bytes) -> Iterator[bytes]:
    """Runs of blanks become one, at a line's end none; empty lines at the end go, all of them.

    Each piece but the first begins with a visible character: so no run of blanks and line ends is
    ever cut, and only the last piece can hold those at the body's end.
    """
    position = 0
    while position < len(body):
        following = _VISIBLE.search(body, position + _PIECE)
        end = following.start() if following else len(body)
        piece = body[position:end]
        last = end == len(body)
        if last and not piece.endswith(_CRLF):
            piece += _CRLF
        if b"  " in piece or b"\t" in piece:
            piece = _BLANKS.sub(b" ", piece)
        piece = piece.replace(b" \r\n", _CRLF)
        if last:
            end_of_text = _end_of_text(piece)
            piece = piece[:end_of_text] + _CRLF if end_of_text else b""
        yield piece
        position = end
