"""What `postmask postfix` prints: a hidden /proc, that there is no Postfix, and settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli_site import Site
from postmask.cli.doctor import access
from postmask_postfix import client
from postmask_postfix.attachment import attach, detach, site
from postmask_postfix.attachment.attach import Done
from postmask_postfix.attachment.detach import Detached, Standing, Status
from postmask_postfix.instance import cool


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


@pytest.fixture
def postfix(bare: Site) -> Path:
    """The folder of another Postfix than the configured one, that was never started."""
    folder = bare.folder / "other"
    folder.mkdir()
    (folder / "main.cf").write_text(f"compatibility_level = 3.6\nqueue_directory = {bare.folder}/queue\n")
    (folder / "master.cf").write_text("smtp inet n - n - - smtpd\n")
    for file in folder.iterdir():
        cool(file)
    bare.config.write_text(
        bare.config.read_text().replace("[postfix]\n", '[postfix]\npipe_user = "nobody"\n')
    )
    return folder


@pytest.mark.parametrize("words", [("diff",), ("attach", "--dry-run")], ids=" ".join)
def test_what_attaching_would_change_is_only_shown(
    bare: Site, postfix: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(client, "install", lambda _folder: pytest.fail("something was put on the host"))
    before = {file: file.read_text() for file in postfix.iterdir()}
    told = bare.text("postfix", *words, "--config-dir", str(postfix)).splitlines()
    assert told[0] == f"--- {postfix}/main.cf"
    assert "+transport_maps = $postmask_transport_maps" in told
    assert bare.json("postfix", *words, "--config-dir", str(postfix))["diff"].splitlines() == told
    assert {file: file.read_text() for file in postfix.iterdir()} == before


def test_what_detaching_is_asked_to_do(bare: Site, postfix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def played(config_dir: Path, *, dry_run: bool) -> Detached:
        asked.append((config_dir, dry_run))
        return Detached(changed=True, identical=True, diff="-postmask_gate = x\n")

    monkeypatch.setattr(detach, "detach", played)
    there = ("--config-dir", str(postfix))
    assert bare.text("postfix", "detach", "--dry-run", *there) == "-postmask_gate = x\n"
    assert "byte for byte what they were" in bare.text("postfix", "detach", *there)
    assert asked == [(postfix, True), (postfix, False)]


@pytest.mark.parametrize("standing", list(Standing))
def test_only_attached_and_unchanged_is_as_it_should_be(
    bare: Site, postfix: Path, monkeypatch: pytest.MonkeyPatch, standing: Standing
) -> None:
    monkeypatch.setattr(detach, "status", lambda _directory: Status(standing))
    told = bare.run("postfix", "status", "--config-dir", str(postfix))
    assert told.exit_code == (0 if standing is Standing.ATTACHED else os.EX_UNAVAILABLE)
    assert told.stdout == f"Postfix in {postfix}: {standing}\n"


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
