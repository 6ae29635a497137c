"""Which domains the host's own Postfix has mailboxes in, asked of the real postconf and postmap."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from postmask.cli.failure import status_of
from postmask.cli.postfix_facts import installed, own_domain
from postmask_postfix.commands import PostfixError, values
from postmask_postfix.instance import cool


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "listed").write_text("file.test other.test\n")
    (folder / "table").write_text("table.test OK\n")
    (folder / "main.cf").write_text(
        "compatibility_level = 3.6\n"
        "myhostname = mx.host.test\n"
        f"mydestination = $myhostname, localhost, {folder}/listed inline:{{ inline.test=1, second.test=1 }}\n"
        f"virtual_mailbox_domains = texthash:{folder}/table\n"
        "virtual_alias_maps =\n"
    )
    (folder / "master.cf").touch()
    for file in folder.iterdir():
        cool(file)
    return folder


@pytest.mark.parametrize(
    ("domain", "by"),
    [
        ("mx.host.test", "mydestination"),
        ("file.test", "mydestination"),
        ("second.test", "mydestination"),
        ("table.test", "virtual_mailbox_domains"),
        ("sub.file.test", None),
    ],
)
def test_own_domain(config: Path, domain: str, by: str | None) -> None:
    assert own_domain(config, domain) == by


def test_parameters_are_expanded(config: Path) -> None:
    assert values(config, "myorigin", "myhostname") == {
        "myorigin": "mx.host.test",
        "myhostname": "mx.host.test",
    }


def test_no_postfix_means_no_mailboxes(tmp_path: Path) -> None:
    assert not installed(tmp_path)
    assert own_domain(tmp_path, "any.test") is None


def test_a_broken_table_is_said_not_guessed(config: Path) -> None:
    with (config / "main.cf").open("a") as main_cf:
        main_cf.write(f"virtual_mailbox_domains = texthash:{config}/missing\n")
    cool(config / "main.cf")
    with pytest.raises(PostfixError) as caught:
        own_domain(config, "alias.test")
    assert status_of(caught.value) == os.EX_UNAVAILABLE
