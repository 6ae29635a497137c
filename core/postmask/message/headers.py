"""The header of a message as bytes: split off, read, edited field by field, joined again.

A message is split at the first line that is neither a field nor the continuation of one, as Postfix
does it: at the blank line in a sound message, at the first body line where the blank line is missing.
Fields that nobody edits keep every octet.

DIAGNOSTICS
    None: any bytes can be split. A field with a name past MAX_NAME has an empty key, which no rewriting
    lets through; so has the one field as which the remainder of the header is kept past MAX_FIELDS.

STANDARDS
    RFC 5322 §2.2 (fields, folding), §2.1.1 (998 and 78 octets), §3.2.2 (comments),
    §4.5 (blanks before the colon).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from postmask.message import words

MAX_LINE = 998
"""Octets in a line without its CRLF (RFC 5322 §2.1.1)."""

MAX_FIELDS = 50_000

MAX_NAME = 255
"""Octets of a field name; a longer one could not even be folded."""

_WANTED_LINE = 78
_FIELD = re.compile(rb"([!-9;-~]++)[ \t]*+:[^\n]*+(?:\n[ \t][^\n]*+)*+(?:\n|\Z)")
_BLANK = re.compile(rb"\r?\n")
_BLANK_LINE = re.compile(rb"\n\r?\n")
_UNTIDY = re.compile(rb"\0|\r(?!\n)|(?<!\r)\n|\n[ \t]+\r?\n|\A[!-9;-~]++[ \t]")
_BLANKS_BEFORE_COLON = re.compile(rb"\A([!-9;-~]++)[ \t]+:")
_COMMENT_PIECE = re.compile(r"[()]|\\.", re.DOTALL)
_PRINTABLE = re.compile(r"[\x20-\x7e\t]*")


@dataclass(frozen=True, slots=True)
class Field:
    """One header field. raw: all of it with folds and the final CRLF; key: its name in lower case."""

    raw: bytes
    key: bytes

    @property
    def name(self) -> str:
        """The name as written."""
        return self.raw[: len(self.key)].decode("ascii")

    @property
    def value(self) -> bytes:
        """What stands after the colon, unfolded, without surrounding blanks."""
        after = self.raw[self.raw.find(b":") + 1 :]
        return after.replace(b"\r", b"").replace(b"\n", b"").strip()

    @property
    def text(self) -> str:
        """The value for reading: encoded words decoded, raw octets as UTF-8 or else Latin-1."""
        return words.decode(words.raw_text(self.value))


@dataclass(slots=True)
class Headers:
    """The fields of a message in their order. Names are asked for in any case."""

    fields: list[Field]

    def get(self, name: str) -> Field | None:
        """The first field of that name."""
        key = name.lower().encode("ascii")
        return next((field for field in self.fields if field.key == key), None)

    def get_all(self, name: str) -> list[Field]:
        """All fields of that name, topmost first."""
        key = name.lower().encode("ascii")
        return [field for field in self.fields if field.key == key]

    def to_bytes(self) -> bytes:
        """All fields as they go on the wire, without the blank line."""
        return b"".join([field.raw for field in self.fields])


def split(data: bytes) -> tuple[Headers, bytes]:
    """Header and body of a message with CRLF (or LF) line ends. The blank line belongs to neither."""
    headers, start = read(data, 0, len(data))
    return headers, data[start:]


def read(data: bytes, start: int, end: int) -> tuple[Headers, int]:
    """The header that begins at `start`, and where its body begins; nothing past `end` is looked at."""
    fields: list[Field] = []
    position = start
    while match := _FIELD.match(data, position, end):
        if len(fields) == MAX_FIELDS:
            rest = _end_of_block(data, position, end)
            fields.append(Field(_ended(data[position:rest]), b""))
            position = rest
            break
        name = match[1]
        fields.append(Field(_ended(match[0]), name.lower() if len(name) <= MAX_NAME else b""))
        position = match.end()
    blank = _BLANK.match(data, position, end)
    return Headers(fields), blank.end() if blank else position


def join(headers: Headers, body: bytes) -> bytes:
    """The message again."""
    return b"".join((headers.to_bytes(), b"\r\n", body))


def comment_end(text: str, position: int) -> int | None:
    """Where the comment ends whose parenthesis stood before the position. Comments nest."""
    depth = 1
    for piece in _COMMENT_PIECE.finditer(text, position):
        depth += {"(": 1, ")": -1}.get(piece[0], 0)
        if depth == 0:
            return piece.end()
    return None


def _end_of_block(data: bytes, position: int, end: int) -> int:
    blank = _BLANK_LINE.search(data, position, end)
    return blank.start() + 1 if blank else end


def _ended(raw: bytes) -> bytes:
    return raw if raw.endswith(b"\n") else raw + b"\r\n"


def tidy(field: Field) -> Field:
    """The same field in a form that no mail server changes, or takes for two.

    Sound fields are returned as they are. Blanks before the colon go, since some programs take such a
    field for the end of the header. NUL goes, a bare CR becomes a blank, a bare LF a CRLF, folds without
    content go, and lines over 998 octets are folded, at a blank where there is one.
    """
    raw = field.raw
    long = len(raw) > MAX_LINE and max(map(len, raw.split(b"\n"))) > MAX_LINE + 1
    if not long and not _UNTIDY.search(raw):
        return field
    raw = _BLANKS_BEFORE_COLON.sub(rb"\1:", raw.replace(b"\0", b""))
    lines = [line.removesuffix(b"\r").replace(b"\r", b" ") for line in raw.split(b"\n")]
    kept = [lines[0], *(line for line in lines[1:] if line.strip(b" \t"))]
    return Field(b"".join(part + b"\r\n" for line in kept for part in _short(line)), field.key)


def _short(line: bytes) -> Iterable[bytes]:
    while len(line) > MAX_LINE:
        cut = line.rfind(b" ", MAX_LINE // 2, MAX_LINE)
        if cut < 0:
            yield line[:MAX_LINE]
            line = b" " + line[MAX_LINE:]
        else:
            yield line[:cut]
            line = line[cut:]
    yield line


def make_field(name: str, text: str) -> Field:
    """A new unstructured field, folded at 78 octets. What isn't printable ASCII is RFC 2047-encoded; line
    ends become blanks.
    """
    line = " ".join(text.split())
    long = any(len(word) > MAX_LINE - 2 - len(name) for word in line.split(" "))
    plain = _PRINTABLE.fullmatch(line) and not long and "=?" not in line
    parts = line.split(" ") if plain else words.encode(line)
    return fold(name, [part.encode("ascii") for part in parts])


def fold(name: str, parts: Iterable[bytes]) -> Field:
    """A new field of parts that are joined by a blank, or by a fold where the line would pass 78 octets.

    A part is never broken: whoever makes one longer than a line may be must break it first.
    """
    lines: list[bytes] = []
    line = head = name.encode("ascii") + b":"
    for part in parts:
        if len(line) + 1 + len(part) > _WANTED_LINE and line != head:
            lines.append(line)
            line = b""
        line += b" " + part
    lines.append(line)
    return Field(b"\r\n".join(lines) + b"\r\n", name.lower().encode("ascii"))
