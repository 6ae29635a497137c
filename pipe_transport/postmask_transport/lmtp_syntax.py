"""The grammar of LMTP commands: paths, ESMTP parameters, XFORWARD attributes. Pure.

DIAGNOSTICS
    GrammarError: the words are not what the grammar wants; its text fits into a reply line.

STANDARDS
    RFC 5321 §4.1.2 (paths), RFC 1870 (SIZE), RFC 6152 (BODY), RFC 6531 (SMTPUTF8),
    Postfix XFORWARD_README.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from postmask.address import without_route
from postmask.xtext import XtextError, decode_xtext, octets, text

UNAVAILABLE = ("[UNAVAILABLE]", "[TEMPUNAVAIL]")

_MAILBOX = r"(?:\"(?:[^\"\\]|\\.)*\"|[^\s<>\"])*"
_PATH = re.compile(rf"\s*<\s*({_MAILBOX})\s*>(?:\s+(.*))?\s*", re.DOTALL | re.ASCII)
"""Only ASCII's blanks part anything: Postfix takes a no-break space for a character like any other."""

_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_IPV6 = re.compile(r"\Aipv6:", re.IGNORECASE)


class GrammarError(ValueError):
    """Not what the grammar wants. args[0] is short and free of the peer's own words."""


@dataclass(frozen=True, slots=True)
class Path:
    """A reverse or forward path with the parameters behind it, as written ("" is the null sender)."""

    address: str
    parameters: Mapping[str, str | None]


def parse_path(argument: str, keyword: str) -> Path:
    """The argument of MAIL (keyword "FROM") or RCPT ("TO"). A source route is dropped (RFC 5321 §4.1.1.3)."""
    name, colon, rest = argument.partition(":")
    if not colon or name.strip().upper() != keyword:
        raise GrammarError(f"{keyword}:<address> expected")
    match = _PATH.fullmatch(rest)
    if match is None:
        raise GrammarError("the address does not parse")
    return Path(without_route(match[1]), parse_parameters(match[2] or ""))


def parse_parameters(words: str) -> dict[str, str | None]:
    """ESMTP parameters: {upper-case keyword: value, None where there is no "="}. Given twice is a fault."""
    parameters: dict[str, str | None] = {}
    for word in words.split():
        name, equals, value = word.partition("=")
        key = name.upper()
        if not _KEYWORD.fullmatch(name) or key in parameters:
            raise GrammarError("the parameters do not parse")
        parameters[key] = value if equals else None
    return parameters


def parse_attributes(argument: str) -> dict[str, str | None]:
    """XFORWARD attributes: {upper-case name: decoded value, None where Postfix doesn't know it}.

    Control characters become "?": nothing that is made of a value later may grow a second line. An address
    is without the "IPv6:" that Postfix puts before those of IPv6.
    """
    attributes: dict[str, str | None] = {}
    for name, value in parse_parameters(argument).items():
        if value is None:
            raise GrammarError("name=value expected")
        try:
            decoded = _CONTROL.sub("?", text(decode_xtext(octets(value))))
        except XtextError as error:
            raise GrammarError(str(error)) from error
        if name == "ADDR":
            decoded = _IPV6.sub("", decoded)
        attributes[name] = None if not decoded or decoded.upper() in UNAVAILABLE else decoded
    return attributes
