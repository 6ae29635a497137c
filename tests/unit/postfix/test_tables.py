"""The elements of Postfix's lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from postmask_postfix import tables


def test_a_file_that_a_list_names(tmp_path: Path) -> None:
    """As Postfix reads it: a line that begins with # is a remark."""
    (tmp_path / "more").write_text("Fourth.test\n")
    names = tmp_path / "names"
    lines = ("first.test, second.test", "# third.test is Postmask's now", "#fifth.test", f"{tmp_path}/more")
    names.write_text("".join(f"{line}\n" for line in lines))
    asked = ["first.test", "second.test", "third.test", "fourth.test", "fifth.test"]
    assert list(tables.known(tmp_path, f"other.test {names}", asked)) == [*asked[:2], asked[3]]
    assert tables.listed(tmp_path, [f"!{names}", "Last.test"]) == {*asked[:2], asked[3], "last.test"}


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """A Postfix that doesn't run, with a table in its queue directory."""
    (tmp_path / "queue").mkdir()
    (tmp_path / "queue" / "names").write_text("near.test yes\n")
    (tmp_path / "main.cf").write_text(f"compatibility_level = 3.6\nqueue_directory = {tmp_path}/queue\n")
    (tmp_path / "master.cf").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ("inline:{ a.test=1 } inline:{ a.test=2 }", "1"),
        ("inline:{ b.test=1 }, inline:{ a.test=2 }", "2"),
        ("proxy:inline:{ a.test=1 }", "1"),
        ("!a.test, inline:{ a.test=1 }", "1"),
        ("!a.test", None),
        ("A.test", "A.test"),
        ("texthash:names", None),
        ("texthash:names, a.test", "a.test"),
    ],
)
def test_of_several_the_first_answers(stopped: Path, value: str, answer: str | None) -> None:
    """As Postfix asks them, which need not run for it."""
    assert tables.known(stopped, value, ["a.test"]) == ({} if answer is None else {"a.test": answer})


def test_a_table_by_a_relative_name_is_where_postfix_s_daemons_are_at_home(stopped: Path) -> None:
    assert tables.known(stopped, "texthash:names", ["near.test"]) == {"near.test": "yes"}
