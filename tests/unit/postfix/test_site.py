"""What a Postfix has by default, asked of the real postconf."""

from __future__ import annotations

from pathlib import Path

import pytest

from postmask_postfix.attachment import plan, site
from postmask_postfix.attachment.plan import Configuration, Wanted
from postmask_postfix.settings import SettingsContext
from postmask_postfix.sync import wanted_settings


@pytest.mark.parametrize(
    ("main", "kept"),
    [
        ("compatibility_level = 0\n", True),
        ("compatibility_level = 3.6\n", False),
        ("compatibility_level = 0\nrelay_domains =\n", False),
    ],
)
def test_a_list_that_main_cf_does_not_mention_keeps_what_it_holds(
    tmp_path: Path, main: str, kept: bool
) -> None:
    """An old main.cf relays for mydestination and what lies below it."""
    (tmp_path / "main.cf").write_text(f"mydestination = host.test\n{main}")
    (tmp_path / "master.cf").touch()
    now = Configuration((tmp_path / "main.cf").read_text(), "")
    found = site.defaults(tmp_path, now)
    assert list(found) == ["relay_domains"] * kept
    context = SettingsContext(door="pipe", pipe_argv=("true",))
    told = plan.attached(now, Wanted(context, wanted_settings(["alias.test"]), found)).main
    (line,) = (line for line in told.splitlines() if line.startswith("relay_domains"))
    assert ("mydestination" in line) is kept
    assert line.endswith("$postmask_relay_domains")
