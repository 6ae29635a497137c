"""Mailboxes: confirmed by a code that the forwarder sends, edited, paused, removed."""

from __future__ import annotations

import os
import re
import shlex
from contextlib import closing

import pytest

from cli_site import Site
from postmask.spool import Notice, Spool


def notices(site: Site) -> list[Notice]:
    with closing(Spool(site.spool, site.clock)) as spool:
        return spool.due_notices(100)


def code(site: Site) -> str:
    """The code in the newest notice."""
    match = re.search(r"mailbox verify \S+ (\S+)", notices(site)[-1].text)
    assert match
    return match[1]


def test_a_code_is_sent_and_confirms(site: Site) -> None:
    told = site.text("mailbox", "add", "New@real.test")
    assert "postmask mailbox verify New@real.test CODE" in told
    [notice] = notices(site)
    assert notice.sender == "postmask@alias.test"
    assert notice.recipient == "New@real.test"
    assert notice.kind == "code"
    assert site.json("mailbox", "show", "new@real.test")["state"] == "unconfirmed"
    assert site.json("mailbox", "verify", "new@real.test", code(site))["state"] == "active"


def test_wrong_codes_are_counted(site: Site) -> None:
    site.text("mailbox", "add", "new@real.test")
    right = code(site)
    for left in (4, 3, 2, 1, 0):
        assert f"{left} attempt" in site.refusal(os.EX_DATAERR, "mailbox", "verify", "new@real.test", "wrong")
    assert "--resend" in site.refusal(os.EX_DATAERR, "mailbox", "verify", "new@real.test", right)
    site.clock.advance(61)
    site.text("mailbox", "verify", "new@real.test", "--resend")
    assert site.json("mailbox", "verify", "new@real.test", code(site))["state"] == "active"


def test_codes_are_sent_at_a_limited_rate(site: Site) -> None:
    site.text("mailbox", "add", "new@real.test")
    assert "seconds" in site.refusal(os.EX_DATAERR, "mailbox", "verify", "new@real.test", "--resend")
    for _ in range(4):
        site.clock.advance(61)
        site.text("mailbox", "verify", "new@real.test", "--resend")
    site.clock.advance(61)
    site.refusal(os.EX_TEMPFAIL, "mailbox", "verify", "new@real.test", "--resend")
    assert len(notices(site)) == 5
    newest = code(site)
    site.clock.advance(3600)
    assert site.json("mailbox", "verify", "new@real.test", newest)["state"] == "active"


def test_a_code_that_cant_be_sent_undoes_the_change(site: Site) -> None:
    site.spool.mkdir()
    site.refusal(os.EX_IOERR, "mailbox", "add", "new@real.test")
    site.refusal(os.EX_NOUSER, "mailbox", "show", "new@real.test")


def test_without_a_domain_there_is_no_sender(bare: Site) -> None:
    told = bare.refusal(os.EX_CONFIG, "mailbox", "add", "new@real.test")
    assert "--verified" in told
    assert bare.json("mailbox", "list") == []
    bare.configure('[mail]\nnotices_from = "postmaster@host.test"\n')
    bare.text("mailbox", "add", "new@real.test")
    assert notices(bare)[0].sender == "postmaster@host.test"


def test_verified_by_the_operator(site: Site) -> None:
    made = site.json(
        "mailbox",
        "add",
        "new@real.test",
        "--verified",
        "--login",
        "new",
        "--sender",
        "a@b.test",
        "--allow-spf",
    )
    assert made["state"] == "active"
    assert made["login"] == "new"
    assert (made["senders"], made["allow_spf"]) == (["a@b.test"], True)
    assert not site.spool.exists()
    assert [box["address"] for box in site.json("mailbox", "list")] == ["me@real.test", "new@real.test"]


def test_edit(site: Site) -> None:
    changed = site.json(
        "mailbox",
        "edit",
        "me@real.test",
        "--login",
        "me",
        "--sender",
        "a@b.test",
        "--sender",
        "c@d.test",
        "--allow-spf",
    )
    assert (changed["login"], changed["senders"], changed["allow_spf"]) == (
        "me",
        ["a@b.test", "c@d.test"],
        True,
    )
    changed = site.json("mailbox", "edit", "me@real.test", "--no-senders", "--no-allow-spf", "--login", "")
    assert (changed["login"], changed["senders"], changed["allow_spf"]) == (None, [], False)
    site.refusal(os.EX_USAGE, "mailbox", "edit", "me@real.test")
    assert "no @" in site.refusal(os.EX_DATAERR, "mailbox", "edit", "me@real.test", "--address", "")
    site.refusal(os.EX_USAGE, "mailbox", "edit", "me@real.test", "--no-senders", "--sender", "a@b.test")


def test_a_new_address_takes_the_aliases_along_and_is_confirmed_anew(site: Site) -> None:
    moved = site.json("mailbox", "edit", "me@real.test", "--address", "me@other.test")
    assert moved["state"] == "unconfirmed"
    assert site.json("alias", "show", "shop@alias.test")["mailboxes"] == ["me@other.test"]
    assert notices(site)[0].recipient == "me@other.test"
    assert site.json("mailbox", "verify", "me@other.test", code(site))["state"] == "active"
    moved = site.json("mailbox", "edit", "me@other.test", "--address", "me@third.test", "--verified")
    assert moved["state"] == "active"


def test_what_becomes_of_the_former_address_is_said(site: Site) -> None:
    told = site.text("mailbox", "edit", "me@real.test", "--address", "me@other.test", "--verified")
    assert told.endswith("until it is forgotten: postmask mailbox remove Me@real.test\n")
    assert "moved to me@other.test" in site.text("mailbox", "list")
    told = site.text("mailbox", "edit", "me@other.test", "--login", "me")
    assert "forgotten" not in told


