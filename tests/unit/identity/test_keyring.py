"""The keyring: the newest that doesn't wait signs, all verify, every purpose on its own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmask.keys import Keyring, Purpose, Secret

OLD = Secret(1, "2025-01-01", b"1" * 32)
NEW = Secret(2, "2026-01-01", b"2" * 32)
RING = Keyring([OLD, NEW])


def test_the_newest_signs_and_all_verify() -> None:
    assert RING.signing is NEW
    assert RING.secrets == (NEW, OLD)
    middle = Secret(3, "2025-07-01", b"3" * 32)
    assert Keyring([OLD, middle, NEW]).secrets == (NEW, middle, OLD)
    old_mac = Keyring([OLD]).mac(Purpose.TOKEN, b"data", 10)
    assert RING.mac(Purpose.TOKEN, b"data", 10) != old_mac
    assert RING.mac(Purpose.TOKEN, b"data", 10, secret_id=1) == old_mac
    assert RING.check(Purpose.TOKEN, b"data", old_mac)
    assert RING.check(Purpose.TOKEN, b"data", RING.mac(Purpose.TOKEN, b"data", 10))
    assert not Keyring([OLD]).check(Purpose.TOKEN, b"data", RING.mac(Purpose.TOKEN, b"data", 10))


def test_one_that_waits_verifies_and_does_not_sign() -> None:
    waiting = replace(NEW, waits=True)
    ring = Keyring([OLD, waiting])
    assert ring.signing is OLD
    assert ring.secrets == (OLD, waiting)
    assert ring.mac(Purpose.TOKEN, b"data", 10) == Keyring([OLD]).mac(Purpose.TOKEN, b"data", 10)
    assert ring.check(Purpose.TOKEN, b"data", RING.mac(Purpose.TOKEN, b"data", 10))
    assert ring.open(Purpose.TRACE, RING.seal(Purpose.TRACE, b"x")) == b"x"
    assert RING.open(Purpose.TRACE, ring.seal(Purpose.TRACE, b"x")) == b"x"
    with pytest.raises(ValueError, match="one secret that signs"):
        Keyring([waiting])


def test_every_purpose_has_its_own_key() -> None:
    macs = {RING.mac(purpose, b"data", 32) for purpose in Purpose}
    assert len(macs) == len(Purpose)


def test_derived_keys_never_change() -> None:
    """What is in the world already must verify with every later version."""
    assert RING.mac(Purpose.TOKEN, b"data", 10).hex() == "10c2edb27c5a6cb4afe5"
    assert RING.mac(Purpose.BOUNCE, b"data", 10).hex() == "c87ebc5c91c3f5e66501"
    assert (
        RING.seal(Purpose.MESSAGE_ID, b"plain", b"associated").hex()
        == "02abbc13a92f7829f3bc48dbb4061848f8ac6a16518c"
    )


def test_the_fingerprint_tells_whether_two_rings_are_the_same() -> None:
    assert RING.fingerprint == "2:a4fa0b2b712f0132 1:81f010f38b444f67"
    assert Keyring([OLD, NEW]).fingerprint == RING.fingerprint
    others = [
        [NEW, OLD],
        [NEW],
        [OLD],
        [OLD, Secret(2, NEW.created, b"3" * 32)],
        [OLD, Secret(3, "", NEW.material)],
    ]
    assert len({Keyring(secrets).fingerprint for secrets in others} | {RING.fingerprint}) == len(others) + 1


@pytest.mark.parametrize("length", [0, 1, 4, 33])
def test_a_mac_is_neither_too_short_nor_too_long(length: int) -> None:
    with pytest.raises(ValueError, match="5 to 32 octets"):
        RING.mac(Purpose.TOKEN, b"data", length)
    assert not RING.check(Purpose.TOKEN, b"data", bytes(length))


def test_an_unknown_secret_can_not_sign() -> None:
    assert RING.by_id(3) is None
    with pytest.raises(KeyError):
        RING.mac(Purpose.TOKEN, b"data", 10, secret_id=3)


def test_secrets_are_checked_and_not_shown() -> None:
    assert "material" not in repr(OLD)
    assert "1111" not in repr(RING.__dict__ | {"_mac_keys": {}})
    for secret_id in (0, 16):
        with pytest.raises(ValueError, match="1 to 15"):
            Secret(secret_id, "2026-01-01", bytes(32))
    with pytest.raises(ValueError, match="32 octets"):
        Secret(1, "2026-01-01", bytes(31))
    with pytest.raises(ValueError, match="at least one"):
        Keyring([])
    with pytest.raises(ValueError, match="same id"):
        Keyring([OLD, Secret(1, "2026-01-01", bytes(32))])


@given(st.binary(min_size=1, max_size=200), st.lists(st.binary(max_size=20), max_size=3))
def test_what_is_sealed_opens_only_as_it_was_sealed(plain: bytes, associated: list[bytes]) -> None:
    sealed = RING.seal(Purpose.TRACE, plain, *associated)
    assert sealed[0] == NEW.id
    assert RING.open(Purpose.TRACE, sealed, *associated) == plain
    assert RING.open(Purpose.MESSAGE_ID, sealed, *associated) is None
    assert RING.open(Purpose.TRACE, sealed, *associated, b"more") is None
    assert RING.open(Purpose.TRACE, sealed[:-1], *associated) is None
    assert Keyring([OLD]).open(Purpose.TRACE, sealed, *associated) is None


def test_sealed_before_a_rotation_opens_after_it() -> None:
    assert RING.open(Purpose.DKIM_STORAGE, Keyring([OLD]).seal(Purpose.DKIM_STORAGE, b"key")) == b"key"


@given(st.binary(max_size=80))
def test_foreign_octets_do_not_open(sealed: bytes) -> None:
    assert RING.open(Purpose.TRACE, sealed) is None


def test_nothing_can_not_be_sealed() -> None:
    with pytest.raises(ValueError, match="nothing to seal"):
        RING.seal(Purpose.TRACE, b"")
