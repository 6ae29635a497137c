"""Address lists: whatever the world writes is read; what we write is read the same by everybody."""

from __future__ import annotations

from email import message_from_bytes, policy

import pytest

from postmask.address import Address, parse_loose
from postmask.message.headers import split
from postmask.message.mailboxes import (
    MAX_ENTRIES,
    NAME_LIMIT,
    READ_LIMIT,
    AddressList,
    NamedAddress,
    clean_name,
    format_list,
    parse_fields,
    parse_list,
)


def _found(value: str | bytes) -> list[tuple[str | None, str]]:
    raw = value.encode() if isinstance(value, str) else value
    return [(entry.name, str(entry.address)) for entry in parse_list(raw).entries]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bob@example.com", [(None, "bob@example.com")]),
        ("<bob@example.com>", [(None, "bob@example.com")]),
        ("Bob <bob@example.com>", [("Bob", "bob@example.com")]),
        ('"Builder, Bob" <bob@example.com>', [("Builder, Bob", "bob@example.com")]),
        (r'"a \"b\" \\ c" <bob@example.com>', [('a "b" \\ c', "bob@example.com")]),
        ("bob@example.com (Bob (B.) Builder)", [("Bob (B.) Builder", "bob@example.com")]),
        ("(c) Bob (x) B <bob@example.com> (y)", [("Bob B", "bob@example.com")]),
        ("<bob@example.com> (Bob)", [("Bob", "bob@example.com")]),
        ("a@b.c, d@e.f,,g@h.i", [(None, "a@b.c"), (None, "d@e.f"), (None, "g@h.i")]),
        ("a@b.c; d@e.f", [(None, "a@b.c"), (None, "d@e.f")]),
        ("a@b.c d@e.f", [(None, "a@b.c"), (None, "d@e.f")]),
        ("A <a@b.c> D <d@e.f>", [("A", "a@b.c"), ("D", "d@e.f")]),
        ("Friends: a@b.c, D <d@e.f>;, g@h.i", [(None, "a@b.c"), ("D", "d@e.f"), (None, "g@h.i")]),
        ("undisclosed-recipients:;", []),
        ("<@relay,@relay2:bob@example.com>", [(None, "bob@example.com")]),
        ("bob @ example.com", [(None, "bob@example.com")]),
        ("Bob Builder bob@example.com", [("Bob Builder", "bob@example.com")]),
        ("<mailto:bob@example.com>", [(None, "bob@example.com")]),
        ("<MailTo:bob@example.com>", [(None, "bob@example.com")]),
        ('"john doe"@example.com', [(None, '"john doe"@example.com')]),
        ('<"a>b"@example.com>', [(None, '"a>b"@example.com')]),
        ("bob@[192.0.2.1]", [(None, "bob@[192.0.2.1]")]),
        ("Bob <bob@EXAMPLE.Com>", [("Bob", "bob@example.com")]),
        ("Ünlü <ü@dömäin.example>", [("Ünlü", "ü@xn--dmin-moa0i.example")]),
        ("=?utf-8?q?J=C3=B6rg?= =?utf-8?q?_M=2E?= <j@example.com>", [("Jörg M.", "j@example.com")]),
        ('"=?utf-8?q?J=C3=B6rg?=" <j@example.com>', [("Jörg", "j@example.com")]),
        ("=?utf-8?q?a=40b=2Ec=2C?= <j@example.com>", [("a@b.c,", "j@example.com")]),
        ("=?utf-8?q?Obbs,_B=2E_(M:_J=C3=B6rg)?= <j@example.com>", [("Obbs, B. (M: Jörg)", "j@example.com")]),
        ("Dr. =?utf-8?q?Obbs, J=C3=B6rg?= <a@b.c>, d@e.f", [("Dr. Obbs, Jörg", "a@b.c"), (None, "d@e.f")]),
        ("=?utf-8?q?a <a@b.c>, b?= <d@e.f>", [("=?utf-8?q?a", "a@b.c"), ("b?=", "d@e.f")]),
        ("=?utf-8?q?a, d@e.f", [(None, "d@e.f")]),
        ('"bob@example.com" <eve@example.net>', [("bob@example.com", "eve@example.net")]),
        ('"never closed <bob@example.com>', [("never closed", "bob@example.com")]),
        ("(never closed <bob@example.com>", [("never closed", "bob@example.com")]),
        ("Bob <bob@example.com", [("Bob", "bob@example.com")]),
        ("Bob bob@example.com>", [("Bob", "bob@example.com")]),
        ("B. Obbs, Jr. <b@example.com>", [("Jr.", "b@example.com")]),
        ("", []),
    ],
)
def test_parse(value: str, expected: list[tuple[str | None, str]]) -> None:
    assert _found(value) == expected


