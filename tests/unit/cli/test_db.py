"""The database's life, the configuration and the keys, as the command line shows them (SQLite)."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cli_site import Site
from postmask.cli.ownership import make_like_folder
from postmask.spool import Entry, LedgerRow, Spool
from postmask.store.backup import restore
from postmask.store.errors import StoreError

NOBODY = 65_534


def test_init_twice(bare: Site) -> None:
    assert "already" in bare.text("db", "init")
    again = bare.json("db", "init")
    assert (again["made"], again["state"], again["node_role"]) == (False, "current", None)
    assert bare.json("db", "status").items() <= again.items()
    assert bare.json("db", "upgrade")["before"] == again["revision"]
    assert "current" in bare.text("db", "upgrade")


def test_status(bare: Site) -> None:
    found = bare.json("db", "status")
    assert (found["database"], found["state"], found["generation"], found["nodes"]) == (
        "sqlite",
        "current",
        1,
        [],
    )
    assert "current" in bare.text("db", "status")


def test_a_database_that_isnt_there(bare: Site) -> None:
    (bare.folder / "postmask.db").unlink()
    assert "postmask db init" in bare.refusal(os.EX_UNAVAILABLE, "alias", "list")
    bare.refusal(os.EX_UNAVAILABLE, "db", "status")


def test_an_empty_database(bare: Site) -> None:
    (bare.folder / "postmask.db").write_bytes(b"")
    assert "postmask db init" in bare.refusal(os.EX_UNAVAILABLE, "alias", "list")
    told = bare.run("db", "status", "--json")
    assert told.exit_code == os.EX_UNAVAILABLE
    assert '"state": "missing"' in told.stdout


def test_backup_and_restore(site: Site) -> None:
    copy = site.folder / "copy.db"
    assert site.json("db", "backup", str(copy)) == {"file": str(copy)}
    site.refusal(os.EX_DATAERR, "db", "backup", str(copy))
    site.text("alias", "add", "late@alias.test", "--to", "me@real.test")
    assert "--yes" in site.refusal(os.EX_USAGE, "db", "restore", str(copy))
    assert len(site.json("alias", "list")) == 2
    assert site.json("db", "restore", str(copy), "--yes")["generation"] == 2
    assert [alias["address"] for alias in site.json("alias", "list")] == ["shop@alias.test"]
    site.refusal(os.EX_NOINPUT, "db", "restore", str(site.folder / "none"), "--yes")
    site.refusal(os.EX_DATAERR, "db", "restore", str(site.config), "--yes")
    assert "no/folder" in site.refusal(os.EX_CANTCREAT, "db", "backup", str(site.folder / "no/folder/copy"))


def test_a_backup_of_what_cant_be_used(site: Site) -> None:
    database, copy = site.folder / "postmask.db", site.folder / "copy.db"
    with contextlib.closing(sqlite3.connect(database)) as newer:
        newer.execute("UPDATE alembic_version SET version_num = '9999'")
        newer.commit()
    assert "upgrade Postmask" in site.refusal(os.EX_DATAERR, "db", "backup", str(copy))
    database.unlink()
    told = site.refusal(os.EX_UNAVAILABLE, "db", "backup", str(copy))
    assert f"{database} can't be opened" in told
    database.mkdir()
    site.refusal(os.EX_UNAVAILABLE, "db", "backup", str(copy))
    assert not copy.exists()


def test_what_is_wrong_with_the_configuration_is_said_once(site: Site) -> None:
    """Once by a move's end, which is looked for, and once by the command, before."""
    site.configure("[nonsense]\n")
    for command in ("status", "upgrade"):
        assert site.refusal(os.EX_CONFIG, "db", command).count("nonsense") == 1


def test_a_database_that_is_lost_comes_back_as_the_folders_owners(site: Site) -> None:
    database, copy = site.folder / "postmask.db", site.folder / "copy.db"
    site.text("db", "backup", str(copy))
    database.write_bytes(b"no database" * 1000)
    assert "remove it" in site.refusal(os.EX_DATAERR, "db", "restore", str(copy), "--yes")
    database.unlink()
    with folder_of_nobody() as folder:
        restored = folder / "postmask.db"
        database.symlink_to(restored)  # The site's own folder lies where nobody else comes.
        assert restore(f"sqlite:///{restored}", copy) == 2
        assert (restored.stat().st_uid, stat.S_IMODE(restored.stat().st_mode)) == (NOBODY, 0o660)
        assert [path.name for path in folder.iterdir()] == ["postmask.db"]
        assert len(site.json("alias", "list")) == 1
    assert os.geteuid() == 0


