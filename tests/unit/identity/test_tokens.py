"""Tokens: what we made is known again, in any case, from any secret; everything else is not."""

from __future__ import annotations

import re
import string
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmask import tokens
from postmask.address import Address, AddressError, parse, parse_loose
from postmask.keys import Keyring, Secret
from postmask.tokens import (
    AHEAD_DAYS,
    BOUNCE_DAYS,
    Bounce,
    BounceForged,
    BounceKind,
    BounceUnread,
    BounceValid,
    Postmaster,
    Reverse,
    ReverseForged,
)

OLD = Secret(1, "2025-01-01", b"1" * 32)
NEW = Secret(15, "2026-01-01", b"2" * 32)
BEFORE, RING, STRANGERS = Keyring([OLD]), Keyring([OLD, NEW]), Keyring([Secret(15, "2026-01-01", b"3" * 32)])
BOB = parse("bob@example.com")
TODAY = 20_600
BASE32 = string.ascii_lowercase + "234567"

bounces = st.builds(
    Bounce,
    kind=st.sampled_from(BounceKind),
    day=st.integers(TODAY - 30, TODAY + 2),
    alias_id=st.integers(0, 2**48 - 1),
    contact=st.binary(min_size=8, max_size=8),
    mailbox_id=st.integers(0, 2**48 - 1),
)


def a_bounce(day: int = TODAY, kind: BounceKind = BounceKind.FORWARD) -> Bounce:
    return Bounce(kind, day, 0x0123456789AB, bytes(range(8)), 0xBA9876543210)


class TestIds:
    def test_alias_id_is_48_bits_and_differs_by_attempt_and_address(self) -> None:
        ids = {
            tokens.alias_id(RING, f"shop{i}@alias.test", attempt) for i in range(50) for attempt in range(3)
        }
        assert len(ids) == 150
        assert all(0 < number < 2**48 for number in ids)

    def test_alias_id_is_the_same_on_every_node(self) -> None:
        assert tokens.alias_id(RING, "shop@alias.test") == tokens.alias_id(RING, "shop@alias.test")
        assert tokens.alias_id(RING, "shop@alias.test") != tokens.alias_id(STRANGERS, "shop@alias.test")

    def test_random_ids(self) -> None:
        ids = {tokens.random_id() for _ in range(100)}
        assert len(ids) == 100
        assert all(0 < number < 2**48 for number in ids)

    def test_a_tombstone_is_found_after_a_rotation(self) -> None:
        before = tokens.tombstone(BEFORE, "shop@alias.test")
        assert len(before) == 16
        assert tokens.tombstone(RING, "shop@alias.test") != before
        assert before in tokens.tombstones(RING, "shop@alias.test")
        assert before not in tokens.tombstones(RING, "other@alias.test")

    def test_what_is_in_the_world_already_is_made_alike_by_every_later_version(self) -> None:
        assert tokens.reverse_token(RING, 5, "bob@example.com", replacement=1) == "zzjq5mxwskmdex4kxweknm26"
        assert tokens.tombstone(RING, "shop@alias.test").hex() == "0c2b88c79b56bd5be1f2336bc35689c9"


