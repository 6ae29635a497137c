"""Entries of the outbox read as rows: whatever a payload holds, it is a row that fits or an EntryError."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmask.spool import Entry
from postmask.store import entries
from postmask.store.entries import EntryError
from postmask.store.models import MAX_ID, Base

TABLES = {
    "contact": "contact",
    "event": "event",
    "bounce": "bounce",
    "replay": "replay_mark",
}

GOOD = {
    "contact": {"alias_id": 1, "address": "C@x.test", "name": "C", "token": "a" * 24, "at": 1.0},
    "event": {"at": 1, "account_id": 1, "alias_id": 2, "kind": "forwarded", "queue_id": "Q"},
    "bounce": {"at": 1.0, "alias_id": 0, "contact_token": "0" * 16, "mailbox_id": 0, "kind": "notice"},
    "replay": {"mark": "m", "reverse_token": "t", "ledger_key": "k", "at": 1.0},
    "mailbox_pause": {"mailbox_id": 1, "at": 1.0, "reason": "r"},
}

anything = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers())
fields = st.sampled_from(sorted({name for payload in GOOD.values() for name in payload}))


@pytest.mark.parametrize("kind", GOOD)
def test_good_ones(kind: str) -> None:
    assert entries.read(Entry.new(kind, **GOOD[kind]))


@given(kind=st.sampled_from(sorted(GOOD)), changes=st.dictionaries(fields, anything))
def test_a_row_that_fits_or_an_entry_error(kind: str, changes: dict[str, object]) -> None:
    entry = Entry("0" * 32, kind, GOOD[kind] | changes)
    try:
        row = entries.read(entry)
    except EntryError:
        return
    columns = Base.metadata.tables[TABLES[kind]].columns if kind in TABLES else {}
    for name, value in row.items():
        if isinstance(value, str):
            assert "\0" not in value
            value.encode()
            if name in columns and getattr(columns[name].type, "length", None):
                assert len(value) <= columns[name].type.length
        if isinstance(value, int):
            assert 0 <= value <= MAX_ID
        if isinstance(value, float):
            assert math.isfinite(value)


@pytest.mark.parametrize(
    ("kind", "change", "says"),
    [
        ("event", {"at": None}, "at is missing"),
        ("event", {"at": True}, "no time"),
        ("event", {"at": 10**400}, "no time"),
        ("event", {"at": float("inf")}, "no time"),
        ("event", {"kind": "odd"}, "kind is none of"),
        ("event", {"kind": ["forwarded"]}, "kind is none of"),
        ("contact", {"alias_id": MAX_ID + 1}, "no id"),
        ("contact", {"alias_id": True}, "no id"),
        ("contact", {"alias_id": 1.0}, "no id"),
        ("contact", {"token": "A" * 24}, "token"),
        ("contact", {"address": "x" * 400 + "@x.test"}, "address"),
        ("bounce", {"contact_token": "0\x000"}, "contact_token"),
    ],
)
def test_bad_ones(kind: str, change: dict[str, object], says: str) -> None:
    with pytest.raises(EntryError, match=says):
        entries.read(Entry("0" * 32, kind, GOOD[kind] | change))


def test_what_is_no_entry_at_all() -> None:
    with pytest.raises(EntryError, match="unknown kind"):
        entries.read(Entry.new("novelty"))
    with pytest.raises(EntryError, match="UUID"):
        entries.read(Entry("1", "event", GOOD["event"]))


def test_long_words_are_cut_not_refused() -> None:
    row = entries.read(Entry.new("event", **GOOD["event"], reason="x" * 5000, status="5.1.1 and more"))
    assert (len(row["reason"]), row["status"]) == (1000, "5.1.1 and m")


def test_a_contact_keeps_its_case_beside_its_key() -> None:
    row = entries.read(Entry.new("contact", **GOOD["contact"]))
    assert (row["address"], row["written"]) == ("c@x.test", "C@x.test")
