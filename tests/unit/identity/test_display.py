"""What came from mail can't move the cursor, end a line or turn the direction of writing."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmask.display import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("Grüße, José 例え", "Grüße, José 例え"),
        ("two\r\nlines\there", r"two\r\nlines\there"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\\nb", r"a\\nb"),
        ("evil\u202egpj.exe", r"evil\u202egpj.exe"),
        ("\u2066\u2069\u200b\ufeff", r"\u2066\u2069\u200b\ufeff"),
        ("\x85\x9b", r"\u0085\u009b"),
        ("\u2028\u2029\u00a0", r"\u2028\u2029\u00a0"),
        ("\udc80\ud800", r"\x80\ud800"),
        ("\U000e0041", r"\U000e0041"),
        (b"gr\xc3\xbc\xdfe\n", "gr\u00fc\\xdfe\\n"),
        (b"", ""),
    ],
)
def test_escapes(text: str | bytes, shown: str) -> None:
    assert printable(text) == shown


def test_in_a_sentence_of_ours_what_is_escaped_stays_as_it_is() -> None:
    sentence = '"' + printable("a\\b\x1bc") + '" is none, \u202e'
    assert printable(sentence, sentence=True) == r'"a\\b\x1bc" is none, \u202e'


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abc..."),
        ("ab\x1bdefgh", 6, "ab..."),
        (b"\xe2\x82\xac" * 7, 6, "€€€..."),
        ("abcdefg", 2, ".."),
        ("a" * 10_000_000, 5, "aa..."),
    ],
)
def test_cut(text: str | bytes, limit: int, shown: str) -> None:
    assert printable(text, limit) == shown


@given(st.text(st.characters()) | st.binary(), st.integers(3, 60))
def test_always_one_harmless_line_within_the_limit(text: str | bytes, limit: int) -> None:
    shown = printable(text, limit)
    assert len(shown) <= limit
    assert shown.isprintable()
    assert not any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in shown)


@given(st.text(st.characters()), st.text(st.characters()))
def test_different_texts_stay_different(one: str, other: str) -> None:
    surrogates = [character for character in one + other if "\udc80" <= character <= "\udcff"]
    if one != other and not surrogates:
        assert printable(one, 10_000) != printable(other, 10_000)
