"""Aliases and what hangs on them: contacts, blocks, events, and the import from CSV."""

from __future__ import annotations

import os
import shlex
import time
from pathlib import Path

import pytest

from cli_site import NOW, Site


def test_add_show_list_search(site: Site) -> None:
    made = site.json(
        "alias",
        "add",
        "Club@Alias.test",
        "--to",
        "me@real.test",
        "--name",
        "The Club",
        "--when-disabled",
        "discard",
    )
    assert made["address"] == "club@alias.test"
    assert made["mailboxes"] == ["me@real.test"]
    assert (made["name"], made["note"], made["when_disabled"]) == ("The Club", None, "discard")
    assert made["created"] == NOW
    shown = site.json("alias", "show", "CLUB@alias.test")
    assert shown["spam"]["mark"] == {"value": 1.0, "from": "settings"}
    assert shown == made
    assert [alias["address"] for alias in site.json("alias", "list")] == [
        "club@alias.test",
        "shop@alias.test",
    ]
    assert [alias["address"] for alias in site.json("alias", "list", "--search", "SHOE")] == [
        "shop@alias.test"
    ]
    assert site.json("alias", "list", "--domain", "alias.test", "--limit", "1", "--offset", "1")[0]["note"]
    assert len(site.json("alias", "list", "--mailbox", "me@real.test")) == 2
    assert "the shoe shop" in site.text("alias", "list")
    assert site.text("alias", "list", "--search", "nothing") == "no alias found\n"


def test_several_mailboxes(site: Site) -> None:
    site.text("mailbox", "add", "you@real.test", "--verified")
    made = site.json("alias", "add", "both@alias.test", "--to", "me@real.test", "--to", "you@real.test")
    assert made["mailboxes"] == ["me@real.test", "you@real.test"]
    for boxes in (["you@real.test"], ["me@real.test", "you@real.test"]):
        to = [word for box in boxes for word in ("--to", box)]
        assert site.json("alias", "edit", "both@alias.test", *to)["mailboxes"] == boxes


def test_a_quoted_local_part(site: Site) -> None:
    made = site.json("alias", "add", '"Red Shoes"@alias.test', "--to", "me@real.test")
    for form in (made["address"], '"red shoes"@alias.test', '"RED SHOES"@Alias.test'):
        assert site.json("alias", "show", form) == made


def test_random(site: Site) -> None:
    said = ("--note", "letters", "--name", "Me", "--when-disabled", "defer")
    address = site.text("alias", "random", "--to", "me@real.test", *said).strip()
    assert address.endswith("@alias.test")
    shown = site.json("alias", "show", address)
    assert (shown["note"], shown["name"], shown["when_disabled"]) == ("letters", "Me", "defer")
    other = site.json("alias", "random", "--domain", "alias.test", "--to", "me@real.test")
    assert other["address"] != address


@pytest.mark.parametrize(
    "words",
    [
        ("alias", "list", "--search", "\udcff"),
        ("alias", "edit", "shop@alias.test", "--note", "caf\udce9"),
        ("alias", "edit", "shop@alias.test", "--to", "\udcff@real.test"),
        ("account", "show", "\udcff"),
        ("mailbox", "verify", "me@real.test", "\udcff"),
    ],
)
def test_what_isnt_utf_8_is_no_fault_of_ours(site: Site, words: tuple[str, ...]) -> None:
    assert "isn't UTF-8" in site.refusal(os.EX_USAGE, *words)


def test_more_than_a_database_counts_is_all(site: Site) -> None:
    assert len(site.json("alias", "list", "--limit", "9" * 30)) == 1
    assert site.json("alias", "list", "--offset", "9" * 30) == []
    assert site.json("contact", "list", "--limit", "9" * 30) == []
    assert site.json("event", "list", "--limit", "9" * 30, "--since", "7d") == []


def test_states(site: Site) -> None:
    assert site.json("alias", "disable", "shop@alias.test", "--when-disabled", "defer")["state"] == "disabled"
    assert site.json("alias", "list", "--state", "disabled")[0]["when_disabled"] == "defer"
    assert site.json("alias", "enable", "shop@alias.test")["state"] == "active"
    assert site.json("alias", "remove", "shop@alias.test")["state"] == "removed"
    assert site.json("alias", "list") == []
    assert site.json("mailbox", "show", "me@real.test")["aliases"] == 0
    assert site.json("alias", "list", "--state", "removed")[0]["removed_at"] == NOW
    assert "restore" in site.refusal(os.EX_NOUSER, "alias", "enable", "shop@alias.test")
    site.text("mailbox", "add", "you@real.test", "--verified")
    restored = site.json("alias", "restore", "shop@alias.test", "--to", "you@real.test")
    assert (restored["state"], restored["mailboxes"]) == ("active", ["you@real.test"])
    changed = site.json("alias", "edit", "shop@alias.test", "--note", "", "--when-disabled", "unknown")
    assert (changed["note"], changed["when_disabled"]) == (None, "unknown")
    assert "--to" in site.refusal(os.EX_USAGE, "alias", "edit", "shop@alias.test")


