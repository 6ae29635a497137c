"""What single options do, where there are several accounts, contacts and states."""

from __future__ import annotations

import pytest

from cli_site import Site


@pytest.fixture
def shared(site: Site) -> Site:
    """The site with a second account, its mailbox and its alias."""
    site.text("account", "add", "anna")
    site.text("mailbox", "add", "anna@real.test", "--account", "anna", "--verified", "--allow-spf")
    return site


def test_each_account_has_its_own(shared: Site) -> None:
    words = ("--account", "anna", "--name", "Anna", "--when-disabled", "discard")
    made = shared.json("alias", "random", "--to", "anna@real.test", *words)
    assert (made["account"], made["name"], made["when_disabled"]) == ("anna", "Anna", "discard")
    shared.text("contact", "add", made["address"], "bob@other.test")
    shared.text("contact", "add", "shop@alias.test", "eve@other.test")
    mine = ("--account", "anna")
    assert [alias["address"] for alias in shared.json("alias", "list", *mine)] == [made["address"]]
    assert [box["address"] for box in shared.json("mailbox", "list", *mine)] == ["anna@real.test"]
    assert [contact["address"] for contact in shared.json("contact", "list", *mine)] == ["bob@other.test"]
    assert [contact["address"] for contact in shared.json("contact", "list", "shop@alias.test")] == [
        "eve@other.test"
    ]
    assert shared.json("mailbox", "show", "anna@real.test")["allow_spf"]
    assert shared.json("domain", "list", *mine) == []
    assert shared.json("domain", "edit", "alias.test", *mine)["account"] == "anna"
    assert [domain["name"] for domain in shared.json("domain", "list", *mine)] == ["alias.test"]


def test_a_new_address_can_be_vouched_for_later(site: Site) -> None:
    moved = site.json("mailbox", "edit", "me@real.test", "--address", "new@real.test")
    assert moved["state"] == "unconfirmed"
    assert site.json("mailbox", "edit", "new@real.test", "--verified")["state"] == "active"
