"""Address lists in header fields: read tolerantly, written safely.

Reads whatever the world writes into From, To and Cc: names with and without quotes, encoded words (in
which a comma separates nothing), comments, groups, obsolete routes, semicolons or nothing at all between two
addresses. Writes names as atoms, quoted strings or encoded words, one address after the other, folded.

DIAGNOSTICS
    parse_list never raises. What held no address is returned as junk, for a person to read. The time
    is linear in the length of the value: what is never closed is looked for once.

STANDARDS
    RFC 5322 §3.4 (address-list), §3.2.2 (comments), §4.4 (obsolete routes), RFC 2047 §5.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from postmask.address import Address, AddressError, parse_loose
from postmask.display import BIDI
from postmask.message import words
from postmask.message.headers import Field, Headers, comment_end, fold

NAME_LIMIT = 200
"""Characters of a display name that we write; more is cut."""

MAX_ENTRIES = 25_000
"""Addresses that are read from one field. 100 KB, the most that Postfix passes on, hold fewer."""

READ_LIMIT = 400_000
"""Octets of address fields that are read in one message."""

_MAX_JUNK = 10

_PIECE = re.compile(
    r"""\s++
      | (?P<quoted> "(?:[^"\\]|\\.)*+" )
      | (?P<angle> <[^<>"]*+(?:"(?:[^"\\]|\\.)*+"[^<>"]*+)?+> )
      | (?P<atom> (?:=\?[^?\s]++\?[BbQq]\?[^?"<>@]*+\?=|[^\s"<>,:;()\[\]]++|\[[^\[\]\s]*+\])++ )
      | (?P<mark> [,:;("] )
      | .""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_UNSEEN = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class NamedAddress:
    """An address with the display name that stood by it, decoded, or None."""

    name: str | None
    address: Address


@dataclass(frozen=True, slots=True)
class AddressList:
    """What a field held.

    junk:     texts of elements without a usable address (the first few).
    complete: False where there was more than is read.
    """

    entries: tuple[NamedAddress, ...]
    junk: tuple[str, ...] = ()
    complete: bool = True


_EMPTY = AddressList(())


@dataclass(slots=True)
class _Element:
    """What stands between two commas. words: raw, as they are written; angle: inside the brackets."""

    words: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    angle: str | None = None


def parse_list(value: bytes) -> AddressList:
    """The addresses in an unfolded field value, in their order."""
    entries: list[NamedAddress] = []
    junk: list[str] = []
    for element in _elements(words.raw_text(value)):
        found = _addresses(element)
        entries += found
        if not found and len(junk) < _MAX_JUNK:
            junk += [text] if (text := _name(element.words, element.comments)) else []
        if len(entries) >= MAX_ENTRIES:
            return AddressList(tuple(entries), tuple(junk), complete=False)
    return AddressList(tuple(entries), tuple(junk))


def parse_fields(headers: Headers, keys: Iterable[bytes]) -> dict[bytes, AddressList]:
    """For each key the addresses in all fields of that name. Past READ_LIMIT nothing more is read."""
    values: dict[bytes, list[bytes]] = {key: [] for key in keys}
    unread: set[bytes] = set()
    left = READ_LIMIT
    for one in headers.fields:
        if one.key in values:
            left -= len(one.raw)
            if left >= 0:
                values[one.key].append(one.value)
            else:
                unread.add(one.key)
    found = {key: parse_list(b",".join(parts)) if parts else _EMPTY for key, parts in values.items()}
    return found | {key: replace(found[key], complete=False) for key in unread}


def _elements(text: str) -> Iterator[_Element]:
    element = _Element()
    for kind, piece in _pieces(text):
        if kind == "comment":
            element.comments.append(piece)
        elif kind == "mark":
            if not (element.words or element.comments or element.angle is not None):
                continue
            if piece != ":":  # what stood before a colon was a group's name
                yield element
            element = _Element()
        else:
            if element.angle is not None:  # no comma between two mailboxes
                yield element
                element = _Element()
            if kind == "angle":
                element.angle = piece[1:-1]
            else:
                element.words.append(piece)
    yield element


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """Quoted strings, angle brackets, atoms, comments and the marks , : ; of a value."""
    position = 0
    while position < len(text):
        match = _PIECE.match(text, position)
        assert match, "the last alternative takes any character"
        position = match.end()
        if match.lastgroup is None:
            continue
        if match[0] == "(":
            end = comment_end(text, position)
            if end is not None:
                yield "comment", _unescaped(text[position : end - 1])
                position = end
        if match[0] in ("(", '"') and position == match.end():
            # Never closed. To try again at each further one would take quadratic time.
            text = text[:position] + text[position:].replace(match[0], " ")
        elif match[0] not in ("(", '"'):
            yield match.lastgroup, match[0]


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(r"\1", text) if "\\" in text else text


def _addresses(element: _Element) -> list[NamedAddress]:
    """The address of a sound element; of one without angle brackets every word that is an address."""
    if element.angle is not None:
        address = _address(element.angle)
        return [NamedAddress(_name(element.words, element.comments), address)] if address else []
    spaced: list[str] = []
    for word in element.words:
        if spaced and (word.startswith("@") or spaced[-1].endswith("@")):
            spaced[-1] += word
        else:
            spaced.append(word)
    found = {word: address for word in spaced if (address := _address(word))}
    if len(found) != 1:
        return [NamedAddress(None, address) for address in found.values()]
    (address,) = found.values()
    return [NamedAddress(_name([word for word in spaced if word not in found], element.comments), address)]


def _address(text: str) -> Address | None:
    text = text.strip()
    if text.startswith("@"):  # an obsolete route: @relay,@relay:user@domain
        text = text.rpartition(":")[2]
    if text[:7].lower() == "mailto:":
        text = text[7:]
    if "@" not in text:
        return None
    try:
        return parse_loose(text)
    except AddressError:
        return None


def _name(raw: list[str], comments: list[str]) -> str | None:
    """The display name: the words decoded, or the last comment where there are no words."""
    plain = [_unescaped(word[1:-1]) if word.startswith('"') else word for word in raw]
    text = words.decode(" ".join(plain or comments[-1:]))
    return " ".join(text.split()) or None


def clean_name(name: str) -> str:
    """A display name that may be shown: one line without controls or changes of direction, bounded.

    An "@" becomes " at ": a name that looks like an address is what phishing is made of, and some
    programs send to it.
    """
    text = name[: 4 * NAME_LIMIT].replace("@", " at ")
    if not (text.isascii() and text.isprintable()):
        text = "".join(c for c in text if c.isspace() or not _is_unseen(c))
    return " ".join(text.split())[:NAME_LIMIT].strip()


def _is_unseen(character: str) -> bool:
    return character in BIDI or unicodedata.category(character) in _UNSEEN


def format_list(name: str, entries: Iterable[NamedAddress]) -> Field:
    """A field with these mailboxes, folded between names, addresses and encoded words."""
    mailboxes = [_formatted(entry.name, entry.address) for entry in entries]
    for mailbox in mailboxes[:-1]:
        mailbox[-1] += ","
    return fold(name, [part.encode("utf-8", "replace") for mailbox in mailboxes for part in mailbox])


def _formatted(name: str | None, address: Address) -> list[str]:
    """The pieces of a mailbox between which a fold may stand."""
    shown = clean_name(name) if name else ""
    if not shown:
        return [str(address)]
    if not shown.isascii() or "=?" in shown:
        return [*words.encode(shown), f"<{address}>"]
    if not _ATOMS.fullmatch(shown):
        escaped = re.sub(r'(["\\])', r"\\\1", shown)
        shown = f'"{escaped}"'
    return [shown, f"<{address}>"]