@pytest.mark.parametrize("before", [[], ["alias", "remove", "shop@alias.test"]], ids=["active", "removed"])
def test_remove_with_contacts(site: Site, before: list[str]) -> None:
    """Nobody else gets the address. To whom it belonged it is a new one, by another id: a spool that still
    has its contacts would take them for known, and tell the database of none that writes again."""
    old = site.json("contact", "add", "shop@alias.test", "bob@example.com")
    if before:
        site.text(*before)
    gone = site.json("alias", "remove", "shop@alias.test", "--with-contacts")
    assert gone == {"address": "shop@alias.test", "state": "forgotten"}
    assert site.json("alias", "list", "--state", "all") == []
    assert site.json("contact", "list") == []
    site.text("account", "add", "anna")
    site.text("mailbox", "add", "anna@real.test", "--verified", "--account", "anna")
    hers = ("--to", "anna@real.test", "--account", "anna")
    told = site.refusal(os.EX_DATAERR, "alias", "add", "shop@alias.test", *hers)
    assert "belonged to another account" in told
    site.text("alias", "add", "shop@alias.test", "--to", "me@real.test", "--account", "default")
    assert site.json("contact", "list") == []
    assert site.json("contact", "add", "shop@alias.test", "bob@example.com")["token"] != old["token"]
    assert site.json("alias", "edit", "shop@alias.test", "--note", "")["note"] is None


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (os.EX_DATAERR, ["shop@alias.test", "--to", "me@real.test"]),
        (os.EX_DATAERR, ["postmaster@alias.test", "--to", "me@real.test"]),
        (os.EX_DATAERR, ["a b@alias.test", "--to", "me@real.test"]),
        (os.EX_NOUSER, ["x@other.test", "--to", "me@real.test"]),
        (os.EX_NOUSER, ["x@alias.test", "--to", "nobody@real.test"]),
        (os.EX_USAGE, ["x@alias.test"]),
        (os.EX_USAGE, ["x@alias.test", "--to", "me@real.test", "--when-disabled", "explode"]),
    ],
)
def test_refusals(site: Site, status: int, words: list[str]) -> None:
    site.refusal(status, "alias", "add", *words)
    assert len(site.json("alias", "list")) == 1


