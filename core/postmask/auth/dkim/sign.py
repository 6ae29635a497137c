"""Makes DKIM-Signature fields: relaxed/simple, From over-signed, no l=.

The arithmetic is `cryptography`'s, on a key object that is kept. The body is hashed where it lies, once for
all of a domain's keys. The field is folded between its tags and within h= and b=, never within a name.

DIAGNOSTICS
    UnsignableError: there is no From field, which every signature has to cover (RFC 6376 §5.4).

STANDARDS
    RFC 6376 §5 (signing), §5.4.1 (which fields), §8.15 (over-signing), RFC 8463 (Ed25519).
"""

from __future__ import annotations

import base64
import hashlib

from postmask.auth.dkim.canonical import Form, canonical_field, hash_body
from postmask.auth.dkim.keys import SigningKey
from postmask.message.headers import Field, Headers, fold

SIGNED = (
    b"from",
    b"sender",
    b"reply-to",
    b"to",
    b"cc",
    b"subject",
    b"date",
    b"message-id",
    b"in-reply-to",
    b"references",
    b"mime-version",
    b"content-type",
    b"content-transfer-encoding",
    b"content-id",
    b"content-description",
    b"list-id",
    b"list-help",
    b"list-unsubscribe",
    b"list-unsubscribe-post",
    b"list-subscribe",
    b"list-post",
    b"list-owner",
    b"list-archive",
    b"autocrypt",
)
"""The fields that are signed where present, once more than they occur, so that none can be added."""

_ALWAYS = frozenset({b"from", b"reply-to"})
"""Signed even when absent: a field of this name added on the way changes who seems to have written,
or where an answer goes, and no honest relay adds one."""

_MOST_OF_A_NAME = 20
"""Repetitions of one field that are signed; more is junk, and h= would grow without bound."""

_NAME = "DKIM-Signature"
_PIECE = 72


class UnsignableError(ValueError):
    """No signature is possible: From is missing."""


def sign(
    headers: Headers,
    body: bytes,
    *,
    domain: str,
    selector: str,
    key: SigningKey,
    at: int,
    body_hash: bytes | None = None,
) -> bytes:
    """One DKIM-Signature field, folded, with its CRLF: to be put before the headers.

    headers, body: the finished message; every line ends with CRLF.
    domain, selector: A-labels. at: when, in seconds since the epoch, for t=.
    body_hash: hash_body(body), where the caller has it. Raises UnsignableError.
    """
    names, fields = _to_sign(headers)
    words = [
        b"v=1;",
        b"a=%b;" % key.tag,
        b"c=relaxed/simple;",
        b"d=%b;" % domain.encode("ascii"),
        b"s=%b;" % selector.encode("ascii"),
        b"t=%d;" % at,
        *(b"h=%b;" % b"\n: ".join(names)).split(b"\n"),
        b"bh=%b;" % base64.b64encode(hash_body(body) if body_hash is None else body_hash),
    ]
    unsigned = canonical_field(fold(_NAME, [*words, b"b="]), Form.RELAXED).removesuffix(b"\r\n")
    signed = b"".join(canonical_field(field, Form.RELAXED) for field in fields) + unsigned
    written = b"b=" + base64.b64encode(key.sign_digest(hashlib.sha256(signed).digest()))
    pieces = [written[start : start + _PIECE] for start in range(0, len(written), _PIECE)]
    return fold(_NAME, [*words, *pieces]).raw


def _to_sign(headers: Headers) -> tuple[list[bytes], list[Field]]:
    """What h= lists, each field as often as it occurs and once more; and those fields, in that order."""
    present: dict[bytes, list[Field]] = {}
    for field in reversed(headers.fields):
        present.setdefault(field.key, []).append(field)
    if b"from" not in present:
        raise UnsignableError("a message without a From field can't be signed")
    names: list[bytes] = []
    fields: list[Field] = []
    for name in SIGNED:
        occurring = present.get(name, [])
        if occurring or name in _ALWAYS:
            times = min(len(occurring), _MOST_OF_A_NAME) + 1
            names += [name] * times
            fields += occurring[:times]
    return names, fields
