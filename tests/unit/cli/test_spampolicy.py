"""What is set of the spam check for an alias, its account and its domain, and what counts in the end."""

from __future__ import annotations

import os
from typing import Any

import pytest

from cli_site import Site

SHOP = "shop@alias.test"


def counting(site: Site, *words: str) -> dict[str, tuple[Any, str]]:
    """What differs from the node's settings, by name."""
    spam = site.json(*words)["spam"]
    return {name: (one["value"], one["from"]) for name, one in spam.items() if one["from"] != "settings"}


def test_the_narrowest_counts_value_by_value(site: Site) -> None:
    site.text("domain", "edit", "alias.test", "--spam-hold", "4", "--spam-when-unscanned", "defer")
    site.text("account", "edit", "default", "--spam-hold", "3", "--spam-subject-prefix", "[SPAM]")
    site.text("alias", "edit", SHOP, "--spam-hold", "never", "--spam-refuse", "2.5")
    assert counting(site, "alias", "show", SHOP) == {
        "hold": ("never", "alias"),
        "refuse": (2.5, "alias"),
        "when_unscanned": ("defer", "domain"),
        "subject_prefix": ("[SPAM]", "account"),
    }
    assert counting(site, "account", "show", "default")["hold"] == (3.0, "account")
    assert counting(site, "domain", "show", "alias.test")["hold"] == (4.0, "domain")
    told = site.text("alias", "show", SHOP)
    assert "hold: never (alias)" in told
    assert "mark: 1.0 (settings)" in told
    steps = site.json("resolve", SHOP, "--explain")["steps"]
    assert "spam check, refuse: 2.5 (alias)" in steps
    assert "spam check, when unscanned: defer (domain)" in steps


def test_the_settings_count_for_all_else(site: Site) -> None:
    site.configure("[spam]\nmark = 0.7\nhold = 1.5\n")
    shown = site.json("alias", "show", SHOP)["spam"]
    assert (shown["mark"], shown["hold"]) == (
        {"value": 0.7, "from": "settings"},
        {"value": 1.5, "from": "settings"},
    )


def test_what_is_new_has_them_from_the_beginning(site: Site) -> None:
    hold, prefix = ("--spam-hold", "3"), ("--spam-subject-prefix", "[SPAM]")
    made = counting(site, "domain", "add", "else.test", "--postmaster", "chief@real.test", *hold)
    assert made == {"hold": (3.0, "domain")}
    for verb in (("add", "club@else.test"), ("random", "--domain", "else.test")):
        made = counting(site, "alias", *verb, "--to", "me@real.test", *prefix)
        assert made == {"hold": (3.0, "domain"), "subject_prefix": ("[SPAM]", "alias")}
    assert counting(site, "alias", "show", "club@else.test") == made
    made = counting(site, "account", "add", "anna", *hold, *prefix)
    assert made == {"hold": (3.0, "account"), "subject_prefix": ("[SPAM]", "account")}


def test_what_is_new_with_rules_that_make_no_sense_is_not_made(site: Site) -> None:
    given = ("club@alias.test", "--to", "me@real.test", "--spam-hold", "0.5")
    assert "is below mark" in site.refusal(os.EX_DATAERR, "alias", "add", *given)
    assert [alias["address"] for alias in site.json("alias", "list")] == [SHOP]


def test_what_is_taken_back(site: Site) -> None:
    site.text("domain", "edit", "alias.test", "--spam-subject-prefix", "***")
    site.text("alias", "edit", SHOP, "--spam-subject-prefix", "", "--spam-hold", "3")
    assert counting(site, "alias", "show", SHOP) == {
        "hold": (3.0, "alias"),
        "subject_prefix": ("", "alias"),
    }
    taken = ("--spam-inherit", "subject-prefix", "--spam-dmarc-quarantine", "hold")
    assert counting(site, "alias", "edit", SHOP, *taken) == {
        "hold": (3.0, "alias"),
        "dmarc_quarantine": ("hold", "alias"),
        "subject_prefix": ("***", "domain"),
    }
    assert counting(site, "alias", "edit", SHOP, "--spam-inherit", "all") == {
        "subject_prefix": ("***", "domain")
    }


@pytest.mark.parametrize(
    ("status", "given", "said"),
    [
        (os.EX_DATAERR, ["--spam-hold", "0.5"], "hold 0.5 (of the alias) is below mark 1 (of the settings)"),
        (
            os.EX_DATAERR,
            ["--spam-mark", "5", "--spam-refuse", "4"],
            "refuse 4 (of the alias) is below mark 5",
        ),
        (os.EX_DATAERR, ["--spam-hold", "4", "--spam-discard", "4"], "nothing would ever be held"),
        (os.EX_USAGE, ["--spam-hold", "nan"], "isn't a number above 0, like 1.5, or never"),
        (os.EX_USAGE, ["--spam-hold", "-1"], "isn't a number above 0"),
        (os.EX_USAGE, ["--spam-hold", "x"], "isn't a number above 0"),
        (os.EX_USAGE, ["--spam-subject-prefix", "x" * 61], "isn't a text of up to 60 characters"),
        (os.EX_USAGE, ["--spam-subject-prefix", "a\nb"], "isn't a text of up to 60 characters"),
        (os.EX_USAGE, ["--spam-when-unscanned", "drop"], "tag"),
        (os.EX_USAGE, ["--spam-inherit", "all", "--spam-hold", "2"], "--spam-hold can't be set and"),
    ],
)
def test_what_is_refused_changes_nothing(site: Site, status: int, given: list[str], said: str) -> None:
    assert said in site.refusal(status, "alias", "edit", SHOP, *given)
    assert counting(site, "alias", "show", SHOP) == {}


def test_a_domain_is_not_changed_against_its_aliases(site: Site) -> None:
    site.text("alias", "edit", SHOP, "--spam-hold", "2")
    told = site.refusal(os.EX_DATAERR, "domain", "edit", "alias.test", "--spam-mark", "5")
    assert f"\n    {SHOP}: hold 2 (of the alias) is below mark 5 (of the domain)\n" in told
    assert counting(site, "domain", "show", "alias.test") == {}


def test_rules_go_with_what_they_are_for(site: Site) -> None:
    site.text("alias", "edit", SHOP, "--spam-hold", "3")
    site.text("alias", "remove", SHOP)
    assert counting(site, "alias", "show", SHOP) == {"hold": (3.0, "alias")}
    site.text("alias", "restore", SHOP)
    assert counting(site, "alias", "show", SHOP) == {"hold": (3.0, "alias")}
    site.text("domain", "remove", "alias.test", "--with-aliases")
    site.text("domain", "add", "alias.test", "--postmaster", "chief@real.test")
    assert counting(site, "domain", "show", "alias.test") == {}
