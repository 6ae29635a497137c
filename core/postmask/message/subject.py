"""A word before the subject: how a copy that is called spam shows it in the list of messages.

What stands in the field keeps its octets and folds, encoded words too; the prefix goes before them, as
it is or, where it isn't plain ASCII, as encoded words of its own.

DIAGNOSTICS
    None: whatever the field holds, it gets its prefix, and keeps it as the only one.

STANDARDS
    RFC 5322 §3.6.5 and §2.2.3 (folding), RFC 2047 §6.2 (blanks between encoded words aren't shown).
"""

from __future__ import annotations

from postmask.message import words
from postmask.message.headers import Field, make_field

_LINE = 78


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


def _parts(prefix: str, *, glued: bool) -> list[bytes]:
    """The prefix as words. glued: an encoded word follows, before which a blank is to be seen."""
    if prefix.isascii() and "=?" not in prefix:
        return [prefix.encode("ascii")]
    return [word.encode("ascii") for word in words.encode(f"{prefix} " if glued else prefix)]
