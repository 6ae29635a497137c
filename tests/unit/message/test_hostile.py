"""Hostile messages: each is rewritten to something sound, in a time that only grows with its size.

The bound is far above what any of them takes; one that took quadratic time would pass it many times over.
It is processor time, since the machine may be busy with other things.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from message_cases import forwarded, replied
from postmask.message.dsn import parse as parse_dsn
from postmask.message.headers import split
from postmask.message.mailboxes import parse_list
from postmask.message.mime import walk
from postmask.message.words import decode

_BOUND = 3.0
_SIZE = 100_000
"""Octets: Postfix cuts a header field at 102,400 (header_size_limit)."""


def _within_bound(call: Callable[[], object]) -> None:
    before = time.process_time()
    call()
    assert time.process_time() - before < _BOUND


def _header(value: bytes, name: bytes = b"To") -> bytes:
    return b"From: bob@example.com\r\n" + name + b": " + value + b"\r\n\r\nbody\r\n"


_VALUES = {
    "quotes": b'"' * _SIZE,
    "escaped quotes": b'"\\' * (_SIZE // 2),
    "parentheses": b"(" * _SIZE,
    "escaped parentheses": b"(\\(" * (_SIZE // 3),
    "nested comments": b"(" * (_SIZE // 2) + b")" * (_SIZE // 2),
    "angles": b"<" * _SIZE,
    "angles and quotes": b'<"' * (_SIZE // 2),
    "angles, quotes, escapes": b'<"\\"' * (_SIZE // 4),
    "closed quotes in angles": b'<"a"' * (_SIZE // 4),
    "colons": b":" * _SIZE,
    "commas": b"," * _SIZE,
    "semicolons": b";" * _SIZE,
    "at signs": b"@" * _SIZE,
    "words with at": b"@a " * (_SIZE // 3),
    "brackets": b"[a" * (_SIZE // 2),
    "shortest addresses": b"a@b," * (_SIZE // 4),
    "addresses without commas": b"a@b " * (_SIZE // 4),
    "open words": b"=?utf-8?q?" * (_SIZE // 10),
    "empty words": b"=?utf-8?q??= " * (_SIZE // 13),
    "one letter words": b"=?utf-8?b?YQ==?= " * (_SIZE // 17),
    "question marks": b"=?" * (_SIZE // 2),
    "mailto": b"<mailto:a@b>," * (_SIZE // 13),
    "ids": b"<a@b>" * (_SIZE // 5),
    "open ids": b"<a" * (_SIZE // 2),
    "blanks": b" " * _SIZE,
    "folds": b"x\r\n " * (_SIZE // 4),
    "blank folds": b"\r\n \t" * (_SIZE // 4) + b"x",
    "octets": bytes(range(256)).replace(b"\n", b"") * (_SIZE // 255),
    "backslashes": b"\\" * _SIZE,
    "parameters": b'; a="' * (_SIZE // 5),
    "boundaries": b'multipart/mixed; boundary="' + b"b" * 90_000 + b'"',
}


@pytest.mark.parametrize("name", ["To", "References", "List-Unsubscribe", "Content-Type"])
@pytest.mark.parametrize("value", _VALUES)
def test_a_field_as_large_as_postfix_lets_through(name: str, value: str) -> None:
    data = _header(_VALUES[value], name.encode())
    before = time.process_time()
    out = forwarded(data)
    result = replied(data)
    assert time.process_time() - before < _BOUND
    headers, body = split(out)
    assert body == b"body\r\n"
    for header in (headers, result.headers):
        assert all(len(line) <= 998 for line in header.to_bytes().split(b"\r\n"))
        assert b"\n" not in header.to_bytes().replace(b"\r\n", b"")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"\0",
        b"\r",
        b"\n",
        b"\r\r\n\r\n",
        b"no header",
        b": \r\n\r\n",
        b"From\r\n\r\n",
        b"From:",
        b"From: \0\r\n\r\n",
        b"From: a@b\rTo: c@d\r\n\r\n",
        b"From: a@b\nTo: c@d\n\nbody\n",
        b"From: a@b\r\n\r\n\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=\r\n\r\n--\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b--\r\n--b--\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b",
        b"Content-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\n",
        b"Content-Transfer-Encoding: base64\r\n\r\n=\r\n",
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n=\r\n=",
        b"From: =?utf-16?b?2AA=?= <a@b>\r\n\r\n",
        b"From: \xed\xa0\x80 <a@b>\r\n\r\n",
        b"From: a@b\r\nFrom : c@d\r\nFROM: e@f\r\n\r\n",
        b"Message-ID: <\xff\xfe@\xff>\r\nReferences: \xff <\xff>\r\n\r\n",
    ],
)
def test_short_and_broken(data: bytes) -> None:
    out, _ = split(forwarded(data))
    assert len(out.get_all("from")) == 1
    assert len(out.get_all("message-id")) == 1
    assert len(replied(data).headers.get_all("from")) == 1
    parse_dsn(*split(data), refusals=True)


def test_ten_thousand_fields() -> None:
    data = b"".join(b"X-%d: value\r\n" % n for n in range(10_000)) + b"From: bob@example.com\r\n\r\nbody\r\n"
    _within_bound(lambda: forwarded(data))
    assert len(split(forwarded(data))[0].fields) == 10_003


@pytest.mark.parametrize("name", [b"From", b"To", b"References", b"Received", b"List-Id", b"Resent-To"])
def test_ten_thousand_fields_of_one_name(name: bytes) -> None:
    _within_bound(lambda: forwarded((name + b": bob@example.com <a@b>\r\n") * 10_000 + b"\r\n"))
    _within_bound(lambda: replied((name + b": bob@example.com <a@b>\r\n") * 10_000 + b"\r\n"))


def test_five_thousand_addresses() -> None:
    to = b",\r\n ".join(b'"User %d" <user%d@example%d.com>' % (n, n, n) for n in range(5_000))
    _within_bound(lambda: forwarded(_header(to)))
    out, _ = split(forwarded(_header(to)))
    found = out.get("to")
    assert found is not None
    assert len(parse_list(found.value).entries) == 49
    omitted = out.get("x-postmask-omitted")
    assert omitted is not None
    assert omitted.text == "4951 addresses"


@pytest.mark.parametrize(
    "body",
    [
        b"--b\r\n" * 60_000,
        b"--b\r\n\r\n" * 40_000,
        b"--b" * 100_000,
        b"=" * 300_000,
        b"owner@" * 50_000,
        b"owner@mailbox.test " * 20_000,
        b"owner+" * 50_000 + b"mailbox.test",
        b".aaaaaaaaaaaaaaaaaaaaaaaa@alias.test" * 10_000,
        b"a" * 300_000 + b".aaaaaaaaaaaaaaaaaaaaaaaa@alias.test",
    ],
    ids=range(9),
)
@pytest.mark.parametrize("kind", [b"text/plain", b"multipart/mixed; boundary=b", b"message/rfc822"])
@pytest.mark.parametrize("encoding", [b"7bit", b"base64", b"quoted-printable"])
def test_bodies(body: bytes, kind: bytes, encoding: bytes) -> None:
    head = b"Content-Type: " + kind + b"\r\nContent-Transfer-Encoding: " + encoding + b"\r\n"
    _within_bound(lambda: replied(head + b"\r\n" + body))
    headers, content = split(head + b"\r\n" + body)
    _within_bound(lambda: walk(headers, content))
    _within_bound(lambda: parse_dsn(headers, content, refusals=True))


def test_twenty_megabytes() -> None:
    data = _header(b"shop@alias.test") + (b"x" * 76 + b"\r\n") * 260_000
    _within_bound(lambda: forwarded(data))
    _within_bound(lambda: replied(data))


_CHARSETS = (
    "utf-8 utf-7 utf-16 hex zlib rot13 idna punycode undefined unicode_escape mbcs iso-2022-jp hz cp037"
)


@pytest.mark.parametrize("charset", [*_CHARSETS.split(), "x" * 40, "\0"])
@pytest.mark.parametrize("encoding", ["q", "b"])
def test_encoded_words_of_every_kind(charset: str, encoding: str) -> None:
    for payload in ("", "=", "=ff", "=D8=00", "_", "AAAA", "////", "a b", "+AEA-", "=1B$B"):
        assert isinstance(decode(f"=?{charset}?{encoding}?{payload}?= x"), str)
