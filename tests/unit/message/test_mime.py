"""The parts of a message, as places in its bytes."""

from __future__ import annotations

import pytest

from postmask.message.headers import split
from postmask.message.mime import MAX_DEPTH, MAX_PARTS, Structure, content_type, walk


def _walk(data: bytes) -> tuple[Structure, bytes]:
    headers, body = split(data)
    return walk(headers, body), body


_NESTED = b"""Content-Type: multipart/mixed; boundary="a b"\r
\r
preamble\r
--a b\r
Content-Type: multipart/alternative; boundary=c\r
\r
--c\r
\r
one\r
--c \t\r
Content-Type: text/html\r
\r
two\r
\r
--c--\r
--a b\r
Content-Type: message/rfc822\r
\r
Subject: inner\r
\r
three\r
--a b--\r
epilogue\r
"""


def test_nested_parts() -> None:
    structure, body = _walk(_NESTED)
    leaves = [(part.kind, body[part.start : part.end]) for part in structure.parts if not part.holds_parts]
    assert leaves == [
        ("text/plain", b"preamble\r\n"),
        ("text/plain", b"one"),
        ("text/html", b"two\r\n"),
        ("text/plain", b"three"),
        ("text/plain", b"epilogue\r\n"),
    ]
    kinds = [part.kind for part in structure.parts if part.holds_parts]
    assert kinds == ["multipart/mixed", "multipart/alternative", "message/rfc822"]
    assert structure.complete


def test_a_line_end_of_one_octet_before_a_delimiter_is_its_own() -> None:
    structure, body = _walk(_NESTED.replace(b"\r\n", b"\n"))
    leaves = [body[part.start : part.end] for part in structure.parts if not part.holds_parts]
    assert leaves == [b"preamble\n", b"one", b"two\n", b"three", b"epilogue\n"]


@pytest.mark.parametrize("kind", ["message/rfc822", "message/global", "message/news"])
def test_a_message_within_has_parts(kind: str) -> None:
    structure, _ = _walk(f"Content-Type: {kind}\r\n\r\nContent-Type: text/html\r\n\r\nx".encode())
    assert [part.kind for part in structure.parts] == [kind, "text/html"]


def test_the_parts_of_a_digest_are_messages() -> None:
    """RFC 2046 §5.1.5."""
    structure, _ = _walk(
        b"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nX: y\r\n\r\nx\r\n--b--"
    )
    assert [part.kind for part in structure.parts] == ["multipart/digest", "message/rfc822", "text/plain"]


def test_offsets_name_the_part_s_header() -> None:
    structure, body = _walk(_NESTED)
    for part in structure.parts:
        if part.at >= 0 and part.headers.fields:
            assert body[part.at : part.start].startswith(part.headers.to_bytes())


@pytest.mark.parametrize(
    ("data", "leaves"),
    [
        (b"Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n", 1),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\nno delimiter\r\n", 1),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nnever closed", 1),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--bb\r\n\r\nx\r\n--b\r\n\r\ny", 2),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n--b\r\n--b--", 2),
        (b"Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n--b\n\n", 1),
        (b"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: x\r\n\r\nx\r\n--b--", 1),
        (b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n", 1),
        (b'Content-Type: multipart/mixed; boundary="b "\r\n\r\n--b\r\n\r\nx\r\n--b\r\n\r\ny\r\n--b--\r\n', 2),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx --b\r\n\r\ny\r\n--b--", 1),
        (b"Content-Type: ;;;\r\n\r\nx", 1),
        (b"", 1),
    ],
)
def test_broken_structures(data: bytes, leaves: int) -> None:
    structure, _ = _walk(data)
    assert sum(not part.holds_parts for part in structure.parts) == leaves
    assert structure.complete


def test_depth_is_bounded() -> None:
    data = b"".join(
        b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(100)
    )
    structure, _ = _walk(data)
    assert not structure.complete
    assert len(structure.parts) <= MAX_DEPTH + 2


def test_number_is_bounded() -> None:
    structure, _ = _walk(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 100_000)
    assert not structure.complete
    assert len(structure.parts) <= MAX_PARTS + 3


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"Text/HTML; Charset=UTF-8", ("text/html", {"charset": "UTF-8"})),
        (b'text/plain; name="a;\\"b"; x=y', ("text/plain", {"name": 'a;"b', "x": "y"})),
        (b"text/plain ; charset = utf-8", ("text/plain", {"charset": "utf-8"})),
        (b"text", ("text/plain", {})),
        (b"", ("text/plain", {})),
    ],
)
def test_content_type(value: bytes, expected: tuple[str, dict[str, str]]) -> None:
    headers, _ = split(b"Content-Type: " + value + b"\r\n\r\n")
    assert content_type(headers) == expected


@pytest.mark.parametrize(
    ("encoding", "raw", "expected"),
    [
        ("base64", b"YWJj\r\nZGVm\r\n", b"abcdef"),
        ("BASE64", b"YWJ", b"ab"),
        ("base64", b"YWI=\r\nYWJj\r\nY", b"ababc"),
        ("base64", b"YW Jj*ZGVm=", b"abcdef"),
        ("quoted-printable", b"a=3Db=\r\nc", b"a=bc"),
        ("8bit (comment)", b"\xff", b"\xff"),
        ("(comment) base64", b"YWJj", b"abc"),
        ("x-unknown", b"abc", None),
    ],
)
def test_content(encoding: str, raw: bytes, expected: bytes | None) -> None:
    structure, body = _walk(f"Content-Transfer-Encoding: {encoding}\r\n\r\n".encode() + raw)
    assert structure.parts[0].content(body) == expected
