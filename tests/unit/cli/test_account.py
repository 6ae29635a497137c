"""Accounts: never named while there is only one."""

from __future__ import annotations

import os

from cli_site import NOW, Site


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
