"""The services of a master.cf, with the parameters that each of them overrides.

STANDARDS
    master(5): eight fields, then the command's arguments; `-o name=value` or `-o { name = value }`.
    postconf(5) master_service_disable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from postmask_postfix import tables
from postmask_postfix.attachment.entries import Entries, Entry, without_comments

_FIELDS = 8
_PAIR = re.compile(r"\s*([^\s=]+)\s*=\s*(.*?)\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Override:
    """One -o of a service. start, end: where its value stands in the entry's text."""

    name: str
    value: str
    start: int
    end: int
    braced: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """A service as master.cf lists it."""

    entry: Entry
    service: str
    type: str
    private: bool
    chroot: str
    command: str
    overrides: tuple[Override, ...]

    @property
    def name(self) -> str:
        """As postconf -M calls it."""
        return f"{self.service}/{self.type}"

    def override(self, name: str) -> str | None:
        """The value that the service has of its own; None where it has main.cf's."""
        return next((override.value for override in reversed(self.overrides) if override.name == name), None)

    def is_disabled(self, by: str) -> bool:
        """Of what master_service_disable lists the first that fits decides, "!" for on."""
        for element in tables.elements(by):
            if element.removeprefix("!") in (self.name, self.type):
                return not element.startswith("!")
        return False


def listed(entries: Entries) -> tuple[Listed, ...]:
    """The services, in their order. What isn't a service is left out."""
    found = []
    for entry in entries:
        words = list(_words(entry.text)) if entry.name else []
        if len(words) < _FIELDS:
            continue
        fields = [entry.text[start:end] for start, end in words[:_FIELDS]]
        overrides = tuple(_overrides(entry.text, words[_FIELDS:]))
        # master(5): a service is private unless it says otherwise, and one of type inet never is.
        private = fields[2] != "n" and fields[1] != "inet"
        found.append(Listed(entry, fields[0], fields[1], private, fields[4], fields[7], overrides))
    return tuple(found)


def meaning(entry: Entry) -> list[str]:
    """A service's words, however it is written: postconf -M has `-o name=value` for `-o { name = value }`."""
    return [_unbraced(entry.text[start:end]) for start, end in _words(entry.text)]


def _unbraced(word: str) -> str:
    if not (word.startswith("{") and word.endswith("}")):
        return word
    pair = _PAIR.fullmatch(word, 1, len(word) - 1)
    return f"{pair[1]}={pair[2]}" if pair else word


def changed(service: Listed, name: str, new: str) -> Entry:
    """The service's entry with another value of a parameter that it overrides. new: without white space
    unless the old value is in braces."""
    override = next(override for override in reversed(service.overrides) if override.name == name)
    text = service.entry.text
    return Entry(service.entry.name, text[: override.start] + new + text[override.end :])


def _words(text: str) -> Iterator[tuple[int, int]]:
    """Where the words stand: by white space, but for that in braces."""
    plain = without_comments(text)
    start, depth = None, 0
    for place, letter in enumerate(plain):
        if start is None:
            if letter.isspace():
                continue
            start = place
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if letter.isspace() and depth <= 0:
            yield start, place
            start, depth = None, 0
    if start is not None:
        yield start, len(plain)


def _overrides(text: str, words: list[tuple[int, int]]) -> Iterator[Override]:
    option = False
    for start, end in words:
        word = text[start:end]
        if option:
            option = False
            yield from _override(text, start, end)
        elif word == "-o":
            option = True
        elif word.startswith("-o"):
            yield from _override(text, start + 2, end)


def _override(text: str, start: int, end: int) -> Iterator[Override]:
    braced = text[start] == "{" and text[end - 1] == "}"
    if braced:
        start, end = start + 1, end - 1
    pair = _PAIR.fullmatch(text, start, end)
    if pair:
        yield Override(pair[1], pair[2], pair.start(2), pair.end(2), braced)
