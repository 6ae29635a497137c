"""Bodies as DKIM hashes them: equal to dkimpy's, in any number of pieces, and in linear time."""

from __future__ import annotations

import hashlib
import time

import pytest
from dkim.canonicalization import Relaxed, Simple
from hypothesis import given
from hypothesis import strategies as st

from postmask.auth.dkim import canonical
from postmask.auth.dkim.canonical import Form, OutOfTimeError, hash_bodies, hash_body
from postmask.clock import Deadline, ManualClock

LATER = Deadline.after(ManualClock(), 10)
REFERENCE = {Form.SIMPLE: Simple, Form.RELAXED: Relaxed}
BODIES = st.lists(
    st.sampled_from([b" ", b"\t", b"  ", b"\r\n", b"\r\n\r\n", b"a", b"bc", b"\r", b"\n", b"\xff", b"."]),
    max_size=24,
).map(lambda parts: b"".join(parts) + b"\r\n")


@pytest.mark.parametrize("form", list(Form))
@given(body=BODIES, length=st.integers(0, 30))
def test_equal_to_dkimpy(form, body, length):
    expected = REFERENCE[form].canonicalize_body(body)
    found = hash_bodies(body, form, [None, length], LATER)
    assert found[None] == hashlib.sha256(expected).digest()
    short = hashlib.sha256(expected[:length]).digest()
    assert found[length] == (short if length <= len(expected) else None)


@given(body=BODIES, piece=st.integers(1, 5))
def test_where_the_pieces_end_makes_no_difference(body, piece):
    whole = hash_bodies(body, Form.RELAXED, [None], LATER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canonical, "_PIECE", piece)
        assert hash_bodies(body, Form.RELAXED, [None], LATER) == whole


@pytest.mark.parametrize(
    ("form", "body", "expected"),
    [
        (Form.SIMPLE, b"", b"\r\n"),
        (Form.SIMPLE, b"\r\n\r\n", b"\r\n"),
        (Form.SIMPLE, b"a", b"a\r\n"),
        (Form.SIMPLE, b" \r\n", b" \r\n"),
        (Form.RELAXED, b"", b""),
        (Form.RELAXED, b"\r\n\r\n", b""),
        (Form.RELAXED, b" \t\r\n", b""),
        (Form.RELAXED, b"a \t b", b"a b\r\n"),
        (Form.RELAXED, b"a ", b"a\r\n"),
        (Form.RELAXED, b" C \r\nD \t E\r\n\r\n\r\n", b" C\r\nD E\r\n"),
    ],
)
def test_the_rfc_to_the_letter(form, body, expected):
    assert hash_bodies(body, form, [None], LATER)[None] == hashlib.sha256(expected).digest()


def test_hash_body_is_the_simple_form():
    assert hash_body(b"x\r\n\r\n") == hashlib.sha256(b"x\r\n").digest()


@pytest.mark.parametrize("form", list(Form))
@pytest.mark.parametrize(
    "unit", [b" ", b"\t", b" \t", b"\r\n", b" \r\n", b"a ", b"\r", b"\n", b"a\t \r\n"], ids=repr
)
def test_a_hostile_body_costs_linear_time(form, unit):
    body = unit * (4 * 1024 * 1024 // len(unit)) + b"x\r\n"
    start = time.process_time()
    hash_bodies(body, form, [None, 1, 2, 3, 4, 5, 6, 7, 8, 9], LATER)
    assert time.process_time() - start < 4.0


def test_the_deadline_ends_it():
    clock = ManualClock()
    deadline = Deadline.after(clock, 1)
    clock.advance(2)
    with pytest.raises(OutOfTimeError):
        hash_bodies(b"a\r\n", Form.RELAXED, [None], deadline)