def test_what_the_programs_user_puts_in_his_folder_leads_root_nowhere(site: Site) -> None:
    copy, roots = site.folder / "copy.db", site.folder / "roots"
    site.text("db", "backup", str(copy))
    with folder_of_nobody() as folder:
        (folder / "postmask.db").symlink_to(roots)
        with pytest.raises(StoreError):
            restore(f"sqlite:///{folder}/postmask.db", copy)
    assert not roots.exists()


@contextlib.contextmanager
def folder_of_nobody() -> Iterator[Path]:
    """As /var/lib/postmask is the programs'."""
    with tempfile.TemporaryDirectory() as name:
        os.chown(name, NOBODY, NOBODY)
        yield Path(name)


def test_config_check_and_show(bare: Site) -> None:
    assert bare.json("config", "check") == {"file": str(bare.config), "ok": True}
    assert "in order" in bare.text("config", "check")
    shown = {item["key"]: item for item in bare.json("config", "show")}
    assert shown["node.name"] == {"key": "node.name", "value": "mx.host.test", "origin": "file"}
    assert shown["postfix.door"]["origin"] == "default"
    assert shown["rates.alias"]["value"] == "inf"
    assert bare.json("config", "show", "node.name") == shown["node.name"]
    assert "node.name" in bare.text("config", "show")


@pytest.mark.parametrize(
    ("asked", "near"),
    [("databse.url", "database.url"), ("node.nmae", "node.name"), ("door", "postfix.door"), ("x", "lists")],
)
def test_a_setting_that_there_isnt(bare: Site, asked: str, near: str) -> None:
    assert near in bare.refusal(os.EX_USAGE, "config", "show", asked)


def test_secrets_are_masked(bare: Site) -> None:
    bare.config.write_text('[database]\nurl = "postgresql://node:geheim@db.test/postmask"\n')
    for told in (bare.text("config", "show"), bare.text("config", "show", "--json")):
        assert "geheim" not in told
        assert "node:***@db.test" in told


def test_what_is_wrong_with_the_configuration(bare: Site) -> None:
    bare.configure('[dns]\ntimeuot = 1\n[forwarder]\ndeadline = "long"\n')
    told = bare.refusal(os.EX_CONFIG, "config", "check")
    assert str(bare.config) in told
    assert "dns.timeout" in told
    assert "forwarder.deadline" in told


def test_status_of_a_node_without_programs(site: Site) -> None:
    told = site.run("status", "--json")
    assert told.exit_code == os.EX_UNAVAILABLE
    site.text("mailbox", "pause", "me@real.test", "--reason", "it bounces")
    shown = site.run("status").stdout
    assert "it bounces" in shown
    assert "is the program running?" in shown
    assert "there is no Postfix" in shown


def test_status_shows_copies_that_postfix_refused(site: Site) -> None:
    row = LedgerRow(b"k" * 32, "shop@alias.test", "4dX", reason="re-injection refused: 552 5.3.4 too big")
    with closing(Spool(site.spool, site.clock)) as spool:
        spool.begin([row])
        spool.finish([row])
        spool.put([Entry.new("nonsense")])
        spool.set_aside(1, "unknown kind")
    shown = site.run("status").stdout
    assert "4dX to shop@alias.test" in shown
    assert "552 5.3.4 too big" in shown
    assert "refuses 1 entry" in shown


def test_what_root_makes_belongs_to_the_folders_owner(tmp_path: Path) -> None:
    os.chown(tmp_path, 65_534, 65_534)
    file = tmp_path / "spool.db"
    make_like_folder(file)
    made = file.stat()
    assert (made.st_uid, made.st_gid, stat.S_IMODE(made.st_mode)) == (65_534, 65_534, 0o660)
    file.write_text("kept")
    make_like_folder(file)
    assert file.read_text() == "kept"
    make_like_folder(tmp_path / "no" / "folder")


def test_the_commands_that_root_begins_with_leave_the_programs_their_files(bare: Site) -> None:
    """Database and spool; else the programs couldn't write them, and every message would wait."""
    (bare.folder / "postmask.db").unlink()
    os.chown(bare.folder, 65_534, 65_534)
    bare.text("db", "init")
    bare.text("domain", "add", "alias.test", "--postmaster", "chief@real.test")
    bare.text("mailbox", "add", "me@real.test")
    for file in (bare.folder / "postmask.db", bare.spool):
        made = file.stat()
        assert (made.st_uid, made.st_gid, stat.S_IMODE(made.st_mode)) == (65_534, 65_534, 0o660)
