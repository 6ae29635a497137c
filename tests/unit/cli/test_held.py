"""`postmask held` without root, and wrong calls of it."""

from __future__ import annotations

import os

import pytest
from click.testing import CliRunner

from postmask.cli.program import program

VERBS = (
    ["list"],
    ["show", "4C68C2F27C1"],
    ["release", "4C68C2F27C1"],
    ["discard", "--alias", "shop@alias.example.com"],
    ["expire", "--dry-run"],
)


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_only_root_may(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    told = CliRunner().invoke(program, ["held", *words])
    assert told.exit_code == os.EX_NOPERM
    assert "only root may look into Postfix's hold queue" in told.stderr
    assert told.stdout == ""


def test_octets_are_no_json() -> None:
    told = CliRunner().invoke(program, ["held", "show", "4C68C2F27C1", "--raw", "--json"])
    assert told.exit_code == os.EX_USAGE
