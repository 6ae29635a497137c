"""postmask.toml(5) is kept true: it is what the declared settings give, and lists each of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from postmask.config.declare import Derived, declared
from postmask.config.sections import SECTIONS
from postmask.config.showing import toml
from postmask.manual import page

COMMITTED = Path(__file__).parents[3] / "docs/man/postmask.toml.5"


def test_the_committed_page_is_current() -> None:
    assert COMMITTED.read_text() == page(), (
        "write it anew: python3 -m postmask.manual > docs/man/postmask.toml.5"
    )


def test_every_setting_has_type_default_and_a_sentence() -> None:
    sections = dict(part.split("]\n", 1) for part in page().split(".SH [")[1:])
    for setting in declared(SECTIONS):
        entry = sections[setting.section].split(f".TP\n.B {setting.attribute}\n")[1].split(".TP\n")[0]
        entry = entry.replace("\\-", "-").replace("\\(ti", "~")
        assert setting.doc in entry
        assert setting.doc.endswith(".")
        assert f"Type: {setting.kind.type}, {setting.kind.expected}." in entry
        default = setting.default.text if isinstance(setting.default, Derived) else toml(setting.default)
        assert f"Default: {default}" in entry


def test_the_page_is_good_roff() -> None:
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-z"], input=page(), capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
