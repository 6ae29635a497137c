"""Octets of an SMTP session as str, and the encoding in which its parameters carry any octet. Pure.

Octets become str as UTF-8, other octets as lone surrogates, so that whatever Postfix hands over
comes out again exactly as it came in.

DIAGNOSTICS
    XtextError: not xtext.

STANDARDS
    RFC 3461 §4 (xtext).
"""

from __future__ import annotations

import re

_XTEXT = re.compile(rb"(?:[!-*,-~\x80-\xff]|\+[0-9A-F]{2})*")
_HEX = re.compile(rb"\+([0-9A-F]{2})")
_UNSAFE = re.compile(rb"[^!-*,-<>-~]")


class XtextError(ValueError):
    """Not xtext. args[0] fits into a reply line."""


def text(octets: bytes) -> str:
    """Octets of the wire as str; octets() gives exactly them back."""
    return octets.decode("utf-8", "surrogateescape")


def octets(words: str) -> bytes:
    """The octets that text() made a str of."""
    return words.encode("utf-8", "surrogateescape")


def decode_xtext(encoded: bytes) -> bytes:
    """RFC 3461 §4 xtext; with 8-bit octets and "=", which Postfix sends as they are."""
    if not _XTEXT.fullmatch(encoded):
        raise XtextError("xtext expected")
    return _HEX.sub(lambda match: bytes.fromhex(match[1].decode("ascii")), encoded)


def encode_xtext(plain: bytes) -> bytes:
    """RFC 3461 §4 xtext; everything that isn't printable ASCII is encoded."""
    return _UNSAFE.sub(lambda match: b"+%02X" % match[0][0], plain)
