"""`postmask db move`: killed at each step, and what it says."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

import fatal_steps
from cli_site import NOW, Site
from moving import Mover
from postgres import Cluster
from postmask.clock import ManualClock
from postmask.config import load
from postmask.store.engine import make_engine
from postmask.store.moving.freeze import frozen

BOTH = ("when-copied", "when-arriving", "when-marked", "when-in-use")
"""Also with Postgres as the source."""

CASES = [
    *(("sqlite", step) for step in (*fatal_steps.MOVE_STEPS_UNDONE, *fatal_steps.MOVE_STEPS_DONE)),
    *(("postgres", step) for step in BOTH),
]


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path, postgres: Cluster) -> Site:
    """alias.test with an alias; the configuration has remarks of a person's. On SQLite, unless told."""
    made = Site(tmp_path, ManualClock(NOW))
    made.configure('[log]  # and a remark\nlevel = "debug"\n')
    if getattr(request, "param", "sqlite") == "postgres":
        url = postgres.fresh()
        configured = made.config.read_text().replace(f"sqlite:///{tmp_path}/postmask.db", url)
        made.config.write_text(configured)
    made.config.chmod(0o640)
    made.text("keys", "init")
    made.text("db", "init")
    made.text("domain", "add", "alias.test", "--postmaster", "chief@real.test")
    made.text("mailbox", "add", "me@real.test", "--verified")
    made.text("alias", "add", "shop@alias.test", "--to", "me@real.test")
    return made


@pytest.fixture
def target(postgres: Cluster) -> Iterator[str]:
    url = postgres.fresh()
    yield url
    postgres.drop(url)


def named(site: Site) -> str:
    """The owner's URL in the configuration."""
    return load(site.config, {}).database.owner_url


def whole(site: Site) -> None:
    """The database that the configuration names is in use: all is there, and more can be."""
    assert site.json("db", "status")["phase"] == "current"
    before = len(site.json("alias", "list"))
    site.text("alias", "add", f"late{before}@alias.test", "--to", "me@real.test")
    assert "shop@alias.test" in {alias["address"] for alias in site.json("alias", "list")}


@pytest.mark.parametrize(("site", "step"), CASES, indirect=["site"])
def test_killed(site: Site, target: str, step: str) -> None:
    old = named(site)
    Mover(site.config).killed(target, step)
    done = step in fatal_steps.MOVE_STEPS_DONE
    if not done:
        # Nobody has to know of it.
        site.text("alias", "add", "between@alias.test", "--to", "me@real.test")
        assert named(site) == old
    told = site.run("db", "status")
    assert told.exit_code == 0, told.output
    if step not in ("when-frozen", "when-forgotten"):
        assert ("finished" if done else "undone") in told.stderr
    assert named(site) == (target if done else old)
    whole(site)
    assert sorted(path.name for path in site.folder.glob(".*")) == []


def test_again_after_it_was_killed(site: Site, target: str) -> None:
    """Without `db status` between."""
    Mover(site.config).killed(target, "when-arriving")
    site.text("alias", "add", "between@alias.test", "--to", "me@real.test")
    Mover(site.config).killed(target, "when-marked")
    told = site.run("db", "move", "--to", target)
    assert told.exit_code == 0
    assert "is finished now" in told.stderr
    assert "between@alias.test" in {alias["address"] for alias in site.json("alias", "list")}
    whole(site)


def test_what_it_says_and_writes(site: Site, target: str) -> None:
    before = site.config.read_text()
    assert "can be moved" in site.text("db", "move", "--to", target, "--dry-run")
    assert site.config.read_text() == before
    told = site.run("db", "move", "--to", "-", stdin=f"{target}\n")
    assert told.exit_code == 0, told.output
    secrets = {
        load(site.config, {}).database.url.split(":")[2].split("@")[0],
        target.split(":")[2].split("@")[0],
    }
    assert not any(secret in told.output for secret in secrets)
    after = site.config.read_text()
    assert after.endswith(before.partition("[keys]")[2])
    assert site.config.stat().st_mode & 0o777 == 0o640
    assert "the database in use" in site.refusal(os.EX_DATAERR, "db", "move", "--to", target)
    whole(site)


def test_both_urls_read_from_standard_input(site: Site, target: str) -> None:
    nodes = target.replace(target.split("/")[2].partition("@")[0], f"{target.rpartition('/')[2]}_node:geheim")
    told = site.run("db", "move", "--to", "-", "--nodes-to", "-", stdin=f"{target}\n{nodes}\n")
    assert told.exit_code == 0, told.output
    assert load(site.config, {}).database.url == nodes


def test_other_nodes_are_named(site: Site, target: str) -> None:
    engine = make_engine(named(site))
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO node (name, last_seen, schema) VALUES ('mx2.test', 1, '0004')"))
    engine.dispose()
    told = site.json("db", "move", "--to", target)
    assert told["other_nodes"] == ["mx2.test"]
    assert "***" in told["owner_url"]


@pytest.mark.parametrize("site", ["postgres"], indirect=True)
def test_a_node_left_behind(site: Site, target: str) -> None:
    """It is told where to go, and the same command there corrects its configuration."""
    left = site.config.read_text()
    site.json("db", "move", "--to", target)
    corrected = site.config.read_text()
    site.config.write_text(left)
    said = site.refusal(os.EX_UNAVAILABLE, "alias", "add", "no@alias.test", "--to", "me@real.test")
    assert "was moved to" in said
    assert "postmask db move --to" in said
    checks = site.run("status", "--json")
    assert "was moved to" in checks.stdout
    shown = site.run("db", "status", "--json")
    assert shown.exit_code == os.EX_UNAVAILABLE
    assert '"phase": "moved"' in shown.stdout
    assert site.json("db", "move", "--to", target)["moved"] is False
    assert site.config.read_text() == corrected
    whole(site)


def test_a_file_that_only_a_person_can_change(site: Site, target: str) -> None:
    site.config.write_text(f'database.url = "{named(site)}"\n[keys]\nfile = "{site.folder}/keys"\n')
    assert "by hand" in site.refusal(os.EX_CONFIG, "db", "move", "--to", target)
    assert site.json("db", "status")["phase"] == "current"


def test_only_postgres(site: Site) -> None:
    site.refusal(os.EX_DATAERR, "db", "move", "--to", "sqlite:////tmp/other.db")
    site.refusal(os.EX_UNAVAILABLE, "db", "move", "--to", "postgresql://nobody:x@127.0.0.1:1/none")


@pytest.mark.parametrize("site", ["sqlite", "postgres"], indirect=True)
def test_changes_wait_a_while(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postmask.store.engine._MOVE_SECONDS", 0.5)
    engine = make_engine(named(site))
    with frozen(engine):
        assert "being moved" in site.refusal(os.EX_TEMPFAIL, "alias", "disable", "shop@alias.test")
        assert site.json("db", "status")["frozen"] is True
        assert len(site.json("alias", "list")) == 1
        monkeypatch.setattr("postmask.store.engine._MOVE_SECONDS", 30.0)
        waiting = threading.Timer(0, site.text, ("alias", "disable", "shop@alias.test"))
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
    waiting.join(30)
    assert site.json("alias", "list")[0]["state"] == "disabled"
    engine.dispose()
