"""Makes DKIM-Signature fields: relaxed/simple, From over-signed, no l=.

The header is canonicalised, hashed and folded by dkimpy; the arithmetic is `cryptography`'s, on a key
object that is kept. The body is hashed where it lies, once for all of a domain's keys.

DIAGNOSTICS
    UnsignableError: there is no From field, which every signature has to cover (RFC 6376 §5.4).

STANDARDS
    RFC 6376 §5 (signing), §5.4.1 (which fields), §8.15 (over-signing), RFC 8463 (Ed25519).
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import dkim
from dkim.canonicalization import CanonicalizationPolicy

from postmask.auth.dkim.canonical import hash_body
from postmask.auth.dkim.keys import SigningKey
from postmask.message.headers import Field, Headers

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

_CANONICAL = b"relaxed/simple"
_LINE = b"\r\n "
"""Before a tag's name: a new line. dkimpy breaks what comes behind the last one, if need be in the middle of
a word, and leaves alone what comes before: a long domain or selector stays whole."""


class UnsignableError(ValueError):
    """No signature is possible: From is missing."""


class _RawSignature(NamedTuple):
    signature: bytes


class _DigestSigner(NamedTuple):
    """A key in the form in which dkimpy asks a key object, instead of its own arithmetic, to sign."""

    key: SigningKey

    def sign(self, digest: bytes) -> _RawSignature:
        return _RawSignature(self.key.sign_digest(digest))


class _HeaderSigner(dkim.DKIM):
    """dkimpy's header half: canonicalises, hashes, signs and folds one field.

    dkimpy signs through a key object only where the algorithm is Ed25519 and does RSA by itself, in
    slow arithmetic that isn't constant-time. signature_algorithm chooses nothing but that branch,
    the a= tag is ours: so Ed25519 is claimed for every key. Nothing in dkimpy is replaced for others.
    """

    def __init__(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        super().__init__()
        self.headers = headers
        self.hasher = hashlib.sha256
        self.signature_algorithm = b"ed25519-sha256"


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
    fields = [field for field in headers.fields if field.key in SIGNED]
    names = _names_to_sign(fields)
    digest = hash_body(body) if body_hash is None else body_hash
    tags = [
        (b"v", b"1"),
        (b"a", key.tag),
        (b"c", _CANONICAL),
        (_LINE + b"d", domain.encode("ascii")),
        (b"s", selector.encode("ascii")),
        (_LINE + b"t", b"%d" % at),
        (b"h", b" : ".join(names)),
        (b"bh", base64.b64encode(digest)),
        # Long enough that dkimpy breaks the line before b=, where the real value will break it too.
        (b"b", b"0" * 60),
    ]
    signer = _HeaderSigner([_name_and_value(field) for field in fields])
    policy = CanonicalizationPolicy.from_c_value(_CANONICAL)
    value = signer.gen_header(tags, names, policy, b"DKIM-Signature", _DigestSigner(key))
    return b"DKIM-Signature: " + value


def _names_to_sign(fields: Sequence[Field]) -> list[bytes]:
    """What h= lists: each field as often as it occurs and once more."""
    present = Counter(field.key for field in fields)
    if not present[b"from"]:
        raise UnsignableError("a message without a From field can't be signed")
    names: list[bytes] = []
    for name in SIGNED:
        if present[name] or name in _ALWAYS:
            names += [name] * (min(present[name], _MOST_OF_A_NAME) + 1)
    return names


def _name_and_value(field: Field) -> tuple[bytes, bytes]:
    name, _, value = field.raw.partition(b":")
    return name, value