@pytest.mark.parametrize("value", ["Bob", "<>", "<bob>", "@", "@b", "a@", '"a@b"', "<a@b@>"])
def test_no_address(value: str) -> None:
    assert _found(value) == []


def test_junk_is_kept_for_people() -> None:
    assert parse_list(b"Bob the Builder") == AddressList((), ("Bob the Builder",))
    assert len(parse_list(b"junk," * 1000).junk) == 10
    assert parse_list(b"Friends: a@b.c;").junk == (), "a group's name is none"


def test_raw_latin1_name() -> None:
    assert _found(b"J\xf6rg <j@example.com>") == [("Jörg", "j@example.com")]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Bob", "Bob"),
        (" a \t b\r\nc ", "a b c"),
        ("\u202eevil\u2066\0\x1b[31m", "evil[31m"),
        ("a\ue000b\u0378c", "abc"),
        ("bob@example.com", "bob at example.com"),
        ("👩\u200d💻 Zoë", "👩\u200d💻 Zoë"),
        ("x" * 1000, "x" * NAME_LIMIT),
        ("\ud800a", "a"),
    ],
)
def test_clean_name(name: str, expected: str) -> None:
    assert clean_name(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (None, "b@example.com"),
        ("", "b@example.com"),
        ("Bob Builder", "Bob Builder <b@example.com>"),
        ("Builder, Bob", '"Builder, Bob" <b@example.com>'),
        ('a"b\\', r'"a\"b\\" <b@example.com>'),
        ("Zoë", "=?utf-8?q?Zo=C3=AB?= <b@example.com>"),
        ("=?utf-8?q?x?=", "=?utf-8?b?PT91dGYtOD9xP3g/PQ==?= <b@example.com>"),
        ("\r\n", "b@example.com"),
    ],
)
def test_a_mailbox_as_it_is_written(name: str | None, expected: str) -> None:
    entry = NamedAddress(name, Address("b", "example.com"))
    assert format_list("To", [entry]).value.decode() == expected


def test_a_formatted_list_is_read_by_others_too() -> None:
    entries = [
        NamedAddress("Builder, Bob", parse_loose("bob@example.com")),
        NamedAddress("Zoë " * 20, parse_loose("zoe@example.org")),
        NamedAddress(None, parse_loose('"odd one"@example.net')),
    ]
    field = format_list("To", entries)
    assert max(map(len, field.raw.split(b"\r\n"))) <= 110
    message = message_from_bytes(field.raw + b"\r\n", policy=policy.SMTP)
    assert [address.addr_spec for address in message["to"].addresses] == [str(e.address) for e in entries]
    # Python 3.11 puts one blank too many between encoded words of a phrase.
    assert message["to"].addresses[1].display_name.split() == ["Zoë"] * 20
    assert _found(field.value)[0] == ("Builder, Bob", "bob@example.com")


def test_parse_fields_puts_fields_of_a_name_together_and_stops_somewhere() -> None:
    headers, _ = split(b"To: a@b.c\r\nCc: x@y.z\r\nTo: d@e.f\r\n\r\n")
    found = parse_fields(headers, (b"to", b"cc", b"bcc"))
    assert [str(entry.address) for entry in found[b"to"].entries] == ["a@b.c", "d@e.f"]
    assert found[b"bcc"].entries == ()


@pytest.mark.parametrize("names", [b"", b"x" * 90_000])
def test_what_is_not_read_is_said(names: bytes) -> None:
    """Too many addresses, or few in too many octets."""
    long = b"To: " + (names + b" <a@b.c>," if names else b"a@b.c," * 15_000) + b"\r\n"
    headers, _ = split(long * (20 if names else READ_LIMIT // len(long)) + b"\r\n")
    found = parse_fields(headers, (b"to",))
    assert len(found[b"to"].entries) == (READ_LIMIT // len(long) if names else MAX_ENTRIES)
    assert not found[b"to"].complete
