"""The codes: each once, in its group's hundred, in whole sentences; and the manual page is what they give."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from postmask.cli.doctor.groups import ALL
from postmask.cli.doctor.manual import page
from postmask.doctor import examination
from postmask.doctor.finding import Code

COMMITTED = Path(__file__).parents[3] / "docs/man/postmask-doctor.7"
CODES = (*examination.CODES, *(code for group in ALL for code in group.codes))
HUNDREDS = {"node": 1, "postfix": 2, "host": 3, "dns": 4, "blocklists": 5, "send": 6}


def test_no_code_is_given_twice() -> None:
    ids = [code.id for code in CODES]
    assert len(ids) == len(set(ids))


def test_every_group_has_a_hundred_of_its_own() -> None:
    for group in ALL:
        assert {code.id[:3] for code in group.codes} == {f"PM{HUNDREDS[group.name]}"}


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.id)
def test_a_code_has_a_number_and_whole_sentences(code: Code) -> None:
    assert re.fullmatch(r"PM\d{3}", code.id)
    for words in (code.sentence, code.why, code.advice):
        assert words.endswith(".")
        assert re.match(r"[A-Z]|postmask ", words)


def test_the_committed_page_is_current() -> None:
    assert COMMITTED.read_text() == page(), (
        "write it anew: python3 -m postmask.cli.doctor.manual > docs/man/postmask-doctor.7"
    )


def test_the_page_is_good_roff() -> None:
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-z"], input=page(), capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
