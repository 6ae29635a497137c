"""The nodes on the command line, on SQLite: this one by its own switch, others by what the database says."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from sqlalchemy import text

from cli_site import NOW, Site
from postmask.cli import draining
from postmask.cli.draining import Standing, State, await_empty
from postmask.cli.failure import CommandError
from postmask.cli.runtime import Runtime
from postmask.clock import ManualClock
from postmask.drain import DrainSwitch
from postmask.store import intake, nodes
from postmask.store.engine import make_engine
from postmask.store.nodes import Report

MX2 = "mx2.host.test"


def heard_of(site: Site, *names: str, at: float = NOW) -> None:
    engine = make_engine(f"sqlite:///{site.folder}/postmask.db")
    with engine.begin() as connection:
        for name in names:
            intake.seen(connection, name, at)
    engine.dispose()


def test_drain_and_resume(site: Site) -> None:
    told = site.run("node", "drain")
    assert told.exit_code == 0
    assert "mx.host.test is drained since 2027-01-15" in told.stdout
    assert "can't be told" in told.stderr
    switch = DrainSwitch(site.folder)
    assert switch.in_force()
    assert switch.state().by.endswith("@mx.host.test")
    found = json.loads(site.run("node", "drain", "MX.host.test", "--json").stdout)
    assert (found["state"], found["drained_at"], found["waiting"]) == ("drained", NOW, None)
    assert "takes mail" in site.text("node", "resume")
    assert not switch.in_force()
    assert json.loads(site.run("node", "resume", "--json").stdout)["state"] == "open"


def test_whoever_called_by_sudo_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "ann\n\udcff")
    site.run("node", "drain")
    assert DrainSwitch(site.folder).state().by == r"ann\n\xff@mx.host.test"


def test_draining_does_not_need_the_database(site: Site) -> None:
    (site.folder / "postmask.db").unlink()
    assert site.run("node", "drain").exit_code == 0
    told = site.run("node", "list", "--json")
    assert told.exit_code == os.EX_UNAVAILABLE
    (only,) = json.loads(told.stdout)
    assert (only["name"], only["here"], only["drained_at"]) == ("mx.host.test", True, NOW)
    assert "only of this node" in told.stderr
    assert site.run("node", "resume").exit_code == 0
    site.refusal(os.EX_UNAVAILABLE, "node", "drain", "mx2.host.test")


def test_waiting_needs_a_postfix(site: Site) -> None:
    assert site.run("node", "drain", "--wait").exit_code == os.EX_UNAVAILABLE
    assert DrainSwitch(site.folder).in_force()
    site.refusal(os.EX_USAGE, "node", "drain", "--timeout", "10s")


def test_list(site: Site) -> None:
    (unheard,) = site.json("node", "list")
    assert unheard["name"] == "mx.host.test"
    heard_of(site, "mx.host.test", "mx2.host.test")
    site.run("node", "drain")
    own, other = site.json("node", "list")
    assert unheard.keys() == own.keys() == other.keys()
    assert (own["here"], own["drained_at"], own["last_seen"]) == (True, NOW, NOW)
    assert (other["here"], other["drained_at"], other["order"]) == (False, None, None)
    shown = site.text("node", "list").splitlines()
    assert len(shown) == 3
    assert "2027-01-15 08:00:00Z" in shown[1]


def test_another_is_told(site: Site) -> None:
    heard_of(site, "mx2.host.test")
    assert "is told to be drained" in site.text("node", "drain", "MX2.host.test")
    assert not DrainSwitch(site.folder).in_force()
    assert site.json("node", "drain", "mx2.host.test")["state"] == "ordered"
    assert site.json("node", "list")[1]["order"] == "to be drained"
    assert site.json("node", "resume", "mx2.host.test")["state"] == "ordered"
    assert site.json("node", "list")[1]["order"] == "to take mail again"
    site.refusal(os.EX_NOUSER, "node", "drain", "mx9.host.test")
    site.clock.advance(601)
    assert "was last heard of" in site.run("node", "drain", "mx2.host.test").stderr


def test_remove(site: Site) -> None:
    heard_of(site, "mx2.host.test")
    assert "--force" in site.refusal(os.EX_DATAERR, "node", "remove", "mx2.host.test")
    assert "DROP ROLE" in site.text("node", "remove", "MX2.host.test", "--force")
    site.refusal(os.EX_NOUSER, "node", "remove", "mx2.host.test")
    heard_of(site, "mx3.host.test", at=NOW - 601)
    assert site.json("node", "remove", "mx3.host.test")["name"] == "mx3.host.test"


def test_status_says_so(site: Site) -> None:
    def drain() -> list[tuple[bool, str]]:
        checks = json.loads(site.run("status", "--json").stdout)["checks"]
        return [(check["ok"], check["what"]) for check in checks if check["part"] == "drain"]

    assert drain() == []
    site.run("node", "drain")
    ((good, what),) = drain()
    assert good
    assert "drained since 2027-01-15" in what
    site.clock.advance(7 * 3600)
    ((good, what),) = drain()
    assert not good
    assert "postmask node resume" in what
    (site.folder / "drain.json").write_text("{")
    ((good, what),) = drain()
    assert not good
    assert "can't be read" in what


def drained(waiting: int | None, **more: int) -> Standing:
    return Standing("mx1", State.DRAINED, waiting=waiting, **more)


def test_the_wait_ends_when_nothing_is_on_its_way(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(draining, "_LOOK_EVERY", 0.0)
    seen = iter(
        [
            Standing("mx1", State.ORDERED),
            drained(None),
            drained(2, deferred=1, held=4),
            drained(2, deferred=1, held=4),
            drained(1),
            drained(0, held=4),
        ]
    )
    found = await_empty(Runtime(ManualClock()), lambda: next(seen), None)
    assert (found.waiting, found.held) == (0, 4)
    assert capsys.readouterr().out.splitlines() == [
        "mx1 hasn't heard of it yet",
        "how much of ours is in the queue of mx1 isn't known",
        "2 of ours are in the queue of mx1 (1 of them put off); 4 on hold",
        "1 of ours is in the queue of mx1",
    ]


def test_the_wait_ends_when_the_time_is_up_or_it_is_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "_LOOK_EVERY", 0.0)
    clock = ManualClock()
    looks = []

    def look() -> Standing:
        looks.append(clock.now())
        clock.advance(1)
        return drained(1)

    with pytest.raises(CommandError, match="the time is up: 1 of ours") as raised:
        await_empty(Runtime(clock), look, 3)
    assert (raised.value.exit_code, len(looks)) == (os.EX_TEMPFAIL, 3)
    with pytest.raises(CommandError, match="resumed"):
        await_empty(Runtime(clock), lambda: Standing("mx1", State.OPEN, waiting=0), 3)


def test_how_another_stands_is_what_it_has_said(site: Site) -> None:
    heard_of(site, MX2)
    runtime = Runtime(site.clock)
    runtime.config_file = site.config

    def stands(drained_at: float | None, waiting: int | None, done_at: float | None = None) -> Standing:
        with make_engine(f"sqlite:///{site.folder}/postmask.db").begin() as connection:
            by = "ann@mx1" if drained_at else None
            said = Report("0.1", None, None, drained_at, by, waiting, 4 if drained_at else None, done_at)
            nodes.report(connection, MX2, said)
        return draining.standing_of(runtime, MX2)

    assert stands(None, None) == Standing(MX2, State.OPEN)
    site.text("node", "drain", MX2)
    assert stands(None, None) == Standing(MX2, State.ORDERED)
    drained = Standing(MX2, State.DRAINED, NOW, "ann@mx1", waiting=3, held=4)
    assert stands(NOW, 3, done_at=NOW + 9) == drained
    assert not drained.empty
    assert stands(NOW, 0).empty
    assert stands(None, None) == Standing(MX2, State.OPEN), "resumed there"
    site.text("node", "drain", MX2)
    assert stands(None, None) == Standing(MX2, State.ORDERED), "though its clock was ahead"


def test_the_schema_of_an_older_program_is_no_reason_to_say_nothing(site: Site, tmp_path: Path) -> None:
    """db status names the nodes though their columns aren't there yet."""
    heard_of(site, "mx2.host.test")
    engine = make_engine(f"sqlite:///{site.folder}/postmask.db")
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE node DROP COLUMN version"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0004'"))
    engine.dispose()
    told = site.run("db", "status", "--json")
    assert json.loads(told.stdout)["nodes"][0]["name"] == "mx2.host.test"
