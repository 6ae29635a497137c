"""mailto addresses in List- fields: found, and exchanged for reverse aliases.

DIAGNOSTICS
    None. A mailto URI without a usable, known target is left out, and the field with its last URI.

STANDARDS
    RFC 2369 §2 (URIs in angle brackets, separated by commas), RFC 6068 (mailto).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote, unquote

from postmask.address import Address, AddressError, parse_loose
from postmask.message import words
from postmask.message.headers import Field, fold, tidy

_MAX_URI = 900
_MAX_URIS = 10
_URI = re.compile(rb"<([^<>]{1,4000})>")
_SOUND = re.compile(r"[!-;=?-~]*")
_RECIPIENTS = frozenset({"to", "cc", "bcc", "from", "reply-to"})


def targets(value: bytes) -> list[Address]:
    """The addresses that the mailto URIs of a field value send to."""
    return [address for uri in _uris(value) if (address := _target(uri))]


def map_field(field: Field, reverse: Callable[[Address], Address | None]) -> Field | None:
    """The field with each mailto target replaced; without any mailto it stays as it is."""
    field = tidy(field)
    if not any(
        "mailto:" in "".join(text.lower().split()) for text in (words.raw_text(field.value), field.text)
    ):
        return field
    mapped = [new for uri in _uris(field.value) if (new := _mapped(uri, reverse))]
    if not mapped:
        return None
    parts = [f"<{uri}>," for uri in mapped[:-1]] + [f"<{mapped[-1]}>"]
    return fold(field.name, [part.encode("ascii") for part in parts])


def _uris(value: bytes) -> list[str]:
    found = [b"".join(uri.split()).decode("ascii", "replace") for uri in _URI.findall(value)[:_MAX_URIS]]
    return [uri for uri in found if len(uri) <= _MAX_URI and _SOUND.fullmatch(uri)]


def _mapped(uri: str, reverse: Callable[[Address], Address | None]) -> str | None:
    if not uri.lower().startswith("mailto:"):
        return uri
    address = _target(uri)
    mapped = reverse(address) if address else None
    if mapped is None:
        return None
    query = uri.partition("?")[2].split("&")
    kept = [part for part in query if part and _header_name(part) not in _RECIPIENTS]
    return f"mailto:{quote(str(mapped), safe='@')}" + ("?" + "&".join(kept) if kept else "")


def _target(uri: str) -> Address | None:
    """The first address; a List- field has no use for several."""
    if not uri.lower().startswith("mailto:"):
        return None
    try:
        return parse_loose(unquote(uri[len("mailto:") :].partition("?")[0].partition(",")[0]))
    except AddressError:
        return None


def _header_name(part: str) -> str:
    return unquote(part.partition("=")[0]).lower()
