"""The trace: sealed, folded on its way, opened again."""

from __future__ import annotations

import base64

import pytest

from message_cases import KEYS
from postmask.keys import Keyring, Purpose, Secret
from postmask.message.headers import make_field
from postmask.message.trace import FIELD, Trace, open_trace, seal_trace

_TRACE = Trace("4XyZ", "bö\"b'$()@example.com", True, 1_800_000_000, 2**48 - 1)


def test_round_trip_through_a_folded_field() -> None:
    field = make_field(FIELD, seal_trace(KEYS, _TRACE).decode())
    assert max(map(len, field.raw.split(b"\r\n"))) <= 80
    assert open_trace(KEYS, field.value) == _TRACE
    assert b"example" not in field.raw


def test_folded_anew_by_another_server() -> None:
    value = seal_trace(KEYS, _TRACE).replace(b" ", b"")
    assert open_trace(KEYS, b"\r\n\t".join(value[i : i + 10] for i in range(0, len(value), 10))) == _TRACE


@pytest.mark.parametrize("value", [b"", b"AAAA", b"A", b"!", b"\xff", b"QUJD" * 40, b"A" * 100_000])
def test_a_forged_trace_does_not_open(value: bytes) -> None:
    assert open_trace(KEYS, value) is None


def test_another_keyring_or_purpose() -> None:
    other = Keyring([Secret(1, "2026-01-01", b"x" * 32)])
    assert open_trace(other, seal_trace(KEYS, _TRACE)) is None
    sealed = KEYS.seal(Purpose.MESSAGE_ID, b'["q","s",true,1,2]')
    assert open_trace(KEYS, base64.b64encode(sealed)) is None