class TestReverse:
    def test_the_same_on_every_node_and_different_for_every_input(self) -> None:
        made = tokens.reverse_token(RING, 5, "bob@example.com")
        assert re.fullmatch(r"[a-z2-7]{24}", made)
        assert made == tokens.reverse_token(RING, 5, "bob@example.com", replacement=0)
        others = {
            tokens.reverse_token(RING, 6, "bob@example.com"),
            tokens.reverse_token(RING, 5, "bob@example.org"),
            tokens.reverse_token(RING, 5, "bob@example.com", replacement=1),
            tokens.reverse_token(STRANGERS, 5, "bob@example.com"),
        }
        assert len(others | {made}) == 5

    @pytest.mark.parametrize("ring", [BEFORE, RING])
    def test_known_again_after_a_rotation_in_any_case(self, ring: Keyring) -> None:
        token = tokens.reverse_token(ring, 5, "bob@example.com")
        local = tokens.reverse_local_part(BOB, None, token)
        assert tokens.read(RING, local, TODAY) == Reverse(token)
        assert tokens.read(RING, local.upper(), TODAY) == Reverse(token)
        assert tokens.read(RING, f"another-hint.{token}", TODAY) == Reverse(token)

    def test_a_stranger_s_is_forged(self) -> None:
        local = tokens.reverse_local_part(BOB, None, tokens.reverse_token(STRANGERS, 5, "bob@example.com"))
        assert tokens.read(RING, local, TODAY) == ReverseForged()
        assert tokens.is_reserved(local)

    @given(st.integers(0, 23), st.sampled_from(BASE32))
    def test_one_character_changed_is_forged(self, at: int, character: str) -> None:
        token = tokens.reverse_token(RING, 5, "bob@example.com")
        changed = token[:at] + character + token[at + 1 :]
        expected = Reverse(token) if changed == token else ReverseForged()
        assert tokens.read(RING, f"bob.{changed}", TODAY) == expected

    @pytest.mark.parametrize(
        ("contact", "name", "hint"),
        [
            ("bob@example.com", None, "bob-at-example-com"),
            ("Bob.O'Hara+x@Example.com", "Bob", "bob-o-hara-x-at-example-com"),
            ("josé@example.com", None, "jose-at-example-com"),
            ("鈴木@example.com", "Suzuki", "suzuki-at-example-com"),
            ("鈴木@example.com", "鈴木", "example-com"),
            ("-x-@example.com", None, "x-at-example-com"),
            ("x@[IPv6:2001:db8::1]", None, "x-at-ipv6-2001-db8-1"),
            (
                "bounce-0123456789-abcdefghijkl@mail.example.com",
                None,
                "bounce-0123456789-a-at-mail-example-com",
            ),
            (f"x@{'a' * 60}.example", None, f"x-at-{'a' * 34}"),
        ],
    )
    def test_hint(self, contact: str, name: str | None, hint: str) -> None:
        assert tokens.reverse_local_part(parse_loose(contact), name, "t" * 24) == f"{hint}.{'t' * 24}"

    @given(st.text(st.characters(), min_size=1, max_size=80), st.none() | st.text(st.characters()))
    def test_any_contact_gives_a_local_part_that_reads_back(self, local: str, name: str | None) -> None:
        try:
            contact = parse_loose(f"{local}@example.com")
        except AddressError:
            contact = Address("x", "[192.0.2.1]")
        token = tokens.reverse_token(RING, 5, contact.key)
        made = tokens.reverse_local_part(contact, name, token)
        assert len(made) <= 64
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,38}\.[a-z2-7]{24}", made)
        assert tokens.read(RING, made, TODAY) == Reverse(token)


