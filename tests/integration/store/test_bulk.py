"""Many aliases from a CSV, all or nothing, on both databases."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select

from postmask.directory.lookup import ABSENT, Found
from postmask.directory.records import WhenDisabled
from postmask.store.admin import accounts, aliases, bulk, mailboxes
from postmask.store.admin.bulk import BadRows
from postmask.store.errors import Duplicate, Refused
from postmask.store.models import Alias
from postmask.tokens import alias_id
from truth import KEYS, Truth

MANY = 100_000


def test_with_a_header(furnished: Truth) -> None:
    text = (
        "Note,Address,to,when_disabled,name\r\n"
        '"shoes, ""red""",A1@alias.test,bob@real.test; ann@real.test bob@real.test,discard,Me\r\n'
        "\r\n"
        ",a2@alias.test,,,\r\n"
    )
    lines = text.splitlines(keepends=True)
    assert furnished.do(bulk.add, KEYS, lines, to=["ann@real.test"], now=1.0) == 2
    one: Any = furnished.do(aliases.get, "a1@alias.test")
    assert (one.note, one.name, one.when_disabled) == ('shoes, "red"', "Me", WhenDisabled.DISCARD)
    assert one.mailboxes == ("ann@real.test", "bob@real.test")
    two: Any = furnished.do(aliases.get, "a2@alias.test")
    assert (two.mailboxes, two.note, two.when_disabled) == (("ann@real.test",), None, "reject")


def test_without_a_header(furnished: Truth) -> None:
    lines = ["a1@alias.test,bob@real.test", "a2@alias.test"]
    assert furnished.do(bulk.add, KEYS, lines, to=["ann@real.test"], now=1.0) == 2
    two: Any = furnished.do(aliases.get, "a2@alias.test")
    assert two.mailboxes == ("ann@real.test",)


@pytest.mark.parametrize(
    "lines",
    [
        ["address;to;note", 'a1@alias.test;"ann@real.test;bob@real.test";"two', 'lines, a comma"'],
        ["a1@alias.test\tann@real.test bob@real.test\ttwo lines, a comma"],
        ["", "address,note,to", 'a1@alias.test,"two lines, a comma",ann@real.test bob@real.test'],
    ],
)
def test_as_spreadsheets_write_it(furnished: Truth, lines: list[str]) -> None:
    assert furnished.do(bulk.add, KEYS, [f"{line}\n" for line in lines], now=1.0) == 1
    made: Any = furnished.do(aliases.get, "a1@alias.test")
    assert made.mailboxes == ("ann@real.test", "bob@real.test")
    assert " ".join(made.note.split()) == "two lines, a comma"


def test_ids_are_those_of_single_aliases(furnished: Truth) -> None:
    furnished.do(bulk.add, KEYS, ["a1@alias.test,bob@real.test"], now=1.0)
    furnished.do(aliases.add, KEYS, "a2@alias.test", ["bob@real.test"], now=1.0)
    shown: Any = furnished.do(aliases.get, "a1@alias.test")
    found = furnished.directory().alias_by_id(shown.id)
    assert isinstance(found, Found)
    assert shown.id == alias_id(KEYS, "a1@alias.test")


def test_ids_that_clash_with_one_another(furnished: Truth, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, and when one's next is what another has just got."""
    first = {"a@alias.test": 1, "b@alias.test": 1, "c@alias.test": 2}
    monkeypatch.setattr("postmask.tokens.alias_id", lambda _, key, attempt=0: first[key] + attempt)
    assert furnished.do(bulk.add, KEYS, list(first), to=["bob@real.test"], now=1.0) == 3
    made: Any = [furnished.do(aliases.get, address) for address in first]
    assert [alias.id for alias in made] == [1, 3, 2]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("nobody,bob@real.test", "line 2: "),
        ("x@unknown.test,bob@real.test", "postmask domain add unknown.test"),
        ("x@alias.test,nobody@real.test", "postmask mailbox add nobody@real.test"),
        ("x@alias.test,", "no mailbox"),
        ("good@alias.test,bob@real.test", "twice"),
        ("GOOD@alias.test,bob@real.test", "twice"),
        ("postmaster@alias.test,bob@real.test", "reserved"),
        ("x@alias.test,bob@real.test,n,m,odd", "use reject"),
        ("x@alias.test,bob@real.test,n,m,reject,more", "more cells"),
        ('x@alias.test,"bob@real.test', "line 2"),
        ("x@alias.test,bob@real.test,no\0te", "U+0000"),
        ("x\0@alias.test,bob@real.test", "line 2"),
    ],
)
def test_one_bad_line_spoils_all(furnished: Truth, line: str, says: str) -> None:
    with pytest.raises(BadRows) as caught:
        furnished.do(bulk.add, KEYS, ["good@alias.test,bob@real.test", line], now=1.0)
    assert says in caught.value.details[0]
    assert furnished.directory().alias("good@alias.test") == ABSENT


