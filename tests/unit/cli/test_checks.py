"""What `postmask status` says of nodes, by the clocks, and of disks."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cli_site import Site
from postmask.cli.checks.database import heard_of
from postmask.cli.checks.files import LEAST_FREE, disk_trouble
from postmask.cli.runtime import Runtime
from postmask.clock import DAY
from postmask.drain import DrainSwitch
from postmask.store import intake, nodes
from postmask.store.schema import NodeStatus


@pytest.mark.parametrize(
    ("last_seen", "says"),
    [
        (1000.0, ""),
        (401.0, ""),
        (1059.0, ""),
        (399.0, "is its postmask-agent running, and its clock right?"),
        (1061.0, "in the future: its clock is wrong"),
    ],
)
def test_a_node_is_alive_and_its_clock_right(last_seen: float, says: str) -> None:
    check = heard_of(NodeStatus("mx1", last_seen, "0003"), 1000.0)
    assert check.ok == (not says)
    assert says in check.what


def disk(monkeypatch: pytest.MonkeyPatch, *, free: int, files: int = 5, flag: int = 0) -> None:
    block = 4096
    told = os.statvfs_result(
        (block, block, 1 << 30, free // block, free // block, 1000, files, files, flag, 255)
    )
    monkeypatch.setattr(os, "statvfs", lambda _path: told)


@pytest.mark.parametrize(
    ("free", "files", "flag", "says"),
    [
        (LEAST_FREE + 4096, 5, 0, ""),
        (LEAST_FREE - 4096, 5, 0, "has only 20.0 MB left"),
        (0, 5, 0, "has only 0.0 MB left"),
        (10**12, 0, 0, "can take no more files"),
        (10**12, 5, os.ST_RDONLY, "is read-only"),
    ],
)
def test_disks(monkeypatch: pytest.MonkeyPatch, free: int, files: int, flag: int, says: str) -> None:
    disk(monkeypatch, free=free, files=files, flag=flag)
    assert disk_trouble(Path("/")) == says


def test_the_disk_of_the_queue_is_postfix_s_own_wherever_the_sockets_are(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, config = site.folder / "queue", site.folder / "postfix"
    queue.mkdir()
    config.mkdir()
    (config / "main.cf").write_text(f"compatibility_level = 3.6\nqueue_directory = {queue}\n")
    disk(monkeypatch, free=0)
    told = json.loads(site.run("status", "--json").stdout)["checks"]
    full = f"{queue} (Postfix's queue) has only 0.0 MB left"
    assert full in [check["what"] for check in told if check["part"] == "disk"]


def test_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    assert disk_trouble(tmp_path / "none") == ""


def test_what_is_in_the_database_and_what_to_do_about_a_paused_mailbox(site: Site) -> None:
    site.text("mailbox", "pause", "me@real.test")
    found = json.loads(site.run("status", "--json").stdout)
    told = {check["part"]: check for check in found["checks"]}
    assert told["database"]["what"] == "sqlite, 1 domain, 1 mailbox"
    assert told["database"]["severity"] is None
    assert told["mailbox"]["what"] == (
        "me@real.test is paused: by hand; undo that: postmask mailbox resume me@real.test"
    )
    assert told["mailbox"]["severity"] == "warning"


def amiss(site: Site, part: str) -> list[str]:
    checks = json.loads(site.run("status", "--json").stdout)["checks"]
    return [check["code"] for check in checks if check["part"] == part and not check["ok"]]


@pytest.mark.parametrize(("ago", "forgotten"), [(5.5 * 3600, False), (6.5 * 3600, True), (-DAY, True)])
def test_a_node_that_somebody_forgot_to_resume(site: Site, ago: float, forgotten: bool) -> None:
    """Or whose clock was set back, so that nobody can say."""
    DrainSwitch(site.folder).turn(site.clock.now() - ago, "ann@mx1", drained=True)
    assert amiss(site, "drain") == ["PM123"] * forgotten


def test_master_secrets_that_are_gone_or_others(site: Site) -> None:
    """What they say of the database's content, and nothing while they can't be read."""
    keys = site.folder / "keys"
    assert amiss(site, "keys") == []
    keys.unlink()
    assert amiss(site, "keys") == ["PM102"]
    site.text("keys", "init")
    assert set(amiss(site, "keys")) == {"PM124"}


def test_a_node_that_works_with_other_secrets(site: Site) -> None:
    runtime = Runtime(site.clock)
    runtime.config_file = site.config
    with runtime, runtime.engine.begin() as connection:
        intake.seen(connection, "mx2.host.test", site.clock.now())
        said = nodes.Report("0.1", "1:0123456789abcdef", None, None, None, None, None, None)
        nodes.report(connection, "mx2.host.test", said)
    assert amiss(site, "keys") == ["PM128"]
