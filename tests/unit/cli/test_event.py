"""What became of messages, as the command line shows it."""

from __future__ import annotations

import os

import pytest

from cli_site import NOW, Site
from postmask.spool import Entry
from postmask.store import intake
from postmask.store.engine import make_engine

HOUR = 3600.0


@pytest.fixture
def told(site: Site) -> Site:
    """A site to which a node has told three events and a bounce."""
    alias = site.json("alias", "show", "shop@alias.test")["id"]
    mailbox = site.json("mailbox", "show", "me@real.test")["id"]
    entries = [
        _event(alias, mailbox, NOW - 50 * HOUR, "forwarded", "old@other.test"),
        _event(alias, mailbox, NOW - HOUR, "forwarded", "bob@other.test"),
        _event(alias, mailbox, NOW - 60, "refused", "e\u202evil@other.test"),
        _bounce(alias, mailbox, NOW - 50 * HOUR, "5.1.1"),
        _bounce(alias, mailbox, NOW - 30, "5.2.2"),
    ]
    engine = make_engine(f"sqlite:///{site.folder}/postmask.db")
    with engine.begin() as connection:
        intake.apply(connection, "mx.host.test", entries)
    engine.dispose()
    return site


def _event(alias: int, mailbox: int, at: float, kind: str, contact: str) -> Entry:
    return Entry.new(
        "event", at=at, account_id=None, alias_id=alias, kind=kind, contact=contact, mailbox_id=mailbox,
        status="2.0.0", reason="a reason", queue_id="4dX",
    )  # fmt: skip


def _bounce(alias: int, mailbox: int, at: float, status: str) -> Entry:
    return Entry.new(
        "bounce", at=at, alias_id=alias, contact_token="00" * 8, mailbox_id=mailbox,
        kind="forward", action="failed", status=status, reason="full\x1b[2J",
    )  # fmt: skip


def test_list_newest_first(told: Site) -> None:
    assert [event["kind"] for event in told.json("event", "list")] == ["refused", "forwarded", "forwarded"]
    [refused] = told.json("event", "list", "--kind", "refused")
    assert refused["alias"] == "shop@alias.test"
    assert refused["mailbox"] == "me@real.test"
    assert len(told.json("event", "list", "--contact", "bob@other.test")) == 1
    assert len(told.json("event", "list", "--contact", "Bob@Other.test")) == 1
    assert len(told.json("event", "list", "--alias", "shop@alias.test", "--limit", "2")) == 2
    assert told.json("event", "list", "--account", "default") == []
    assert "2.0.0" in told.text("event", "list")


@pytest.mark.parametrize(
    ("since", "count"), [("5m", 1), ("2h", 2), ("7d", 3), ("2027-01-15", 2), ("2027-01-15T08:30:00+01:00", 1)]
)
def test_since(told: Site, since: str, count: int) -> None:
    assert len(told.json("event", "list", "--since", since)) == count


def test_a_time_that_is_none(site: Site) -> None:
    assert "7d" in site.refusal(os.EX_USAGE, "event", "list", "--since", "yesterday")


def test_bounces(told: Site) -> None:
    [bounce] = told.json("event", "bounces", "--alias", "shop@alias.test", "--since", "1h")
    assert (bounce["action"], bounce["status"], bounce["mailbox"]) == ("failed", "5.2.2", "me@real.test")
    assert [bounce["status"] for bounce in told.json("event", "bounces")] == ["5.2.2", "5.1.1"]


def test_what_became_of_a_removed_aliass_mail(told: Site) -> None:
    told.text("alias", "remove", "shop@alias.test")
    for verb, count in (("list", 3), ("bounces", 2)):
        assert len(told.json("event", verb, "--alias", "shop@alias.test")) == count


def test_nothing_of_it_reaches_the_terminal_raw(told: Site) -> None:
    shown = told.text("event", "list") + told.text("event", "bounces")
    assert "\\x1b[2J" in shown
    assert "\\u202e" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_counters_and_last_use_stand_with_the_alias(told: Site) -> None:
    shown = told.json("alias", "show", "shop@alias.test")
    assert shown["counters"]["forwarded"] == 2
    assert shown["last_at"] == NOW - 60
    [row] = [line for line in told.text("alias", "list").splitlines() if "shop@" in line]
    assert "  2  " in row
    nodes = told.json("db", "status")["nodes"]
    assert [node["name"] for node in nodes] in ([], ["mx.host.test"])
