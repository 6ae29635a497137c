"""What a message claims about itself, as far as the reply rule asks: author, recipients, date.

From is read strictly. The provider that signed the message has checked the author by its own reading
of From; a field that two programs may read differently is nobody's.

STANDARDS
    RFC 5322 §3.6 (at most one From, Date), §3.4 (addresses).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from postmask.address import Address
from postmask.message import dates, words
from postmask.message.finder import spellings
from postmask.message.headers import Field, Headers
from postmask.message.mailboxes import parse_list

_LONGEST_FROM = 2_000
"""Octets of a From with one address and its name, generously."""

_TOKEN = re.compile(
    r"""(?P<quoted> "(?:[^"\\]|\\.)*" )
      | (?P<comment> \((?:[^()\\]|\\.)*\) | \s+ )
      | (?P<angle> <[^<>]*> )
      | (?P<word> [^\s"<>(),:;]+ )
      | .""",
    re.VERBOSE | re.DOTALL,
)
_HIDDEN = re.compile(r"<[^<>]*@")
"""In quotes or a comment: to whoever reads past a backslash or a parenthesis it is the address."""

_SPEC = re.compile(r'\s*(?:"(?:[^"\\]|\\.)*"|[^\s"<>(),:;@]+)@[^\s"<>(),:;@]+\s*', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Claims:
    """What stands in the header; nothing of it is proven.

    author: the single address of the single From field. Without it, fault says what is wrong.
    to, cc: for each field of that name, topmost first, the keys of its addresses.
    date:   of the single Date field, seconds since the epoch; None: none, several, or unreadable.
    """

    author: Address | None
    fault: str = ""
    to: tuple[tuple[str, ...], ...] = ()
    cc: tuple[tuple[str, ...], ...] = ()
    date: int | None = None


def read_claims(headers: Headers) -> Claims:
    """The claims of a message."""
    author, fault = _author(headers.get_all("from"))
    written = headers.get_all("date")
    return Claims(
        author=author,
        fault=fault,
        to=tuple(_keys(field) for field in headers.get_all("to")),
        cc=tuple(_keys(field) for field in headers.get_all("cc")),
        date=dates.parse(written[0].value) if len(written) == 1 else None,
    )


def _author(fields: list[Field]) -> tuple[Address | None, str]:
    if len(fields) != 1:
        return None, "there are several From fields" if fields else "there is no From field"
    value = fields[0].value
    if len(value) > _LONGEST_FROM:
        return None, "From is too long"
    read = parse_list(value)
    if len(read.entries) != 1 or read.junk:
        return None, "From does not hold exactly one address"
    address = read.entries[0].address
    if not _unmistakable(words.raw_text(value), address):
        return None, "From is written in a way that can be read differently"
    return address, ""


def _unmistakable(text: str, address: Address) -> bool:
    """Whether it is one bare address, or a name and then an address in angle brackets, with comments.

    An address in the name, outside quotes, may only be the same one; in angle brackets there is none in
    quotes or a comment either.
    """
    read = [(token.lastgroup, token[0]) for token in _TOKEN.finditer(text)]
    if any(kind in ("quoted", "comment") and _HIDDEN.search(piece) for kind, piece in read):
        return False
    tokens = [(kind, piece) for kind, piece in read if kind != "comment"]
    kinds = [kind for kind, _ in tokens]
    if kinds == ["word"]:
        return _is_plain(tokens[0][1], address)
    if not kinds or kinds[-1] != "angle" or not set(kinds[:-1]) <= {"word", "quoted"}:
        return False
    named = [word for kind, word in tokens if kind == "word" and "@" in word]
    return _is_plain(tokens[-1][1][1:-1], address) and all(word.lower() == address.key for word in named)


def _is_plain(text: str, address: Address) -> bool:
    """Whether it is the address as everybody writes it. A provider that knows its own domain only in that
    way takes what merely counts as it ("example.com.", or with wide letters) for somebody else's, and may let
    any customer use it.
    """
    domain = text.strip().rpartition("@")[2].encode("utf-8", "replace").lower().decode("utf-8")
    return bool(_SPEC.fullmatch(text)) and domain in spellings(address.domain)


def _keys(field: Field) -> tuple[str, ...]:
    return tuple(entry.address.key for entry in parse_list(field.value).entries)
