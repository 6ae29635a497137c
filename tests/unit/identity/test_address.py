"""Addresses: what is one, what is none and why, and when two are the same."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmask.address import (
    Address,
    AddressError,
    base_key,
    parse,
    parse_domain,
    parse_loose,
    quoted,
    split_detail,
)


@pytest.mark.parametrize(
    ("text", "local", "domain", "key"),
    [
        ("Shop@Example.COM", "Shop", "example.com", "shop@example.com"),
        ("a.b+c@example.com", "a.b+c", "example.com", "a.b+c@example.com"),
        ("a@example.com.", "a", "example.com", "a@example.com"),
        ('"a b"@example.com', "a b", "example.com", "a b@example.com"),
        ('"plain"@example.com', "plain", "example.com", "plain@example.com"),
        (r'"a\"b"@example.com', 'a"b', "example.com", 'a"b@example.com'),
        ('"a@b"@example.com', "a@b", "example.com", "a@b@example.com"),
        ("x@bücher.example", "x", "xn--bcher-kva.example", "x@xn--bcher-kva.example"),
        ("x@BÜCHER.example", "x", "xn--bcher-kva.example", "x@xn--bcher-kva.example"),
        ("x@faß.example", "x", "xn--fa-hia.example", "x@xn--fa-hia.example"),
        ("x@例え。テスト", "x", "xn--r8jz45g.xn--zckzah", "x@xn--r8jz45g.xn--zckzah"),
        ("x@r3---sn-a.example", "x", "r3---sn-a.example", "x@r3---sn-a.example"),
        ("JOSÉ@example.com", "JOSÉ", "example.com", "josé@example.com"),
        ("jose\u0301@example.com", "jose\u0301", "example.com", "josé@example.com"),
        ("\u0130@example.com", "\u0130", "example.com", "i\u0307@example.com"),
        ("I\u0307@example.com", "I\u0307", "example.com", "i\u0307@example.com"),
        ("root@localhost", "root", "localhost", "root@localhost"),
        ("x@my_host.example", "x", "my_host.example", "x@my_host.example"),
        ("x@[192.0.2.1]", "x", "[192.0.2.1]", "x@[192.0.2.1]"),
        ("x@[ipv6:2001:DB8:0::1]", "x", "[IPv6:2001:db8::1]", "x@[IPv6:2001:db8::1]"),
        ("$x`id`{y}@example.com", "$x`id`{y}", "example.com", "$x`id`{y}@example.com"),
    ],
)
def test_address_is_read(text: str, local: str, domain: str, key: str) -> None:
    address = parse(text)
    assert (address.local, address.domain, address.key) == (local, domain, key)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no @"),
        ("shop", "no @"),
        ("@example.com", "nothing before the @"),
        ('""@example.com', "nothing between the quotes"),
        ("shop@", "no domain"),
        ("shop@.", "no domain"),
        ("Shop <shop@example.com>", "without a name and angle brackets"),
        ("<shop@example.com>", "without a name and angle brackets"),
        (".shop@example.com", "a dot where none may stand"),
        ("-shop@example.com", "begins with a hyphen"),
        ('"-shop"@example.com', "begins with a hyphen"),
        ("shop.@example.com", "a dot where none may stand"),
        ("sh..op@example.com", "a dot where none may stand"),
        ("sh op@example.com", "where none may stand; quote it"),
        ("sh,op@example.com", "where none may stand; quote it"),
        ("a@b@example.com", "where none may stand; quote it"),
        ('"shop@example.com', "quotes in the part before @ do not match"),
        ('"sh"op"@example.com', "quotes in the part before @ do not match"),
        ("shop@example..com", "an empty label"),
        ("shop@.example.com", "an empty label"),
        ("shop@-example.com", '"-example" is no part of a domain'),
        ("shop@exam ple.com", '"exam ple" is no part of a domain'),
        (f"shop@{'a' * 64}.com", "is no part of a domain"),
        ("shop@\u0301a.example", "not a valid international name"),
        ("shop@\u2488.example", "no domain name may have"),
        ("shop@[192.0.2.300]", "the address literal is none"),
        ("shop@[IPv6:fe80::1%eth0]", "the address literal is none"),
        ("shop@[example.com]", "the address literal is none"),
        ("sh\nop@example.com", "U+000A, which no address may; remove it"),
        ("sh\x00op@example.com", "U+0000"),
        ("sh\u202eop@example.com", "U+202E"),
        ("sh\udc80op@example.com", "U+DC80"),
        ("sh\u00a0op@example.com", "U+00A0"),
        ("\u212aelvin@example.com", "U+212A only looks like an ASCII character"),
        (f"{'a' * 65}@example.com", "more than 64 octets"),
        (f"{'é' * 33}@example.com", "more than 64 octets"),
        (f"a@{'.'.join(['a' * 60] * 5)}", "more than 253 octets"),
        (f"{'a' * 64}@{'.'.join(['a' * 47] * 4)}", "longer than 254 octets"),
        (f"{'é' * 32}@{'.'.join(['a' * 47] * 4)}", "longer than 254 octets"),
        ("a" * 100_000, "longer than 254 octets"),
    ],
)
def test_refusal_says_why(text: str, why: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse(text)
    message = str(caught.value)
    assert why in message
    assert message.isprintable()
    assert len(message) < 250


@pytest.mark.parametrize(
    ("text", "local", "sent"),
    [
        ("sh..op@example.com", "sh..op", '"sh..op"@example.com'),
        ("shop.@example.com", "shop.", '"shop."@example.com'),
        ("sh op@example.com", "sh op", '"sh op"@example.com'),
        ("a@b@example.com", "a@b", '"a@b"@example.com'),
        ('a"b@example.com', 'a"b', r'"a\"b"@example.com'),
        ("-x@example.com", "-x", "-x@example.com"),
        (f"{'v' * 200}@example.com", "v" * 200, f"{'v' * 200}@example.com"),
    ],
)
def test_what_the_world_sends_is_read_loosely(text: str, local: str, sent: str) -> None:
    address = parse_loose(text)
    assert address.local == local
    assert str(address) == sent


@pytest.mark.parametrize(
    ("kept", "sent"),
    [
        ("shop@alias.example", "shop@alias.example"),
        ("a b@alias.example", '"a b"@alias.example'),
        ('q"q@alias.example', '"q\\"q"@alias.example'),
        ("a@b@alias.example", '"a@b"@alias.example'),
        ("postmaster", "postmaster"),
        ("", ""),
    ],
)
def test_addresses_get_back_the_quotes_that_postfix_took_away(kept: str, sent: str) -> None:
    assert quoted(kept) == sent


@pytest.mark.parametrize(
    "text", ["", "@", "shop", "a@[::1]", '"a@example.com', "a@b\r\n", f"{'v' * 250}@example.com"]
)
def test_loose_has_its_limits(text: str) -> None:
    with pytest.raises(AddressError):
        parse_loose(text)


@pytest.mark.parametrize("other", ["\u017fhop", "shop\u0307", "\ufb01sh"])
def test_a_foreign_letter_is_never_taken_for_an_ascii_one(other: str) -> None:
    assert not parse(f"{other}@example.com").key.isascii()


def test_domain_alone() -> None:
    assert parse_domain("Bücher.Example.") == "xn--bcher-kva.example"
    for text in ("", "a@b.example", "[192.0.2.1]", "a..b", "x" * 100_000, "a\nb"):
        with pytest.raises(AddressError):
            parse_domain(text)


@pytest.mark.parametrize(
    ("local", "parts"),
    [
        ("shop", ("shop", None)),
        ("shop+x", ("shop", "x")),
        ("shop+", ("shop", "")),
        ("shop+x+y", ("shop", "x+y")),
        ("+x", ("+x", None)),
        ("+x+y", ("+x+y", None)),
    ],
)
def test_detail(local: str, parts: tuple[str, str | None]) -> None:
    assert split_detail(local) == parts


def test_base_key_has_no_detail() -> None:
    assert base_key(parse("Shop+News@Example.com")) == "shop@example.com"


def test_order_is_by_local_part() -> None:
    assert sorted([parse("b@a.example"), parse("a@b.example")]) == [
        Address("a", "b.example"),
        Address("b", "a.example"),
    ]


local_parts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
any_text = st.text(st.characters(), max_size=80)


@given(any_text | st.builds("{}@{}".format, any_text, any_text))
def test_any_text_is_an_address_or_an_address_error(text: str) -> None:
    for read in (parse, parse_loose, parse_domain):
        with contextlib.suppress(AddressError):
            read(text)


@given(local_parts)
def test_what_is_written_out_reads_back_the_same(local: str) -> None:
    try:
        address = parse_loose(f"{local}@example.com")
    except AddressError:
        return
    assert parse_loose(str(address)) == address
    if len(str(address).rpartition("@")[0].encode()) <= 64 and not address.local.startswith("-"):
        assert parse(str(address)) == address


@given(local_parts)
def test_the_normal_form_is_its_own_normal_form(local: str) -> None:
    try:
        address = parse_loose(f"{local}@example.com")
    except AddressError:
        return
    folded = Address(address.key.removesuffix("@example.com"), address.domain)
    assert folded.key == address.key
    assert address.local.isascii() == address.key.isascii()


@given(st.text(st.characters(), min_size=1, max_size=30))
def test_a_domain_is_a_fixed_point(text: str) -> None:
    try:
        name = parse_domain(text)
    except AddressError:
        return
    assert name.isascii()
    assert name == name.lower()
    assert parse_domain(name) == name
