"""The grammar of LMTP commands: what parses to what, and what is a fault."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmask.xtext import decode_xtext, encode_xtext, octets, text
from postmask_transport.lmtp_syntax import GrammarError, parse_attributes, parse_parameters, parse_path


@pytest.mark.parametrize(
    ("argument", "address", "parameters"),
    [
        ("FROM:<a@example.com>", "a@example.com", {}),
        ("from: <a@example.com> SIZE=10 smtputf8", "a@example.com", {"SIZE": "10", "SMTPUTF8": None}),
        ("FROM:<>", "", {}),
        ("FROM:<> BODY=8BITMIME", "", {"BODY": "8BITMIME"}),
        ("FROM:<@relay.example,@b.example:a@example.com>", "a@example.com", {}),
        ('FROM:<"a b> SIZE=1"@example.com>', '"a b> SIZE=1"@example.com', {}),
        ('FROM:<"a\\"b\\\\"@example.com>', '"a\\"b\\\\"@example.com', {}),
        ("FROM:<$(reboot)`x`;|&'-@example.com>", "$(reboot)`x`;|&'-@example.com", {}),
        ("FROM:<jürgen@exämple.com> SMTPUTF8", "jürgen@exämple.com", {"SMTPUTF8": None}),
        ("FROM:<-x@example.com>", "-x@example.com", {}),
        ("FROM:<a\u00a0b\u3000c@example.com> SMTPUTF8", "a\u00a0b\u3000c@example.com", {"SMTPUTF8": None}),
    ],
)
def test_paths(argument: str, address: str, parameters: dict[str, str | None]) -> None:
    path = parse_path(argument, "FROM")
    assert (path.address, dict(path.parameters)) == (address, parameters)


@pytest.mark.parametrize(
    "argument",
    [
        "",
        "FROM",
        "TO:<a@example.com>",
        "FROM:a@example.com",
        "FROM:<a@example.com",
        "FROM:<a b@example.com>",
        "FROM:<a@example.com>SIZE=1",
        "FROM:<<a@example.com>>",
        'FROM:<"a@example.com>',
        "FROM:<a@example.com> =1",
        "FROM:<a@example.com> SIZE=1 SIZE=2",
        "FROM:<a@example.com> -x",
    ],
)
def test_broken_paths(argument: str) -> None:
    with pytest.raises(GrammarError):
        parse_path(argument, "FROM")


def test_attributes() -> None:
    """lmtp(8) sends a HELO's "=" as it is."""
    attributes = parse_attributes("NAME=[UNAVAILABLE] addr=192.0.2.1 HELO=a+20b+2Bc=+0D+0A LOGIN=")
    assert attributes == {"NAME": None, "ADDR": "192.0.2.1", "HELO": "a b+c=??", "LOGIN": None}
    assert parse_attributes("NAME=[TEMPUNAVAIL] ADDR=[unavailable]") == {"NAME": None, "ADDR": None}


@pytest.mark.parametrize("prefix", ["", "IPv6:", "IPV6:", "ipv6:"])
def test_an_address_is_one_that_can_be_compared(prefix: str) -> None:
    """pipe(8) and lmtp(8) tell a client's as in "Received", with "IPv6:" before it."""
    told = parse_attributes(f"ADDR={prefix}2001:db8::7 HELO={prefix}x")
    assert told == {"ADDR": "2001:db8::7", "HELO": f"{prefix}x"}


@pytest.mark.parametrize("argument", ["NAME", "NAME=+zz", "NAME=+4", "NAME=a NAME=b"])
def test_broken_attributes(argument: str) -> None:
    with pytest.raises(GrammarError):
        parse_attributes(argument)


@given(st.binary())
def test_xtext_round_trip(plain: bytes) -> None:
    encoded = encode_xtext(plain)
    assert encoded.isascii()
    assert not set(encoded) & set(b" =\r\n\0")
    assert decode_xtext(encoded) == plain


@given(st.binary())
def test_octets_round_trip(raw: bytes) -> None:
    assert octets(text(raw)) == raw


@given(st.text())
def test_any_words_parse_or_are_a_fault(words: str) -> None:
    for parse in (parse_parameters, parse_attributes, lambda given: parse_path(given, "FROM")):
        with contextlib.suppress(GrammarError):
            parse(words)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("unit", ['"', '\\"', "<", "@a,", '"a"', '"\\', ":"])
def test_hostile_paths_take_no_time(unit: str) -> None:
    with pytest.raises(GrammarError):
        parse_path("FROM:<" + unit * 4000 + "\x00", "FROM")