def test_moved_to_where_another_is(site: Site) -> None:
    site.text("mailbox", "add", "you@real.test", "--verified")
    told = site.refusal(os.EX_DATAERR, "mailbox", "edit", "me@real.test", "--address", "you@real.test")
    assert "postmask alias edit ALIAS --to you@real.test\n" in told


def test_pause_and_resume(site: Site) -> None:
    paused = site.json("mailbox", "pause", "me@real.test", "--reason", "moving house")
    assert (paused["state"], paused["pause_reason"]) == ("paused", "moving house")
    assert "moving house" in site.text("mailbox", "list")
    told = site.text("mailbox", "resume", "me@real.test")
    assert told.endswith("\npostmask held release --mailbox me@real.test\n")
    assert site.json("mailbox", "show", "me@real.test")["state"] == "active"


def test_a_pause_outlives_a_new_address(site: Site) -> None:
    site.text("mailbox", "pause", "me@real.test", "--reason", "on holiday")
    told = site.text("mailbox", "edit", "me@real.test", "--address", "me@other.test", "--verified")
    assert "\nit is paused; have mail go there again: postmask mailbox resume me@other.test\n" in told
    moved = site.json("mailbox", "edit", "me@other.test", "--address", "me@third.test")
    assert (moved["state"], moved["pause_reason"]) == ("unconfirmed", "on holiday")
    told = site.text("mailbox", "verify", "me@third.test", code(site))
    assert told.endswith("postmask mailbox resume me@third.test\n")
    assert "held release" not in told
    assert site.json("mailbox", "show", "me@third.test")["state"] == "paused"
    assert site.json("mailbox", "resume", "me@third.test")["state"] == "active"


def test_the_operator_vouches_for_it_later(site: Site) -> None:
    site.text("mailbox", "add", "new@real.test")
    old = code(site)
    assert site.json("mailbox", "edit", "new@real.test", "--verified")["state"] == "active"
    site.text("mailbox", "edit", "new@real.test", "--address", "newer@real.test")
    assert "not the code" in site.refusal(os.EX_DATAERR, "mailbox", "verify", "newer@real.test", old)


@pytest.mark.parametrize(
    "words",
    [
        ("show",),
        ("edit", "--login", "anna"),
        ("verify", "CODE"),
        ("pause", "--reason", "moving house"),
        ("resume",),
        ("remove", "--with-aliases"),
    ],
)
def test_of_two_accounts_mailboxes_the_named_ones_is_meant(site: Site, words: tuple[str, ...]) -> None:
    site.text("account", "add", "anna")
    site.text("mailbox", "add", "me@real.test", "--verified", "--account", "anna")
    own = site.json("mailbox", "show", "me@real.test", "--account", "default")
    verb, *options = words
    assert "anna, default" in site.refusal(os.EX_DATAERR, "mailbox", verb, "me@real.test", *options)
    site.text("mailbox", verb, "me@real.test", *options, "--account", "anna")
    assert site.json("mailbox", "show", "me@real.test", "--account", "default") == own


def test_what_is_advised_of_an_odd_address_can_be_copied_into_a_shell(site: Site) -> None:
    odd = """"o'n $(id)"@real.test"""
    told = site.text("mailbox", "add", odd)
    verify = told.partition("confirm it: ")[2].strip()
    assert shlex.split(verify) == ["postmask", "mailbox", "verify", odd, "CODE"]
    (line,) = (one for one in notices(site)[0].text.splitlines() if "mailbox verify" in one)
    words = shlex.split(line)
    assert words[:4] == ["postmask", "mailbox", "verify", odd]
    release = site.text(*words[1:]).splitlines()[-1]
    assert shlex.split(release) == ["postmask", "held", "release", "--mailbox", odd]


def test_remove(site: Site) -> None:
    told = site.refusal(os.EX_DATAERR, "mailbox", "remove", "me@real.test")
    assert "shop@alias.test" in told
    told = site.text("mailbox", "remove", "me@real.test", "--with-aliases")
    assert told == "me@real.test is removed, 1 alias with it\n"
    assert site.json("mailbox", "list") == []


def test_what_the_list_shows_can_be_given_back(site: Site) -> None:
    site.text("mailbox", "add", '"a b"@real.test', "--verified")
    listed = site.json("mailbox", "list")[0]["address"]
    assert listed == "a b@real.test"
    assert site.json("mailbox", "show", listed)["written"] == '"a b"@real.test'


def test_refusals(site: Site) -> None:
    assert "own domains" in site.refusal(os.EX_DATAERR, "mailbox", "add", "box@alias.test", "--verified")
    assert "already" in site.refusal(os.EX_DATAERR, "mailbox", "add", "ME@real.test", "--verified")
    site.refusal(os.EX_DATAERR, "mailbox", "add", "no address", "--verified")
    told = site.refusal(os.EX_DATAERR, "mailbox", "add", "m\x1b[31me@real.test", "--verified")
    assert '"m\\x1b[31me@real.test"' in told
    assert "hyphen" in site.refusal(os.EX_DATAERR, "mailbox", "add", "--verified", "--", "-me@real.test")
    site.refusal(os.EX_NOUSER, "mailbox", "show", "nobody@real.test")
    site.refusal(os.EX_USAGE, "mailbox", "verify", "me@real.test")
    site.refusal(os.EX_USAGE, "mailbox", "verify", "me@real.test", "code", "--resend")
