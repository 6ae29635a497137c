"""postmask(1) is kept true: it is what the command tree gives."""

from __future__ import annotations

import subprocess
from pathlib import Path

from postmask.cli.manual import page

COMMITTED = Path(__file__).parents[3] / "docs/man/postmask.1"


def test_the_committed_page_is_current() -> None:
    assert COMMITTED.read_text() == page(), (
        "write it anew: python3 -m postmask.cli.manual > docs/man/postmask.1"
    )


def test_the_page_is_good_roff() -> None:
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-z"], input=page(), capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
