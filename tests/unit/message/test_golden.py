"""The golden cases: a message, and what becomes of it on its way to the owner or to the contact.

`REWRITE_GOLDEN=1 pytest tests/unit/message/test_golden.py` writes the expected files anew: read the
difference before you commit it. The first line of a readme may name the envelope sender.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from message_cases import OWNERS, forwarded, replied
from postmask.message.headers import join

_GOLDEN = Path(__file__).parents[2] / "golden"
_FORWARD = sorted((_GOLDEN / "forward").glob("*.in"))
_REPLY = sorted((_GOLDEN / "reply").glob("*.in"))


def _expect(case: Path, suffix: str, got: bytes) -> None:
    expected = case.with_suffix(suffix)
    if os.environ.get("REWRITE_GOLDEN"):
        expected.write_bytes(got)
    assert got.decode("latin-1") == expected.read_bytes().decode("latin-1")


@pytest.mark.parametrize("case", _FORWARD, ids=lambda case: case.stem)
def test_forward(case: Path) -> None:
    readme = case.with_suffix(".readme").read_text(encoding="utf-8")
    sender = re.match(r"sender: <(.*)>\n", readme)
    _expect(case, ".out", forwarded(case.read_bytes(), sender[1] if sender else "bounce@example.com"))


@pytest.mark.parametrize("case", _REPLY, ids=lambda case: case.stem)
def test_reply(case: Path) -> None:
    result = replied(case.read_bytes())
    _expect(case, ".out", join(result.headers, result.body))
    findings = case.with_suffix(".findings")
    assert list(result.findings) == (findings.read_text().splitlines() if findings.exists() else [])


@pytest.mark.parametrize("case", _REPLY, ids=lambda case: case.stem)
def test_no_owner_in_a_reply_that_goes_out(case: Path) -> None:
    if case.with_suffix(".findings").exists():
        return
    lines = case.with_suffix(".out").read_bytes().lower().splitlines()
    out = b"\n".join(line for line in lines if not line.startswith(b"> not mine:"))
    assert not any(owner.encode() in out for owner in OWNERS)


def test_there_are_cases() -> None:
    assert len(_FORWARD) >= 15
    assert len(_REPLY) >= 9
