"""Which names below our domains are left to the host."""

from __future__ import annotations

import re

import pytest

from postmask_postfix.domains import NOTHING
from postmask_postfix.host_domains import alternation

OURS = {"alias.test", "ours.lists.alias.test", "a.relayed.test"}


def is_host_s(name: str, *, listed: set[str], relayed: set[str]) -> bool:
    return re.fullmatch(alternation(OURS, listed | relayed, relayed), name) is not None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lists.alias.test", True),
        ("deep.lists.alias.test", True),
        ("notlists.alias.test", False),
        ("sub.alias.test", False),
        ("lists.alias.test.example", False),
    ],
)
def test_a_name_that_is_listed_and_what_lies_below_it(name: str, expected: bool) -> None:
    assert is_host_s(name, listed={"lists.alias.test", "host.test", "$odd", ""}, relayed=set()) is expected


@pytest.mark.parametrize("relayed", ["relayed.test", "a.relayed.test"])
def test_what_lies_below_a_relay_domain(relayed: str) -> None:
    assert is_host_s("sub.a.relayed.test", listed=set(), relayed={relayed})
    assert not is_host_s("sub.alias.test", listed=set(), relayed={relayed})
    assert not is_host_s("a.relayed.test", listed=set(), relayed={relayed})


def test_nothing() -> None:
    assert alternation(OURS, {"host.test", "test", "alias.test"}, set()) == NOTHING
