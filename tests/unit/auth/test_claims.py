"""What a header claims: the author above all, and when nobody is the author."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmask.auth.claims import read_claims
from postmask.message.headers import split


def claims(header: bytes):
    headers, _ = split(header + b"\r\n")
    return read_claims(headers)


@pytest.mark.parametrize(
    "value",
    [
        b"owner@example.com",
        b"<owner@example.com>",
        b"Owner <owner@example.com>",
        b'"Owner, A. (x) <y>" <owner@example.com>',
        b"John Q. Owner <Owner@Example.COM>",
        b"=?utf-8?q?B=C3=B6b_=3Ceve=40example=2Enet=3E?= <owner@example.com>",
        "Bö b <owner@example.com>".encode(),
        b"owner@example.com (Owner)",
        b"Owner (at home) <owner@example.com> (x)",
        b"owner@example.com <owner@example.com>",
        b'"Owner <3" <owner@example.com> (<3, at home)',
        b"Owner\r\n <owner@example.com>",
    ],
)
def test_one_author(value):
    found = claims(b"From: " + value + b"\r\n")
    assert found.fault == ""
    assert found.author is not None
    assert found.author.key == "owner@example.com"


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"From:\r\n",
        b"From: Owner\r\n",
        b"From: owner@example.com\r\nFrom: owner@example.com\r\n",
        b"From: owner@example.com\r\nFROM : eve@example.net\r\n",
        b"From: owner@example.com, eve@example.net\r\n",
        b"From: owner@example.com; eve@example.net\r\n",
        b"From: owner@example.com eve@example.net\r\n",
        b"From: eve owner@example.com\r\n",
        b"From: eve@example.net <owner@example.com>\r\n",
        b"From: <eve@example.net> <owner@example.com>\r\n",
        b"From: <owner@example.com> eve@example.net\r\n",
        b"From: eve@example.net (<owner@example.com>\r\n",
        b'From: "<eve@example.net>, <owner@example.com>\r\n',
        b"From: owner@example.com (<eve@example.net>)\r\n",
        b'From: "a\\" <eve@example.net>, \\"" <owner@example.com>\r\n',
        b"From: Owners: owner@example.com;\r\n",
        b"From: undisclosed-recipients:;\r\n",
        b"From: <@eve.example.net:owner@example.com>\r\n",
        b"From: <owner@example.com\r\n",
        b"From: owner@example.com\0eve@example.net\r\n",
        b"From: owner@example.com.\r\n",
        "From: Owner <owner@\uff45xample.com>\r\n".encode(),
        "From: owner@example\u3002com\r\n".encode(),
        "From: owner@exam\u00adple.com\r\n".encode(),
    ],
    ids=repr,
)
def test_no_author(header):
    found = claims(header)
    assert found.author is None
    assert found.fault


@pytest.mark.parametrize("domain", ["bücher.example", "Bücher.Example", "xn--bcher-kva.example"])
def test_the_author_s_domain_in_unicode(domain):
    found = claims(f"From: owner@{domain}\r\n".encode())
    assert found.author is not None
    assert found.author.key == "owner@xn--bcher-kva.example"


def test_recipients_by_field():
    found = claims(
        b"From: owner@example.com\r\nTo: Eve <eve@example.net>\r\n"
        b"Cc: a@example.com, Group: b@example.com;\r\nTo: Bob <BOB.token@alias.test>\r\n"
    )
    assert found.to == (("eve@example.net",), ("bob.token@alias.test",))
    assert found.cc == (("a@example.com", "b@example.com"),)


@pytest.mark.parametrize(
    ("header", "date"),
    [
        (b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n", 1_700_000_000),
        (b"Date: Tue, 14 Nov 2023 23:13:20 +0100 (CET)\r\n", 1_700_000_000),
        (b"", None),
        (b"Date: yesterday\r\n", None),
        (b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n" * 2, None),
    ],
)
def test_date(header, date):
    assert claims(header).date == date


@given(st.binary(max_size=80))
def test_any_value_is_survived(value):
    found = claims(b"From: " + value.replace(b"\n", b"") + b"\r\n")
    assert (found.author is None) == bool(found.fault)


@pytest.mark.parametrize(
    "unit", [b"(", b'"', b"<", b"(a", b"a@b ", b"<a@b>", b"\\", b'"\\', b"() ", b"a "], ids=repr
)
def test_hostile_values_cost_linear_time(unit):
    start = time.process_time()
    claims(b"From: " + unit * (100_000 // len(unit)) + b"\r\n")
    assert time.process_time() - start < 3.0
