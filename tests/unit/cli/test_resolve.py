"""What would be answered at RCPT, why, and where mail would go."""

from __future__ import annotations

import os

import pytest

from cli_site import NOW, Site
from postmask.keys import load
from postmask.tokens import NO_CONTACT, Bounce, BounceKind, bounce_local_part, reverse_token


def test_an_alias(site: Site) -> None:
    told = site.text("resolve", "Shop+news@Alias.test", "--sender", "bob@other.test", "--explain")
    assert "1. alias.test is one of our domains" in told
    assert "found without the detail 'news'" in told
    assert "no rule blocks the sender bob@other.test" in told
    assert "answer: 250 2.1.5 ok" in told
    assert "goes to me@real.test (delivered)" in told
    found = site.json("resolve", "shop@alias.test")
    assert "steps" not in found
    assert (found["kind"], found["code"], found["status"]) == ("deliver", 250, "2.1.5")
    assert (
        site.json("resolve", "shop@alias.test", "--explain")["steps"][0] == "alias.test is one of our domains"
    )


@pytest.mark.parametrize(
    ("address", "status", "destinations"),
    [
        ("nobody@alias.test", "5.1.1", []),
        ("no..body.@alias.test", "5.1.1", []),
        ("x@sub.alias.test", "5.1.2", []),
        ("PostMaster@alias.test", "2.1.5", ["chief@real.test"]),
        ("abuse+x@alias.test", "2.1.5", ["chief@real.test"]),
        ("x@elsewhere.test", None, []),
        ("bob.aaaaaaaaaaaaaaaaaaaaaaaa@alias.test", "5.1.1", []),
        ("a" * 53 + "@alias.test", "5.1.1", []),
    ],
)
def test_other_recipients(site: Site, address: str, status: str | None, destinations: list[str]) -> None:
    found = site.json("resolve", address, "--explain")
    assert found["status"] == status
    assert [goes["address"] for goes in found["destinations"]] == destinations
    assert site.text("resolve", address, "--explain")


def test_addresses_that_we_make(site: Site) -> None:
    keys = load(site.folder / "keys")
    token = reverse_token(keys, 1, "bob@other.test")
    found = site.json("resolve", f"bob.{token}@alias.test", "--explain")
    assert found["status"] == "4.2.1"
    assert "doesn't know yet" in found["steps"][-1]
    made = site.json("contact", "add", "shop@alias.test", "bob@other.test")["reverse_alias"]
    site.text("alias", "remove", "shop@alias.test")
    found = site.json("resolve", made, "--explain")
    assert found["status"] == "5.1.1"
    assert "whose alias was removed" in found["steps"][-1]
    bounce = Bounce(BounceKind.FORWARD, int(NOW) // 86_400, 1, NO_CONTACT, 1)
    found = site.json("resolve", f"{bounce_local_part(keys, bounce)}@alias.test", "--explain")
    assert found["kind"] == "deliver"
    assert "for a forward" in found["steps"][-1]
    assert found["destinations"][0]["what"] == "nothing is delivered"
    reply = Bounce(BounceKind.REPLY, int(NOW) // 86_400, 1, NO_CONTACT, 1)
    found = site.json("resolve", f"{bounce_local_part(keys, reply)}@alias.test")
    assert "to the alias's mailboxes" in found["destinations"][0]["what"]
    site.clock.advance(40 * 86_400)
    assert site.json("resolve", f"{bounce_local_part(keys, bounce)}@alias.test")["status"] == "5.1.1"


def test_mailboxes_that_get_nothing_now(site: Site) -> None:
    site.text("mailbox", "add", "you@real.test", "--verified")
    site.text("alias", "edit", "shop@alias.test", "--to", "me@real.test", "--to", "you@real.test")
    site.text("mailbox", "pause", "you@real.test")
    found = site.json("resolve", "shop@alias.test")
    assert [goes["what"] for goes in found["destinations"]] == ["delivered", "held: the mailbox is paused"]
    site.text("mailbox", "pause", "me@real.test")
    found = site.json("resolve", "shop@alias.test")
    assert (found["code"], found["destinations"]) == (450, [])


@pytest.mark.parametrize(
    ("answer", "status", "kind"),
    [
        ("reject", "5.2.1", "reject"),
        ("unknown", "5.1.1", "reject"),
        ("defer", "4.2.1", "defer"),
        ("discard", "2.1.5", "discard"),
    ],
)
def test_disabled_aliases(site: Site, answer: str, status: str, kind: str) -> None:
    site.text("alias", "disable", "shop@alias.test", "--when-disabled", answer)
    found = site.json("resolve", "shop@alias.test", "--explain")
    assert (found["status"], found["kind"], found["destinations"]) == (status, kind, [])
    assert any(f"answers {answer}" in step for step in found["steps"])


def test_a_drained_node_sends_senders_on(site: Site) -> None:
    site.run("node", "drain")
    found = site.json("resolve", "shop@alias.test", "--explain")
    assert (found["code"], found["status"], found["destinations"]) == (450, "4.3.2", [])
    assert "postmask node resume" in found["steps"][-1]
    assert site.json("resolve", "x@elsewhere.test")["code"] is None
    site.run("node", "resume")
    assert site.json("resolve", "shop@alias.test")["code"] == 250


def test_a_blocked_sender(site: Site) -> None:
    site.text("block", "add", "@spam.test")
    told = site.text("resolve", "shop@alias.test", "--sender", "x@sub.spam.test", "--explain")
    assert "global:@spam.test" in told
    assert "550 5.7.1" in told


def test_what_cant_be_told_is_75(site: Site) -> None:
    (site.folder / "postmask.db").unlink()
    told = site.run("resolve", "shop@alias.test", "--json")
    assert told.exit_code == os.EX_TEMPFAIL
    assert '"status": "4.3.0"' in told.stdout


def test_no_address_at_all(site: Site) -> None:
    site.refusal(os.EX_DATAERR, "resolve", "nonsense")
