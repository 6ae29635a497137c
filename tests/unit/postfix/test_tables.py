"""The elements of Postfix's lists."""

from __future__ import annotations

from pathlib import Path

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
