"""Message-IDs: wrapped one way, opened on the way back, never readable by the other side."""

from __future__ import annotations

import pytest

from message_cases import ALIAS, KEYS, to_contact, to_owner
from postmask.keys import Keyring, Secret
from postmask.message.headers import split
from postmask.message.msgid import (
    LIMIT,
    MAX_REFERENCES,
    Direction,
    carry,
    ids,
    map_field,
    substitute,
    unwrap,
    wrap,
)

_ID = b"<abc.def@mail.example.com>"


def test_a_thread_holds_at_both_ends() -> None:
    seen_by_owner = to_owner(_ID)
    assert to_contact(seen_by_owner) == _ID
    own = b"<mine@laptop.mailbox.test>"
    seen_by_contact = to_contact(own)
    assert to_owner(seen_by_contact) == own


def test_nothing_of_the_id_shows() -> None:
    wrapped = to_owner(_ID)
    assert b"example" not in wrapped
    assert wrapped.endswith(b"@alias.test>")
    assert wrapped == wrapped.lower()


def test_an_id_whose_case_was_changed_is_opened() -> None:
    wrapped = to_owner(_ID)
    assert to_contact(wrapped.upper()) == to_contact(wrapped.replace(b"alias.test", b"Alias.Test")) == _ID


def test_the_same_id_gives_the_same_result() -> None:
    assert to_owner(_ID) == to_owner(_ID) == to_owner(b" abc.def@mail.example.com ")


def test_a_wrapped_id_is_never_wrapped_again() -> None:
    wrapped = to_owner(_ID)
    assert to_owner(wrapped) == wrapped


def test_another_alias_or_direction_is_foreign() -> None:
    wrapped = wrap(KEYS, Direction.TO_OWNER, ALIAS.key, _ID, "alias.test")
    assert unwrap(KEYS, Direction.TO_OWNER, ALIAS.key, wrapped, "alias.test") == _ID
    assert unwrap(KEYS, Direction.TO_CONTACT, ALIAS.key, wrapped, "alias.test") is None
    assert unwrap(KEYS, Direction.TO_OWNER, "second@alias.test", wrapped, "alias.test") is None
    assert unwrap(KEYS, Direction.TO_OWNER, ALIAS.key, wrapped, "other.test") is None


def test_what_was_wrapped_before_a_rotation_is_opened() -> None:
    rotated = Keyring([*reversed(KEYS.secrets), Secret(2, "2027-01-01", b"n" * 32)])
    assert carry(rotated, Direction.TO_CONTACT, ALIAS.key, to_owner(_ID), ALIAS.domain) == _ID


@pytest.mark.parametrize("length", [60, 100, 200, 900])
def test_an_id_of_any_length_stays_within_the_limit(length: int) -> None:
    long = b"<" + b"x" * length + b"@example.com>"
    wrapped = to_owner(long)
    assert len(wrapped) <= LIMIT
    assert to_owner(long) == wrapped
    assert to_owner(long[:-2] + b"n>") != wrapped


@pytest.mark.parametrize(
    "forged",
    [
        b"",
        b"<>",
        b"<@alias.test>",
        b"<a@alias.test>",
        b"<" + b"a" * 60 + b"@alias.test>",
        b"<\xff@alias.test>",
        b"<" + b"a" * 5000 + b"@alias.test>",
        b"a@b@c",
    ],
)
def test_what_is_not_ours_does_not_open(forged: bytes) -> None:
    assert unwrap(KEYS, Direction.TO_OWNER, ALIAS.key, forged, "alias.test") is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"<a@b> <c@d>", [b"<a@b>", b"<c@d>"]),
        (b"<a@b><c@d>", [b"<a@b>", b"<c@d>"]),
        (b"a@b", [b"<a@b>"]),
        (b"Your message of Monday <a@b>", [b"<a@b>"]),
        (b"no id here", []),
        (b"no\tid", []),
        (b"n\0o", []),
        (b"<never closed", []),
        (b"", []),
        (b"<>", []),
    ],
)
def test_ids(value: bytes, expected: list[bytes]) -> None:
    assert ids(value) == expected


def test_references_are_kept_short() -> None:
    many = b" ".join(b"<%d@x>" % number for number in range(5000))
    field = map_field("References", many, lambda one: one)
    assert field is not None
    kept = ids(field.value)
    assert len(kept) == MAX_REFERENCES
    assert kept[0] == b"<0@x>"
    assert kept[-1] == b"<4999@x>"


def test_a_field_without_ids_goes() -> None:
    assert map_field("In-Reply-To", b"your mail", to_owner) is None


def test_substitute_is_an_id() -> None:
    headers, _ = split(b"From: a@b.c\r\n\r\n")
    assert ids(substitute(headers)) == [substitute(headers)]
