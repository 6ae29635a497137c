"""The little of man(7) that our manual pages are made of: the classic macros, which every man reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def text(plain: str) -> str:
    """Text in which roff sees nothing of its own: no escapes, no requests, hyphens that can be copied."""
    plain = plain.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\(ga").replace("^", "\\(ha")
    plain = plain.replace("~", "\\(ti")
    return f"\\&{plain}" if plain.startswith((".", "'")) else plain


def tagged(tag: str, paragraphs: Sequence[str]) -> Iterator[str]:
    """A tag with its text hanging below it, each further paragraph on a line of its own."""
    yield ".TP"
    yield f".B {text(tag)}"
    for number, paragraph in enumerate(paragraphs):
        if number:
            yield ".br"
        yield text(paragraph)


def example(lines: Sequence[str]) -> Iterator[str]:
    """Lines as they are, in a typewriter's face."""
    yield ".EX"
    yield from map(text, lines)
    yield ".EE"
