"""A word before the subject: how a copy that is called spam shows it in the list of messages.

What stands in the field keeps its octets and folds, encoded words too; the prefix goes before them, as
it is or, where it isn't plain ASCII, as encoded words of its own. What is written to the contact doesn't
show it: there it goes from the beginning, and from behind the "Re:" that a mail program has put before it.

DIAGNOSTICS
    None: whatever the field holds, it gets its prefix, and keeps it as the only one. A subject from which
    nothing is taken keeps its octets; of any other the words stay, written anew.

STANDARDS
    RFC 5322 §3.6.5 and §2.2.3 (folding), RFC 2047 §6.2 (blanks between encoded words aren't shown).
"""

from __future__ import annotations

import re

from postmask.message import words
from postmask.message.headers import Field, make_field

_LINE = 78

_WORDS = (
    "re", "r", "ref", "rif", "res", "aw", "antw", "antwort", "sv", "vs", "vá", "odp", "atb", "ats", "bls",
    "ynt", "回复", "回覆", "答复",
    "fw", "fwd", "wg", "i", "tr", "rv", "enc", "vb", "vl", "doorst", "pd", "ilt", "转发", "轉寄",
)  # fmt: skip
"""What mail programs put before the subject of an answer, and of what is passed on, in their languages."""

_ANSWERED = re.compile(rf"(?:{'|'.join(_WORDS)})(?:\[\d+\]|\(\d+\)|\^\d+)?\s?[:\uff1a]\s*", re.IGNORECASE)


def prefixed(subject: Field | None, prefix: str) -> Field:
    """The field with the prefix, or as it is where it has that already; a new one where there is none."""
    if subject is None:
        return make_field("Subject", prefix)
    if subject.text.lstrip().startswith(prefix):
        return subject
    after = subject.raw[subject.raw.find(b":") + 1 :].lstrip(b" \t\r\n")
    head = subject.name.encode("ascii") + b": " + b"\r\n ".join(_parts(prefix, glued=after.startswith(b"=?")))
    if not after:
        return Field(head + b"\r\n", subject.key)
    first = after.partition(b"\r\n")[0]
    room = _LINE - len(head.rpartition(b"\n")[2])
    return Field(head + (b" " if len(first) < room else b"\r\n ") + after, subject.key)


def unprefixed(subject: Field, prefix: str) -> Field:
    """The field without the prefix where a mail program leaves it, or as it is where it isn't there."""
    if not prefix:
        return subject
    ours = re.compile(r"\s+".join(map(re.escape, prefix.split())) + r"(?:\s+|\Z)")
    text = subject.text.lstrip()
    kept, position = "", 0
    while found := ours.match(text, position) or _ANSWERED.match(text, position):
        kept += found[0] if found.re is _ANSWERED else ""
        position = found.end()
    left = kept + text[position:]
    return subject if left == text else make_field(subject.name, left)


def _parts(prefix: str, *, glued: bool) -> list[bytes]:
    """The prefix as words. glued: an encoded word follows, before which a blank is to be seen."""
    if prefix.isascii() and "=?" not in prefix:
        return [prefix.encode("ascii")]
    return [word.encode("ascii") for word in words.encode(f"{prefix} " if glued else prefix)]
