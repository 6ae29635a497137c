"""Authentication-Results: what we write into it, and whose a field claims to be.

Other verifiers' fields are passed on as they are and never taken as proof of anything. A field that
claims to be ours can't be, on a message that comes in: it is taken out.

DIAGNOSTICS
    None: a field whose head can be read in more than one way counts as a claim to be ours.

STANDARDS
    RFC 8601 §2.2 (syntax), §2.7 (results), §5 (removal), RFC 6008 (header.b).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

from postmask.address import AddressError, parse_domain
from postmask.authentication import Authentication, DkimResult, DmarcResult, Spf, SpfResult
from postmask.message import words
from postmask.message.headers import Field, comment_end, fold

FIELD = "Authentication-Results"
KEY = FIELD.lower().encode("ascii")

READ_LIMIT = 100_000
"""Octets of such fields that are read in one message; an honest one has few, of less than one KB each."""

_TOKEN = re.compile(r"[A-Za-z0-9_.-]{1,255}")
_QUOTABLE = re.compile(r"[A-Za-z0-9_.:+/=-]{1,255}")
_HEAD_PIECE = re.compile(
    r"""(?P<quoted> "((?:[^"\\]|\\.)*+)" )
      | (?P<open> \( )
      | (?P<end> ; )
      | (?P<text> [^"();\\]++ )
      | .""",
    re.VERBOSE | re.DOTALL,
)
_WORD = re.compile(r"[^\s/\0-\x20]+")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def results_field(authserv_id: str, found: Authentication) -> Field:
    """The field that tells what we found. authserv_id: a domain name."""
    results = [
        *_spf(found.spf, found.helo),
        *(_dkim(one) for one in found.dkim),
        *([] if found.dkim else ["dkim=none"]),
        _dmarc(found.dmarc),
    ]
    parts = [authserv_id, *results]
    return fold(FIELD, [f"{part};".encode("ascii") for part in parts[:-1]] + [parts[-1].encode("ascii")])


def claims_to_be(field: Field, authserv_id: str) -> bool:
    """Whether it is an Authentication-Results field by that verifier, or might be read as one."""
    if field.key != KEY:
        return False
    raw = words.raw_text(field.value)
    heads = [_head(text) for text in {raw, words.decode(raw)}]
    return any(head is None or _names(head, authserv_id.lower()) for head in heads)


def _names(head: str, authserv_id: str) -> bool:
    """Whether the words before the first semicolon (the id, a version) are that id's, however parted."""
    found = _WORD.findall(head)
    return any(_normal(word) == authserv_id for word in (*found, "".join(found)))


def _normal(word: str) -> str:
    try:
        return parse_domain(word)
    except AddressError:
        return word.lower()


def _head(text: str) -> str | None:
    """What stands before the first semicolon, without comments and quotes; None: something isn't closed."""
    kept: list[str] = []
    position = 0
    while piece := _HEAD_PIECE.match(text, position):
        position = piece.end()
        match piece.lastgroup:
            case "end":
                break
            case "open":
                end = comment_end(text, position)
                if end is None:
                    return None
                position = end
            case "quoted":
                kept.append(_ESCAPE.sub(r"\1", piece[2]))
            case "text":
                kept.append(piece[0])
            case _:
                return None
    return "".join(kept)


def _spf(by_sender: SpfResult, by_helo: SpfResult) -> Iterator[str]:
    yield _result("spf", by_sender.result, ("smtp.mailfrom", by_sender.domain))
    if by_helo.result is not Spf.NONE and by_helo != by_sender:
        yield _result("spf", by_helo.result, ("smtp.helo", by_helo.domain))


def _dkim(one: DkimResult) -> str:
    return _result(
        "dkim",
        _dkim_result(one),
        ("header.d", one.domain),
        ("header.s", one.selector),
        ("header.a", f"{one.algorithm}-sha256" if one.algorithm else ""),
        ("header.b", base64.b64encode(one.b).decode("ascii")[:8]),
    )


def _dkim_result(one: DkimResult) -> str:
    """RFC 8601 §2.7.1: neutral can't be read, permerror can't be verified, fail was verified in vain."""
    if one.passed:
        return "pass"
    if one.temporary:
        return "temperror"
    if not one.domain:
        return "neutral"
    return "fail" if one.key_bits else "permerror"


def _dmarc(found: DmarcResult) -> str:
    return _result("dmarc", found.result, ("policy.dmarc", found.policy), ("header.from", found.domain))


def _result(method: str, result: str, *properties: tuple[str, str]) -> str:
    """A value that a stranger made up and that has other characters is left out."""
    told = [
        f"{name}={value}" if _TOKEN.fullmatch(value) else f'{name}="{value}"'
        for name, value in properties
        if _QUOTABLE.fullmatch(value)
    ]
    return " ".join([f"{method}={result}", *told])
