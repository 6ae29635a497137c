"""The header: split off as Postfix does it, kept octet by octet, mended where it must be."""

from __future__ import annotations

import pytest

from postmask.message.headers import MAX_FIELDS, Field, fold, join, make_field, split, tidy


def _field(raw: bytes) -> Field:
    headers, _ = split(raw)
    (field,) = headers.fields
    return field


def test_split_and_join_keep_every_octet() -> None:
    data = b"Subject:  two  blanks\r\n\tfolded\r\nX: \xff\xfe\r\n\r\nbody\r\n\r\nmore"
    headers, body = split(data)
    assert [field.key for field in headers.fields] == [b"subject", b"x"]
    assert body == b"body\r\n\r\nmore"
    assert join(headers, body) == data


@pytest.mark.parametrize(
    ("data", "keys", "body"),
    [
        (b"", [], b""),
        (b"\r\nbody\r\n", [], b"body\r\n"),
        (b"no header\r\n\r\nbody\r\n", [], b"no header\r\n\r\nbody\r\n"),
        (b"A: 1\r\n", [b"a"], b""),
        (b"A: 1", [b"a"], b""),
        (b"A: 1\r\ngarbage\r\nB: 2\r\n\r\nbody", [b"a"], b"garbage\r\nB: 2\r\n\r\nbody"),
        (b"A: 1\r\n: no name\r\n", [b"a"], b": no name\r\n"),
        (b"A: 1\r\nF\xc3\xbc: x\r\n", [b"a"], b"F\xc3\xbc: x\r\n"),
        (b" leading: x\r\nA: 1\r\n\r\n", [], b" leading: x\r\nA: 1\r\n\r\n"),
        (b"A : 1\r\n\r\nbody", [b"a"], b"body"),
        (b"A: 1\nB: 2\n\nbody\n", [b"a", b"b"], b"body\n"),
        (b"A: 1\r\n \r\n x\r\nB: 2\r\n\r\nbody", [b"a", b"b"], b"body"),
    ],
)
def test_where_the_header_ends(data: bytes, keys: list[bytes], body: bytes) -> None:
    """The same places at which Postfix 3.7 puts in a blank line where it is missing."""
    headers, rest = split(data)
    assert [field.key for field in headers.fields] == keys
    assert rest == body


def test_a_field_read() -> None:
    field = _field(b"SubJect : =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n an alle\r\n")
    assert field.name == "SubJect"
    assert field.key == b"subject"
    assert field.value == b"=?utf-8?q?Gr=C3=BC=C3=9Fe?= an alle"
    assert field.text == "Grüße an alle"


def test_a_field_with_raw_octets() -> None:
    assert _field("X: caf\u00e9\r\n".encode()).text == "café"
    assert _field(b"X: caf\xe9\r\n").text == "café"


def test_get_is_by_lower_case_name() -> None:
    headers, _ = split(b"To: a\r\nTO: b\r\n\r\n")
    first = headers.get("to")
    assert first is not None
    assert first.value == b"a"
    assert [field.value for field in headers.get_all("to")] == [b"a", b"b"]
    assert headers.get("cc") is None


def test_more_fields_than_anybody_sends() -> None:
    headers, body = split(b"A: 1\r\n" * (MAX_FIELDS + 10) + b"\r\nbody")
    assert len(headers.fields) == MAX_FIELDS + 1
    assert headers.fields[-1].key == b""
    assert body == b"body"


def test_a_name_that_could_not_be_folded() -> None:
    headers, _ = split(b"x" * 1000 + b": 1\r\nA: 2\r\n\r\n")
    assert [field.key for field in headers.fields] == [b"", b"a"]


def test_a_last_field_without_a_line_end_gets_one() -> None:
    headers, body = split(b"A: 1\r\nB: 2")
    assert join(headers, body) == b"A: 1\r\nB: 2\r\n\r\n"


@pytest.mark.parametrize("letter", [b"x", b" x"])
def test_one_octet_too_many_is_folded(letter: bytes) -> None:
    """RFC 5322 §2.1.1."""
    longest = b"X: " + letter * 995
    lines = [longest[:998], longest[:997] + b"xx"]
    kept, folded = (tidy(_field(line + b"\r\n")).raw for line in lines)
    assert kept == lines[0] + b"\r\n"
    assert folded.count(b"\r\n") == 2
    assert max(map(len, folded.split(b"\r\n"))) <= 998


def test_tidy_leaves_a_sound_field_alone() -> None:
    field = _field(b"X: a\r\n b\r\n")
    assert tidy(field) is field


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"X: a\0b\r\n", b"X: ab\r\n"),
        (b"X \t: a : b\r\n", b"X: a : b\r\n"),
        (b"X: a\rBcc: b\r\n", b"X: a Bcc: b\r\n"),
        (b"X: a\n b\r\n", b"X: a\r\n b\r\n"),
        (b"X: a\r\n \t\r\n b\r\n", b"X: a\r\n b\r\n"),
        (b"X: a\r\n \r\n", b"X: a\r\n"),
        (b"X: " + b"y" * 1000 + b"\r\n", b"X: " + b"y" * 995 + b"\r\n yyyyy\r\n"),
        (
            b"X: " + b"y" * 900 + b" " + b"z" * 200 + b"\r\n",
            b"X: " + b"y" * 900 + b"\r\n " + b"z" * 200 + b"\r\n",
        ),
    ],
)
def test_tidy_mends(raw: bytes, expected: bytes) -> None:
    assert tidy(_field(raw)).raw == expected


def test_make_field_folds_at_78_octets() -> None:
    field = make_field("Subject", "word " * 40)
    assert max(map(len, field.raw.split(b"\r\n"))) <= 78
    assert field.text == ("word " * 40).strip()


def test_a_colon_in_the_text_is_no_fields_beginning() -> None:
    field = make_field("Subject", "Re: " * 400)
    assert max(map(len, field.raw.split(b"\r\n"))) <= 78


@pytest.mark.parametrize(
    "text", ["Grüße", "a\r\nBcc: x@y.z", "x" * 2000, "\u202eevil", "=?utf-8?q?fake?=", "", "\0"]
)
def test_make_field_is_one_field_of_ascii(text: str) -> None:
    field = make_field("Subject", text)
    headers, rest = split(field.raw + b"\r\n")
    assert len(headers.fields) == 1
    assert rest == b""
    assert field.raw.isascii()
    assert max(map(len, field.raw.split(b"\r\n"))) <= 998
    assert field.text == " ".join(text.split())


def test_fold_never_breaks_a_part() -> None:
    part = b"<" + b"x" * 200 + b">"
    assert fold("References", [b"<a@b>", part]).raw == b"References: <a@b>\r\n " + part + b"\r\n"
