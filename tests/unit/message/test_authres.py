"""Authentication-Results: what we write, and which fields claim to be ours."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_strategies import values
from postmask.authentication import Authentication, DkimResult, Dmarc, DmarcResult, Policy, Spf, SpfResult
from postmask.message.authres import claims_to_be, results_field
from postmask.message.headers import Headers, split

OURS = "mx.alias.test"
FOUND = Authentication(
    spf=SpfResult(Spf.PASS, "example.com"),
    helo=SpfResult(Spf.NONE, "h.example.com"),
    dkim=(
        DkimResult(
            domain="example.com",
            selector="s1",
            passed=True,
            algorithm="rsa",
            key_bits=2048,
            b=b"\xfb\xff" * 9,
        ),
    ),
    dmarc=DmarcResult(Dmarc.PASS, domain="example.com", record_domain="example.com", by_spf=True),
)


def field(value: bytes, name: bytes = b"Authentication-Results") -> Headers:
    return split(name + b":" + value + b"\r\n\r\n")[0]


def is_ours(value: bytes, name: bytes = b"Authentication-Results") -> bool:
    (one,) = field(value, name).fields
    return claims_to_be(one, OURS)


def test_what_we_write():
    assert results_field(OURS, FOUND).raw == (
        b"Authentication-Results: mx.alias.test; spf=pass smtp.mailfrom=example.com;\r\n"
        b' dkim=pass header.d=example.com header.s=s1 header.a=rsa-sha256 header.b="+//7//v/";\r\n'
        b" dmarc=pass policy.dmarc=none header.from=example.com\r\n"
    )


def test_helo_is_told_where_it_says_more():
    with_helo = replace(FOUND, helo=SpfResult(Spf.FAIL, "h.example.com"))
    assert b"spf=fail smtp.helo=h.example.com;" in results_field(OURS, with_helo).raw
    null_sender = replace(FOUND, helo=FOUND.spf)
    assert b"smtp.helo" not in results_field(OURS, null_sender).raw


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (DkimResult(reason="v= is not 1"), b"dkim=neutral"),
        (DkimResult(domain="a.test", selector="s", temporary=True), b"dkim=temperror header.d=a.test"),
        (DkimResult(domain="a.test", selector="s", reason="no key"), b"dkim=permerror header.d=a.test"),
        (DkimResult(domain="a.test", selector="s", key_bits=2048), b"dkim=fail header.d=a.test"),
    ],
)
def test_dkim_results(result, expected):
    assert expected in results_field(OURS, replace(FOUND, dkim=(result,))).value


def test_without_signature_or_author():
    bare = replace(
        FOUND,
        dkim=(),
        dmarc=DmarcResult(Dmarc.FAIL, Policy.REJECT, domain="example.com", record_domain="com"),
    )
    value = results_field(OURS, bare).value
    assert b"dkim=none; dmarc=fail policy.dmarc=reject header.from=example.com" in value
    assert (
        b"dmarc=permerror policy.dmarc=none"
        in results_field(OURS, replace(FOUND, dmarc=DmarcResult(Dmarc.PERMERROR))).value
    )


@pytest.mark.parametrize("helo", ["a b", 'x"; dmarc=pass', "x\r\nBcc: y", "ü", "x(", "a;b", "", "y" * 300])
def test_what_a_stranger_made_up_is_left_out(helo):
    forged = replace(FOUND, spf=SpfResult(Spf.NONE, helo))
    assert b"spf=none; dkim=" in results_field(OURS, forged).value.replace(b"  ", b" ")


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_whatever_was_found_it_is_one_field_of_short_lines(helo, domain, selector):
    found = replace(
        FOUND, helo=SpfResult(Spf.FAIL, helo), dkim=(DkimResult(domain=domain, selector=selector),)
    )
    raw = results_field(OURS, found).raw
    headers, body = split(raw + b"\r\n")
    assert (len(headers.fields), body) == (1, b"")
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert claims_to_be(headers.fields[0], OURS)


@pytest.mark.parametrize(
    "value",
    [
        b" mx.alias.test; spf=pass",
        b"mx.alias.test;spf=pass",
        b" mx.alias.test",
        b" mx.alias.test 1; none",
        b" mx.alias.test/1; none",
        b" MX.Alias.TEST; spf=pass",
        b" mx.alias.test.; spf=pass",
        b"\r\n mx.alias.test;\r\n\tspf=pass",
        b' "mx.alias.test"; spf=pass',
        b' "mx.\\alias.test"; spf=pass',
        b" (c) mx.alias.test (c; (d)) 1 (e); spf=pass",
        b" (mx) mx.alias.test; spf=pass",
        b" mx(c).alias.test; spf=pass",
        b" mx . alias . test; spf=pass",
        b" =?us-ascii?q?mx.alias.test?=; spf=pass",
        b" mx\r\n .alias.test; spf=pass",
        b" \xef\xbd\x8dx.alias.test; spf=pass",
        b" (mx.alias.test; spf=pass",
        b' "mx.alias.test; spf=pass',
        b" mx.alias.test\\; spf=pass",
        b"\0mx.alias.test; spf=pass",
    ],
)
def test_claims_to_be_ours(value):
    assert is_ours(value)
    assert is_ours(value, b"AUTHENTICATION-results")
    assert is_ours(value, b"Authentication-Results ")
    assert claims_to_be(field(value).fields[0], OURS.upper())


@pytest.mark.parametrize(
    "value",
    [
        b" mx.google.com; dkim=pass header.i=@alias.test header.s=mx.alias.test",
        b" other.test; spf=pass smtp.mailfrom=mx.alias.test",
        b" other.test (mx.alias.test); spf=pass",
        b" notmx.alias.test; spf=pass",
        b" mx.alias.test.evil.example; spf=pass",
        b" alias.test; spf=pass",
        b" spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=x.test; dkim=none",
        b" ; mx.alias.test",
        b"",
        b" i=1; mx.alias.test; spf=pass",
    ],
)
def test_others_are_not_ours(value):
    assert not is_ours(value)


@pytest.mark.parametrize("name", [b"ARC-Authentication-Results", b"X-Authentication-Results", b"Subject"])
def test_other_fields_are_none_of_it(name):
    assert not is_ours(b" mx.alias.test; spf=pass", name)


@given(values)
def test_any_field_is_survived(value):
    for one in field(value).fields:
        claims_to_be(one, OURS)
    assert is_ours(b" mx.alias.test;" + value.replace(b"\n", b"").replace(b"\r", b""))


@pytest.mark.parametrize("unit", [b"(", b")", b'"', b"\\", b"()", b'"a"', b"a ", b"=?a?q?b?= "])
def test_a_hostile_field_costs_little(unit):
    start = time.process_time()
    is_ours(b" " + unit * (100_000 // len(unit)))
    assert time.process_time() - start < 2.0
