"""One word put into a list, or taken out of it, in the text that the site wrote.

    relay_domains = host.test           ->  relay_domains = host.test, $ours
    smtpd_milters =                     ->  smtpd_milters = $ours,
        # the spam filter                       # the spam filter
        inet:localhost:11332                    inet:localhost:11332

Line ends, indentation and comments stay. All functions are pure.
"""

from __future__ import annotations

import re

from postmask_postfix.attachment.entries import Entry, value, without_comments
from postmask_postfix.settings import Merge

_NAME = re.compile(r"([^\s=]+\s*=)([ \t]*)")


def has(text: str, word: str) -> bool:
    """Whether the word is an element of a list's value."""
    return word in re.split(r"[\s,]+", text)


def added(entry: Entry, word: str, merge: Merge) -> Entry:
    """The entry of a list with the word in it, at the end that `merge` tells."""
    if has(value(entry), word):
        return entry
    if merge is Merge.PREPEND or not value(entry):
        return Entry(entry.name, _prepended(entry, word))
    return Entry(entry.name, _appended(entry.text, word))


def _prepended(entry: Entry, word: str) -> str:
    name = _NAME.match(entry.text)
    assert name is not None
    rest = entry.text[name.end() :]
    if not value(entry):
        return f"{name[1]} {word}{rest}"
    if rest.startswith(("\n", "\r")):
        return f"{name[1]} {word},{rest}"
    return f"{name[0]}{word}, {rest}"


def _appended(text: str, word: str) -> str:
    end = len(without_comments(text).rstrip())
    separator = " " if text[end - 1] in ",=" else ", "
    return text[:end] + separator + word + text[end:]


def removed(text: str, word: str) -> str:
    """A list's text without the word, and without the comma that it brought."""
    element = rf"{re.escape(word)}(?![^\s,}}])"
    if re.search(rf",[ \t]*{element}", text):
        return re.sub(rf",[ \t]*{element}", "", text, count=1)
    # The list's first element: at the end of its line it came with the blank before it.
    bare = re.sub(rf"[ \t]*(?<![^\s,={{]){element},?(?=\r?\n)", "", text, count=1)
    if bare != text:
        return bare
    return re.sub(rf"(?<![^\s,={{]){element},?[ \t]*", "", text, count=1)
