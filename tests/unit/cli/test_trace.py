"""What became of a message, where nothing did."""

from __future__ import annotations

import os

from cli_site import Site
from postmask_postfix.instance import cool


def test_longer_ago_than_a_date_can_say(site: Site) -> None:
    folder = site.folder / "postfix"
    folder.mkdir()
    (folder / "main.cf").write_text("compatibility_level = 3.6\ninfo_log_address_format = external\n")
    (folder / "master.cf").touch()
    for file in folder.iterdir():
        cool(file)
    (site.folder / "log").touch()
    told = site.refusal(
        os.EX_NOUSER, "trace", "4C68C2F27C1", "--since", "999999d", "--log", str(site.folder / "log")
    )
    assert "nothing is known of 4C68C2F27C1 since 1970-01-01" in told
