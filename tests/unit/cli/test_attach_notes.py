"""What `postmask postfix` prints: a hidden /proc, that there is no Postfix, and settings."""

from __future__ import annotations

import os

import pytest

from cli_site import Site
from postmask.cli.doctor import access
from postmask_postfix import client
from postmask_postfix.attachment import attach, site
from postmask_postfix.attachment.attach import Done


@pytest.mark.parametrize(("door", "notes"), [("pipe", 2), ("lmtp", 1)])
def test_a_hidden_proc_is_told_at_once(
    bare: Site, monkeypatch: pytest.MonkeyPatch, door: str, notes: int
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("postmask.cli.postfix_facts.installed", lambda _: True)
    monkeypatch.setattr(client, "install", lambda _folder: None)
    monkeypatch.setattr(attach, "attach", lambda _request: Done(changed=True, notes=("a note",)))
    monkeypatch.setattr(access, "tried", lambda *_: "No such file or directory")
    bare.config.write_text(bare.config.read_text().replace("[postfix]\n", f'[postfix]\ndoor = "{door}"\n'))
    told = bare.json("postfix", "attach")["notes"]
    assert len(told) == notes
    assert told[0] == "a note"
    assert all("can't read of its parent" in note and "hidepid" in note for note in told[1:])
    assert all(note in bare.text("postfix", "attach") for note in told)


@pytest.mark.parametrize(
    "command", [("diff",), ("attach",), ("sync",), ("sync", "--dry-run"), ("status",), ("detach",)]
)
def test_without_a_postfix_the_setting_is_named(
    bare: Site, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(client, "install", lambda _folder: pytest.fail("something was put on the host"))
    told = bare.refusal(os.EX_UNAVAILABLE, "postfix", *command)
    assert f"there is no Postfix in {bare.folder}/postfix; see postfix.config_dir" in told


@pytest.mark.parametrize("verb", ["attach", "sync", "detach"])
def test_only_root_changes_postfix(bare: Site, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    """sync asked whether Postfix runs, which is told to root alone, and said that it knew all already."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "Postfix's configuration belongs to root: run this as root" in bare.refusal(
        os.EX_NOPERM, "postfix", verb
    )


@pytest.mark.parametrize("option", [(), ("--commands",)])
def test_rendered_lines_are_printed_as_they_are(bare: Site, option: tuple[str, ...]) -> None:
    """To be pasted: a backslash more, and the fence would let every bounce out."""
    printed = bare.text("postfix", "render", *option).splitlines()
    assert printed == bare.json("postfix", "render", *option)["lines"]
    assert any(r"eol=\r\n" in line for line in printed)


def test_rendered_settings_are_for_the_postfix_that_is_there(
    bare: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By another limit it would take what can't get out, and by other sockets it finds nobody."""
    values = {"queue_directory": f"{bare.folder}/queue", "message_size_limit": "52428800"}
    monkeypatch.setattr("postmask.cli.postfix_facts.installed", lambda _: True)
    monkeypatch.setattr(site, "read", lambda directory: site.Site(directory, values))
    printed = bare.text("postfix", "render")
    assert "message_size_limit = 53477376" in printed
    assert f"unix:{bare.folder}/sockets/gate.sock" in printed
    values["queue_directory"] = str(bare.folder)
    assert "unix:sockets/gate.sock" in bare.text("postfix", "render")