def test_import(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "aliases.csv"
    file.write_text('address,to,note\na@alias.test,me@real.test,"one, two"\nb@alias.test,,\n')
    assert "2 aliases could be added" in site.text(
        "alias", "import", str(file), "--to", "me@real.test", "--dry-run"
    )
    assert len(site.json("alias", "list")) == 1
    assert site.json("alias", "import", str(file), "--to", "me@real.test")["added"] == 2
    assert site.json("alias", "show", "a@alias.test")["note"] == "one, two"
    told = site.text("alias", "import", "-", "--to", "me@real.test", stdin="c@alias.test\nd@alias.test\n")
    assert told == "2 aliases added\n"
    for mark, name in (("address\n", "e"), ("", "f")):
        file.write_text(f"\ufeff{mark}{name}@alias.test\n", encoding="utf-8")
        assert site.text("alias", "import", str(file), "--to", "me@real.test") == "1 alias added\n"


def test_import_is_all_or_nothing(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "aliases.csv"
    file.write_text("a@alias.test,me@real.test\nx@other.test,me@real.test\nabuse@alias.test,me@real.test\n")
    told = site.refusal(os.EX_DATAERR, "alias", "import", str(file))
    assert "line 2: other.test" in told
    assert "line 3: abuse@alias.test" in told
    file.write_text("a@alias.test,me@real.test\nshop@alias.test,me@real.test\n")
    site.refusal(os.EX_DATAERR, "alias", "import", str(file))
    file.write_bytes(b"a@alias.test,me@real.test,caf\xe9\n")
    assert "line 1: isn't UTF-8; save" in site.refusal(os.EX_DATAERR, "alias", "import", str(file))
    assert len(site.json("alias", "list")) == 1
    missing = tmp_path / "missing.csv"
    told = site.refusal(os.EX_NOINPUT, "alias", "import", str(missing))
    assert told == f"postmask: {missing}: No such file or directory\n"


def test_import_of_many(site: Site, tmp_path: Path) -> None:
    """100,000 within a minute is the promise; a tenth of it in a tenth of the time, with slack."""
    file = tmp_path / "aliases.csv"
    file.write_text("".join(f"a{number}@alias.test,me@real.test\n" for number in range(10_000)))
    started = time.monotonic()
    assert site.json("alias", "import", str(file))["added"] == 10_000
    assert time.monotonic() - started < 20


def test_contacts(site: Site) -> None:
    reverse = site.text("contact", "add", "shop@alias.test", "Bob@other.test", "--name", "Bob").splitlines()
    assert len(reverse) == 1
    assert reverse[0].startswith("bob-at-other-test.")
    shown = site.json("contact", "show", "shop@alias.test", "bob@other.test")
    assert shown["reverse_alias"] == reverse[0]
    assert (shown["name"], shown["rule"], shown["written"]) == ("Bob", "none", "Bob@other.test")
    assert site.json("contact", "list") == [shown]
    assert site.json("contact", "list", "--offset", "1") == []
    assert site.json("contact", "list", "shop@alias.test", "--search", "bob") == [shown]
    assert reverse[0] in site.text("contact", "list")
    site.text("account", "add", "anna")
    assert site.json("contact", "list", "--account", "anna") == []
    made = site.json("contact", "add", "shop@alias.test", "ann@other.test", "--name", "Ann")
    assert made == site.json("contact", "show", "shop@alias.test", "ann@other.test")
    replaced = site.text("contact", "replace", "shop@alias.test", "bob@other.test").strip()
    assert replaced != reverse[0]
    for address in (replaced, reverse[0]):
        assert site.json("resolve", address)["destinations"][0]["address"] == "bob@other.test"


def test_contact_rules(site: Site) -> None:
    site.text("contact", "add", "shop@alias.test", "bob@other.test")
    bob = ("shop@alias.test", "bob@other.test")
    assert site.json("contact", "block", *bob, "--discard")["block_action"] == "discard"
    assert site.json("resolve", bob[0], "--sender", bob[1])["kind"] == "discard"
    site.text("contact", "block", *bob)
    assert site.json("resolve", bob[0], "--sender", bob[1])["status"] == "5.7.1"
    assert site.json("contact", "unblock", *bob)["rule"] == "none"
    assert site.json("contact", "allow", *bob)["rule"] == "allow"
    site.text("block", "add", "@other.test")
    assert site.json("resolve", bob[0], "--sender", bob[1])["kind"] == "deliver"
    assert site.json("contact", "list", "--rule", "block") == []
    site.refusal(os.EX_NOUSER, "contact", "allow", "shop@alias.test", "carol@other.test")
    site.refusal(os.EX_DATAERR, "contact", "add", *bob)
    site.refusal(os.EX_DATAERR, "contact", "add", "shop@alias.test", "x@alias.test")


def test_blocks_of_what_is_no_sender(site: Site) -> None:
    assert "@spam.test" in site.refusal(os.EX_DATAERR, "block", "add", "Spam.test")
    for pattern in ("", "<>", "@"):
        assert 'write "@' not in site.refusal(os.EX_DATAERR, "block", "add", pattern)


def test_a_block_has_no_wildcards(site: Site) -> None:
    """It was taken for the literal address, and blocked nobody."""
    for pattern in ("*@spam.test", "news-*@spam.test"):
        assert '"@domain" blocks a domain' in site.refusal(os.EX_DATAERR, "block", "add", pattern)


def test_blocks(site: Site) -> None:
    made = site.json("block", "add", "@Spam.test")
    assert (made["scope"], made["pattern"], made["action"]) == ("global", "@spam.test", "reject")
    site.text("block", "add", "a@b.test", "--alias", "shop@alias.test", "--discard")
    site.text("block", "add", "a@b.test", "--domain", "alias.test")
    site.text("block", "add", "a@b.test", "--account", "default")
    assert len(site.json("block", "list")) == 4
    assert len(site.json("block", "list", "a@b.test")) == 3
    assert site.json("block", "list", "--alias", "shop@alias.test")[0]["action"] == "discard"
    assert (
        site.json("block", "remove", "a@b.test", "--alias", "shop@alias.test")["target"] == "shop@alias.test"
    )
    assert "everybody" in site.text("block", "remove", "@spam.test")
    site.refusal(os.EX_NOUSER, "block", "remove", "@spam.test")
    site.refusal(os.EX_DATAERR, "block", "add", "a@b.test", "--domain", "alias.test")
    site.refusal(os.EX_DATAERR, "block", "add", "b.test")
    site.refusal(os.EX_DATAERR, "block", "add", "x@y.test", "--domain", "alias.test", "--account", "default")
    site.refusal(os.EX_NOUSER, "block", "add", "x@y.test", "--domain", "other.test")


ODD = """"o'n $(id)"@alias.test"""


@pytest.mark.parametrize(
    ("given", "advised"),
    [
        (("alias", "show", ODD), ("alias", "add", ODD, "--to", "MAILBOX")),
        (("mailbox", "show", "a&b@real.test"), ("mailbox", "add", "a&b@real.test")),
        (
            ("contact", "show", "shop@alias.test", "`id`@real.test"),
            ("contact", "add", "shop@alias.test", "`id`@real.test"),
        ),
    ],
)
def test_a_command_that_is_advised_can_be_copied_into_a_shell(
    site: Site, given: tuple[str, ...], advised: tuple[str, ...]
) -> None:
    """An address may hold what a shell takes for a command of its own."""
    told = site.refusal(os.EX_NOUSER, *given)
    assert tuple(shlex.split(told.partition("add it: ")[2])) == ("postmask", *advised)