def test_taken_and_removed_addresses_spoil_all(furnished: Truth) -> None:
    lines = ["good@alias.test,bob@real.test", "shop@alias.test,bob@real.test"]
    with pytest.raises(Duplicate, match="shop@alias"):
        furnished.do(bulk.add, KEYS, lines, now=1.0)
    furnished.do(aliases.remove, "shop@alias.test", now=1.0)
    with pytest.raises(Refused, match="alias restore"):
        furnished.do(bulk.add, KEYS, lines, now=1.0)
    assert furnished.directory().alias("good@alias.test") == ABSENT


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["address,too", "a1@alias.test,bob@real.test"], "line 1: has no address in it"),
        (
            ["to,note", "a1@alias.test,bob@real.test"],
            "these columns, each once, address among them: address, to,",
        ),
        (["address,address", "a1@alias.test,bob@real.test"], "line 1: "),
        (["E-Mail;Ziel", "a1@alias.test;bob@real.test"], "these columns"),
        (["a\0d\0d\0", "a1@alias.test,bob@real.test"], "save the file as UTF-8"),
        (["a1@alias.test,bob@real.test", "a2@alias.test,bob@real.test,Sch\udcfche"], "line 2: isn't UTF-8"),
        (["address,to,note", 'a1@alias.test,bob@real.test,"two', 'lines"', "bad,bob@real.test"], "line 4: "),
        (["address,to", 'a1@alias.test,"', '"'], "line 2: no mailbox"),
        (["a1@alias.test,bob@real.test,a", 'a2@alias.test,bob@real.test,"a', "a3@alias.test"], "line 2: "),
        (
            ["a1@alias.test,bob@real.test,a", 'a2@alias.test,bob@real.test,"a"b'],
            "each quote within it written twice",
        ),
    ],
)
def test_a_file_that_isnt_as_it_should_be(furnished: Truth, lines: list[str], says: str) -> None:
    with pytest.raises(BadRows) as caught:
        furnished.do(bulk.add, KEYS, [f"{line}\n" for line in lines], now=1.0)
    assert says in caught.value.details[0]
    assert len(caught.value.details) == 1


def test_faults_are_listed_to_a_limit(furnished: Truth) -> None:
    with pytest.raises(BadRows) as caught:
        furnished.do(bulk.add, KEYS, ["bad@"] * 1000, now=1.0)
    assert len(caught.value.details) == 20


def test_nothing_is_nothing(furnished: Truth) -> None:
    assert furnished.do(bulk.add, KEYS, [], now=1.0) == 0
    assert furnished.do(bulk.add, KEYS, ["address,to", "", " , "], now=1.0) == 0


def test_the_accounts_own_mailboxes_only(furnished: Truth) -> None:
    furnished.do(accounts.add, "eve", now=1.0)
    furnished.do(mailboxes.add, KEYS, "eve@real.test", account="eve", now=1.0)
    with pytest.raises(BadRows) as caught:
        furnished.do(bulk.add, KEYS, ["a1@alias.test,bob@real.test"], account="eve", now=1.0)
    assert "no mailbox bob" in caught.value.details[0]
    assert furnished.do(bulk.add, KEYS, ["a1@alias.test,eve@real.test"], account="eve", now=1.0) == 1


def test_a_long_file_is_written_while_it_is_read(furnished: Truth) -> None:
    """Postgres ends a transaction that is idle for a minute, and a file may have a million lines."""
    seen: list[int | None] = []
    with furnished.session() as session:

        def lines() -> Iterator[str]:
            yield from (f"u{number}@alias.test,bob@real.test" for number in range(12_000))
            seen.append(session.scalar(select(func.count()).select_from(Alias)))
            yield "x@alias.test,bob@real.test"

        assert bulk.add(session, KEYS, lines(), now=1.0) == 12_001
    assert seen == [1 + 10_000]


def test_a_fault_behind_what_was_written_spoils_that_too(furnished: Truth) -> None:
    lines = [*(f"u{number}@alias.test,bob@real.test" for number in range(6_000)), "x@alias.test,no@real.test"]
    with pytest.raises(BadRows) as caught:
        furnished.do(bulk.add, KEYS, lines, now=1.0)
    assert "line 6001: " in caught.value.details[0]
    assert furnished.directory().alias("u1@alias.test") == ABSENT


def test_a_hundred_thousand_within_a_minute(furnished: Truth) -> None:
    lines = (f"u{number}@alias.test,bob@real.test,note {number}" for number in range(MANY))
    # Our own share of the minute, in processor time: the test machine may be busy with other things.
    start = time.process_time()
    assert furnished.do(bulk.add, KEYS, lines, now=1.0) == MANY
    assert time.process_time() - start < 40
    directory = furnished.directory()
    assert isinstance(directory.alias(f"u{MANY - 1}@alias.test"), Found)
    assert directory.alias(f"u{MANY}@alias.test") == ABSENT
    with pytest.raises(Duplicate):
        furnished.do(
            bulk.add, KEYS, [f"u{MANY}@alias.test,bob@real.test", "u7@alias.test,bob@real.test"], now=2.0
        )
    assert directory.alias(f"u{MANY}@alias.test") == ABSENT
