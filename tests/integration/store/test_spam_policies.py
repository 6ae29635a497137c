"""Spam policies as the programs look them up, on both databases, and on a schema that has none yet."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import text

from postmask.alias.sifting import SpamRules
from postmask.directory.lookup import ABSENT, Found, Unavailable
from postmask.directory.records import Alias, SpamPolicy
from postmask.store.admin import policies
from postmask.store.admin.rules import Target
from postmask.store.directory import SqlDirectory
from postmask.store.errors import InUse, Refused
from truth import Truth

SHOP = "shop@alias.test"
NODE = SpamRules()


def shop(directory: SqlDirectory) -> Alias:
    found = directory.alias(SHOP)
    assert isinstance(found, Found)
    return found.value


def test_the_narrowest_first(furnished: Truth) -> None:
    directory = furnished.directory()
    alias = shop(directory)
    assert directory.spam_policies(alias) == ABSENT
    for target, values in (
        (Target(domain="alias.test"), {"when_unscanned": "hold"}),
        (Target(alias=SHOP), {"hold": float("inf"), "subject_prefix": ""}),
        (Target(account="default"), {"mark": 0.5, "dmarc_quarantine": "hold"}),
    ):
        furnished.do(policies.change, target, values, NODE)
    wanted = (
        SpamPolicy("alias", hold=float("inf"), subject_prefix=""),
        SpamPolicy("account", mark=0.5, dmarc_quarantine="hold"),
        SpamPolicy("domain", when_unscanned="hold"),
    )
    assert directory.spam_policies(alias) == Found(wanted)
    assert directory.spam_policies(replace(alias, id=1)) == Found(wanted[1:])
    assert directory.spam_policies(replace(alias, id=1, account_id=1)) == Found(wanted[2:])
    furnished.do(
        policies.change, Target(account="default"), dict.fromkeys(("mark", "dmarc_quarantine")), NODE
    )
    assert directory.spam_policies(alias) == Found((wanted[0], wanted[2]))


def test_what_makes_no_sense_is_not_kept(furnished: Truth) -> None:
    with pytest.raises(Refused, match="below mark"):
        furnished.do(policies.change, Target(alias=SHOP), {"hold": 0.1}, NODE)
    assert furnished.directory().spam_policies(shop(furnished.directory())) == ABSENT


def test_what_is_wider_is_not_changed_against_what_is_narrower(furnished: Truth) -> None:
    """Who has it is named; what has no part in it can be changed."""
    domain, account = Target(domain="alias.test"), Target(account="default")
    furnished.do(policies.change, Target(alias=SHOP), {"hold": 2.0}, NODE)
    with pytest.raises(InUse, match="set more narrowly") as refused:
        furnished.do(policies.change, account, {"mark": 3.0}, NODE)
    assert refused.value.dependents == (f"{SHOP}: hold 2 (of the alias) is below mark 3 (of the account)",)
    furnished.do(policies.change, Target(alias=SHOP), {"hold": None, "mark": 2.0}, NODE)
    furnished.do(policies.change, account, {"refuse": 4.0}, NODE)
    with pytest.raises(InUse) as refused:
        furnished.do(policies.change, domain, {"mark": 5.0}, NODE)
    assert refused.value.dependents == (
        "aliases of default in alias.test: refuse 4 (of the account) is below mark 5 (of the domain)",
    )
    furnished.do(policies.change, domain, {"mark": 3.0, "hold_replies": 1.0}, NODE)
    with pytest.raises(InUse) as refused:
        furnished.do(policies.change, account, {"refuse": 1.5}, NODE)
    assert len(refused.value.dependents) == 2
    furnished.do(policies.change, domain, {"mark": 0.5, "hold": 2.5}, NODE)


def test_an_older_schema_has_none(furnished: Truth) -> None:
    """It is as 0004 left it: the table is all that 0005 adds."""
    with furnished.engine.begin() as connection:
        connection.execute(text("DROP TABLE spam_policy"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0004'"))
    directory = furnished.directory()
    for _ in range(3):
        assert directory.spam_policies(shop(directory)) == ABSENT


def test_in_the_middle_of_a_restore_nobody_can_say(furnished: Truth) -> None:
    if furnished.engine.dialect.name == "sqlite":
        return
    alias = shop(furnished.directory())
    with furnished.engine.begin() as connection:
        connection.execute(text("DROP TABLE spam_policy"))
        connection.execute(text("DELETE FROM alembic_version"))
    assert isinstance(furnished.directory().spam_policies(alias), Unavailable)
