"""postmask-postfix(5) is kept true: it is what the settings give, and lists each of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from postmask_postfix.manual import page
from postmask_postfix.parameters import PARAMETERS
from postmask_postfix.services import SERVICES

COMMITTED = Path(__file__).parents[3] / "docs/man/postmask-postfix.5"


def test_the_committed_page_is_current() -> None:
    assert COMMITTED.read_text() == page(), (
        "write it anew: python3 -m postmask_postfix.manual > docs/man/postmask-postfix.5"
    )


def test_every_setting_is_there_with_its_reason() -> None:
    plain = page().replace("\\-", "-").replace("\\(ga", "`").replace("\\e", "\\").replace("\\(ha", "^")
    for parameter in PARAMETERS:
        assert f".B {parameter.name}\n{parameter.why}" in plain
    for service in SERVICES:
        assert f".SS {service.name}\n{service.why}" in plain
        for option in service.options:
            assert f".B {option.name}\n{option.why}" in plain


def test_the_page_is_good_roff() -> None:
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-z"], input=page(), capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