class TestBounce:
    @given(bounces)
    def test_reads_back_exactly_in_any_case(self, bounce: Bounce) -> None:
        local = tokens.bounce_local_part(RING, bounce)
        assert re.fullmatch(r"[a-z2-7]{53}", local)
        assert tokens.is_reserved(local)
        assert tokens.read(RING, local, TODAY) == BounceValid(bounce)
        assert tokens.read(RING, local.upper(), TODAY) == BounceValid(bounce)

    def test_layout(self) -> None:
        """kind 2, version 2, key id 4, date 16, alias 48, contact 64, mailbox 48 (masked), MAC 80 bits."""
        raw = tokens._decode(tokens.bounce_local_part(RING, a_bounce(kind=BounceKind.NOTICE)))
        assert len(raw) == 33
        assert raw[:17].hex() == "9f50780123456789ab0001020304050607"

    @pytest.mark.parametrize("other", [{"alias_id": 2}, {"contact": b"8" * 8}, {"day": TODAY - 1}])
    def test_contacts_cannot_see_that_aliases_have_one_mailbox(self, other: dict[str, Any]) -> None:
        first = Bounce(BounceKind.REPLY, TODAY, 1, bytes(range(8)), 0xBA9876543210)
        raws = [tokens._decode(tokens.bounce_local_part(RING, b)) for b in (first, replace(first, **other))]
        mailboxes = {raw[17:23].hex() for raw in raws}
        assert len(mailboxes | {"ba9876543210"}) == 3

    def test_made_before_a_rotation(self) -> None:
        local = tokens.bounce_local_part(BEFORE, a_bounce())
        assert tokens.read(RING, local, TODAY) == BounceValid(a_bounce())

    @pytest.mark.parametrize(
        ("day", "reason"),
        [
            (TODAY + 3, "dated ahead"),
            (TODAY - 31, "31 days old"),
            (0, f"{TODAY} days old"),
            (65_535, "dated ahead"),
        ],
    )
    def test_stale_or_ahead(self, day: int, reason: str) -> None:
        local = tokens.bounce_local_part(RING, a_bounce(day))
        assert tokens.read(RING, local, TODAY) == BounceForged(reason)

    @pytest.mark.parametrize("day", [TODAY - 30, TODAY, TODAY + 1])
    def test_just_fresh(self, day: int) -> None:
        local = tokens.bounce_local_part(RING, a_bounce(day))
        assert tokens.read(RING, local, TODAY) == BounceValid(a_bounce(day))

    @given(st.integers(0, 52), st.sampled_from(BASE32))
    def test_one_character_changed_is_good_no_more(self, at: int, character: str) -> None:
        local = tokens.bounce_local_part(RING, a_bounce())
        changed = local[:at] + character + local[at + 1 :]
        if changed != local:
            # The first two characters hold the secret's id: it may have become that of one we haven't.
            bad = (BounceForged, BounceUnread) if at < 2 else BounceForged
            assert isinstance(tokens.read(RING, changed, TODAY), bad)

    def test_the_bit_that_the_last_character_has_too_many(self) -> None:
        local = tokens.bounce_local_part(RING, a_bounce())
        twin = local[:-1] + BASE32[BASE32.index(local[-1]) ^ 1]
        assert tokens._decode(twin) == tokens._decode(local)
        assert isinstance(tokens.read(RING, twin, TODAY), BounceForged)

    def test_strangers(self) -> None:
        local = tokens.bounce_local_part(STRANGERS, a_bounce())
        assert tokens.read(RING, local, TODAY) == BounceForged("the MAC is wrong")
        unread = BounceUnread("made with a secret that this program does not have")
        assert tokens.read(BEFORE, local, TODAY + BOUNCE_DAYS) == unread
        assert tokens.read(BEFORE, local, TODAY - AHEAD_DAYS) == unread

    @pytest.mark.parametrize("today", [TODAY + BOUNCE_DAYS + 1, TODAY - AHEAD_DAYS - 1])
    def test_strangers_of_another_time(self, today: int) -> None:
        local = tokens.bounce_local_part(STRANGERS, a_bounce())
        assert tokens.read(BEFORE, local, today) == BounceForged("made with a secret that we do not have")

    def test_unknown_kind(self) -> None:
        """A later version's address that a node not yet upgraded meets: signed by us, not understood."""
        signed = tokens._pack(a_bounce(), NEW.id)
        body = bytes([signed[0] | 0b0010_0000]) + signed[1:]
        mac = RING.mac(tokens.Purpose.BOUNCE, body, 10)
        assert tokens.read(RING, tokens._encode(body + mac), TODAY) == BounceUnread(
            "of a kind or version that this program does not know"
        )

    def test_made_before_the_mailbox_was_masked(self) -> None:
        signed = tokens._pack(a_bounce(), NEW.id)
        body = bytes([signed[0] & 0b1100_1111]) + signed[1:]
        mac = RING.mac(tokens.Purpose.BOUNCE, body, 10)
        assert tokens.read(RING, tokens._encode(body + mac), TODAY) == BounceValid(a_bounce())

    def test_impossible_fields(self) -> None:
        with pytest.raises(ValueError, match="8 octets"):
            Bounce(BounceKind.FORWARD, TODAY, 1, b"", 1)
        with pytest.raises(OverflowError):
            tokens.bounce_local_part(RING, Bounce(BounceKind.FORWARD, TODAY, 2**48, bytes(8), 1))

    def test_contact_is_the_token_s_beginning(self) -> None:
        token = tokens.reverse_token(RING, 5, "bob@example.com")
        assert tokens.contact_of(token) == tokens._decode(token)[:8]


class TestRead:
    @pytest.mark.parametrize("local", ["postmaster", "PostMaster", "POSTMASTER+x", "abuse", "Abuse+spam"])
    def test_postmaster_and_abuse(self, local: str) -> None:
        assert tokens.read(RING, local, TODAY) == Postmaster(local.lower().partition("+")[0])
        assert tokens.is_reserved(local)

    @pytest.mark.parametrize(
        "local",
        [
            "shop",
            "shop+x",
            "",
            "postmasters",
            "a" * 52,
            "a" * 54,
            "1" * 53,
            "bob." + "a" * 23,
            "bob." + "a" * 25,
            "-bob." + "a" * 24,
            "b.ob." + "a" * 24,
            "." + "a" * 24,
            "b" * 40 + "." + "a" * 24,
            "bob." + "a" * 24 + "+x",
            "bob." + "a" * 23 + "\u212a",
            "postma\u017fter",
        ],
    )
    def test_ordinary(self, local: str) -> None:
        assert tokens.read(RING, local, TODAY) is None
        assert not tokens.is_reserved(local)

    @given(
        st.text(st.characters(), max_size=70)
        | st.text(BASE32, min_size=53, max_size=53)
        | st.builds("x.{}".format, st.text(BASE32, min_size=24, max_size=24))
    )
    def test_reading_never_raises_and_agrees_with_the_shape(self, local: str) -> None:
        seen = tokens.read(RING, local, TODAY)
        assert not isinstance(seen, Reverse | BounceValid)
        assert (seen is not None) == tokens.is_reserved(local)
