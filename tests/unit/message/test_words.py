"""Encoded words: what the world writes is read, and what we write is sound."""

from __future__ import annotations

import encodings
import re

import pytest

from postmask.message.words import decode, encode


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("=?utf-8?q?caf=C3=A9?=", "café"),
        ("=?UTF-8?B?Y2Fmw6k=?=", "café"),
        ("=?utf-8?B?Y2Fmw6k?=", "café"),
        ("=?iso-8859-1?Q?caf=E9_x?= y", "café x y"),
        ("=?utf-8*en?q?a?=", "a"),
        ("=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        ("=?utf-8?q?a?=\t \t=?iso-8859-1?q?=E9?= c", "aé c"),
        ("=?utf-8?b?w6TDtsM=?= =?utf-8?b?vA==?=", "äöü"),
        ("x =?utf-8?q?a?= y", "x a y"),
        ("=?nonsense?q?caf=C3=A9?=", "café"),
        ("=?utf-8?q?caf=E9?=", "café"),
        ("=?us-ascii?q?caf=C3=A9?=", "café"),
        ("=?utf-8?b?!!!?=", ""),
        ("=?utf-8?b?LnRlc3 Q?=", ".test"),
        ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
        ("=?utf-8?q?open", "=?utf-8?q?open"),
        ("=?idna?q?a?=", "a"),
        ("=?unicode_escape?q?=5Cn?=", "\\n"),
        ("=?gb2312?B?1tDOxA==?=", "中文"),
        ("=?shift_jis?B?k/qWew==?=", "日本"),
        ("=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"),
        ("=?utf-8?q?a b?=", "a b"),
        ("=?a\0b?q?x?=", "x"),
        ("=?utf-7?q?caf+AOk-?=", "café"),
        ("=?utf-7?q?half+2AA-?=", "half+2AA-"),
    ],
)
def test_decode(text: str, expected: str) -> None:
    assert decode(text) == expected


@pytest.mark.parametrize(
    "text", ["", "a", "Grüße", "日本語" * 40, "mixed ASCII und Umläute " * 10, "😀" * 30, "=?=", "a_b=c"]
)
def test_encode_is_read_again(text: str) -> None:
    words = encode(text)
    assert all(len(word) <= 75 and word.isascii() and " " not in word for word in words)
    assert decode(" ".join(words)) == text


@pytest.mark.parametrize("special", "\"'(),.:;<>@[\\]")
def test_in_a_name_nothing_stands_that_parts_or_ends_it(special: str) -> None:
    """RFC 2047 §5 (3): letters, digits and "!*+-/=_" alone."""
    (word,) = encode(f"Zoë Miller{special} of the City")
    assert re.fullmatch(r"=\?utf-8\?q\?[A-Za-z0-9!*+/=_-]+\?=", word)


def test_no_name_that_a_stranger_made_up_is_remembered() -> None:
    """Python's own look-up keeps each for the life of the program."""
    before = len(encodings._cache)  # type: ignore[attr-defined]
    assert decode("=?made-up-by-a-stranger?q?a?= =?x.y?q?b?=") == "ab"
    assert len(encodings._cache) == before  # type: ignore[attr-defined]
