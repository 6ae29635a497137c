"""Accounts: never named while there is only one."""

from __future__ import annotations

import os

import pytest

from cli_site import NOW, Site
from postmask.store.admin import purge


def test_the_first_account_is_there(bare: Site) -> None:
    [account] = bare.json("account", "list")
    assert account["name"] == "default"
    assert account["state"] == "active"
    assert "default" in bare.text("account", "list")


def test_add_edit_disable(bare: Site) -> None:
    made = bare.json("account", "add", "anna")
    assert made["created"] == NOW
    assert bare.json("account", "edit", "anna", "--name", "bea")["id"] == made["id"]
    assert bare.json("account", "disable", "bea")["state"] == "disabled"
    assert bare.json("account", "show", "bea")["disabled_at"] == NOW
    assert bare.json("account", "disable", "bea", "--undo")["state"] == "active"


def test_why_an_active_alias_answers_as_disabled(site: Site) -> None:
    """Nothing but the account's own state told it, and `alias enable` seemed to help."""
    site.text("account", "disable", "default")
    for words in (("show",), ("enable",), ("edit", "--note", "x")):
        told = site.json("alias", words[0], "shop@alias.test", *words[1:])
        assert (told["state"], told["account_state"]) == ("active", "disabled")
    [listed] = site.json("alias", "list")
    assert (listed["state"], listed["account_state"]) == ("active", "disabled")
    assert "shop@alias.test  account disabled  me@real.test" in site.text("alias", "list")
    told = site.text("resolve", "shop@alias.test", "--explain")
    assert "disabled, or its account is; answers reject" in told


def test_several_accounts_have_to_be_told_apart(site: Site) -> None:
    site.text("account", "add", "anna")
    told = site.refusal(os.EX_DATAERR, "mailbox", "add", "anna@real.test", "--verified")
    assert "--account: anna, default" in told
    assert (
        site.json("mailbox", "add", "anna@real.test", "--verified", "--account", "anna")["account"] == "anna"
    )
    told = site.refusal(
        os.EX_NOUSER, "alias", "add", "a@alias.test", "--to", "me@real.test", "--account", "anna"
    )
    assert "no mailbox me@real.test" in told


def test_errors(bare: Site) -> None:
    assert "already" in bare.refusal(os.EX_DATAERR, "account", "add", "default")
    assert "postmask account list" in bare.refusal(os.EX_NOUSER, "account", "show", "nobody")
    bare.refusal(os.EX_DATAERR, "account", "add", "a\x1b[2J")


def test_remove(site: Site) -> None:
    """Its former addresses are nobody's any more, not even those of an account of the same name."""
    site.text("account", "add", "anna")
    site.text("mailbox", "add", "anna@real.test", "--verified", "--account", "anna")
    mine = ("--to", "anna@real.test", "--account", "anna")
    site.text("alias", "add", "a@alias.test", *mine)
    site.text("alias", "add", "gone@alias.test", *mine)
    site.text("alias", "remove", "gone@alias.test")
    site.text("contact", "add", "a@alias.test", "bob@example.com")
    site.text("block", "add", "@spam.example", "--account", "anna")
    told = site.refusal(os.EX_DATAERR, "account", "remove", "anna")
    assert "--with-all" in told
    assert "    mailbox anna@real.test\n    alias a@alias.test\n" in told
    assert site.json("account", "remove", "anna", "--with-all") == {
        "name": "anna",
        "removed_mailboxes": ["anna@real.test"],
        "removed_aliases": ["a@alias.test"],
    }
    assert [one["name"] for one in site.json("account", "list")] == ["default"]
    assert [one["address"] for one in site.json("alias", "list", "--state", "all")] == ["shop@alias.test"]
    assert [one["address"] for one in site.json("mailbox", "list")] == ["me@real.test"]
    assert site.json("contact", "list", "--search", "bob@example.com") == []
    assert site.json("block", "list") == []
    site.text("account", "add", "anna")
    site.text("mailbox", "add", "anna@real.test", "--verified", "--account", "anna")
    for address in ("a@alias.test", "gone@alias.test"):
        told = site.refusal(os.EX_DATAERR, "alias", "add", address, *mine)
        assert "belonged to another account" in told
    assert site.text("account", "remove", "anna", "--with-all") == "anna is removed, 1 mailbox with it\n"


def test_who_looks_after_a_domain_stays(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all aliases, however many."""
    monkeypatch.setattr(purge, "AT_ONCE", 0)
    told = site.refusal(os.EX_DATAERR, "account", "remove", "default", "--with-all")
    assert "postmask domain edit DOMAIN --account NAME" in told
    assert "    alias.test\n" in told
    assert len(site.json("alias", "list")) == 1


def test_a_large_account_is_removed_in_several_transactions(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge, "AT_ONCE", 2)
    site.text("account", "add", "anna")
    site.text("mailbox", "add", "anna@real.test", "--verified", "--account", "anna")
    mine = [f"a{number}@alias.test" for number in range(5)]
    for address in mine:
        site.text("alias", "add", address, "--to", "anna@real.test", "--account", "anna")
    assert site.json("account", "remove", "anna", "--with-all")["removed_aliases"] == mine
    assert [one["address"] for one in site.json("alias", "list")] == ["shop@alias.test"]
