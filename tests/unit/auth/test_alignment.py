"""Which domains belong to one owner."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmask.auth.alignment import aligned, registrable
from postmask.auth.providers import is_shared


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("example.com", "example.com", True),
        ("mail.example.com", "example.com", True),
        ("a.b.example.co.uk", "example.co.uk", True),
        ("user.github.io", "user.github.io", True),
        ("a.user.github.io", "user.github.io", True),
        ("xn--bcher-kva.example", "mail.xn--bcher-kva.example", True),
        ("example.test", "mail.example.test", True),
        # one is not under the other
        ("a.example.com", "b.example.com", False),
        ("badexample.com", "example.com", False),
        ("example.com", "example.com.evil.net", False),
        ("example.com", "example.org", False),
        # the upper one is nobody's
        ("com", "example.com", False),
        ("co.uk", "example.co.uk", False),
        ("github.io", "user.github.io", False),
        ("co.uk", "co.uk", False),
        ("localhost", "localhost", False),
        ("", "", False),
        ("", "example.com", False),
        (".com", "example.com", False),
        ("[192.0.2.1]", "[192.0.2.1]", False),
    ],
)
def test_aligned(one, other, expected):
    assert aligned(one, other) is expected
    assert aligned(other, one) is expected


@given(st.text("ab.-[]", max_size=12), st.text("ab.-[]", max_size=12))
def test_never_for_unrelated_names(one, other):
    if aligned(one, other):
        assert one == other or one.endswith("." + other) or other.endswith("." + one)
        assert registrable(one) == registrable(other) is not None


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("gmail.com", True),
        ("eu.gmail.com", True),
        ("hotmail.co.uk", True),
        ("yahoo.co.jp", True),
        ("gmx.de", True),
        ("tenant.onmicrosoft.com", True),
        ("web.de", True),
        ("example.com", False),
        ("live.example.com", False),
        ("notgmail.com", False),
        ("com", False),
    ],
)
def test_shared_providers(domain, expected):
    assert is_shared(domain) is expected
