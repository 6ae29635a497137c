"""Contacts, reverse aliases, blocks of senders and which of them wins, on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event

from postmask import tokens
from postmask.address import parse
from postmask.directory.lookup import ABSENT, GONE, Found
from postmask.directory.records import BlockAction, ContactRule
from postmask.store.admin import accounts, aliases, contacts, domains, mailboxes, rules
from postmask.store.admin.rules import EVERYBODY, Target
from postmask.store.errors import Duplicate, NotFound, Refused
from truth import KEYS, Truth

SHOP = "shop@alias.test"


def matched(truth: Truth, sender: str, address: str | None = SHOP) -> tuple[str, str, str] | None:
    """(scope, pattern, action) of the rule that meets this sender, None where none does."""
    directory = truth.directory()
    found = directory.alias(address) if address else ABSENT
    domain = directory.domain("alias.test")
    assert isinstance(domain, Found)
    rule = directory.sender_rule(sender, found.value if isinstance(found, Found) else None, domain.value)
    if rule == ABSENT:
        return None
    assert isinstance(rule, Found), rule
    return rule.value.scope, rule.value.pattern, rule.value.action.value


def test_writing_first(furnished: Truth) -> None:
    shown: Any = furnished.do(contacts.add, KEYS, SHOP, "Bob.B@Firm.test", name="Bob", now=1.0)
    local, domain = shown.reverse_alias.split("@")
    assert domain == "alias.test"
    assert tokens.read(KEYS, local, 0) == tokens.Reverse(shown.token)
    directory = furnished.directory()
    found = directory.reverse_alias(shown.token)
    assert isinstance(found, Found)
    assert found.value.alias.address == SHOP
    assert (found.value.contact, found.value.deliver_to) == ("bob.b@firm.test", "Bob.B@firm.test")
    contact = directory.contact(found.value.alias.id, "bob.b@firm.test")
    assert isinstance(contact, Found)
    assert (contact.value.token, contact.value.rule) == (shown.token, ContactRule.NONE)
    assert directory.reverse_alias("b" * 24) == ABSENT
    assert directory.contact(found.value.alias.id, "x@firm.test") == ABSENT
    with pytest.raises(Duplicate):
        furnished.do(contacts.add, KEYS, SHOP, "bob.b@FIRM.test", now=1.0)
    with pytest.raises(Refused, match="our own"):
        furnished.do(contacts.add, KEYS, SHOP, "other@alias.test", now=1.0)


def test_a_replaced_reverse_alias_stays_good(furnished: Truth) -> None:
    first: Any = furnished.do(contacts.add, KEYS, SHOP, "c@firm.test", now=1.0)
    second: Any = furnished.do(contacts.replace, KEYS, SHOP, "c@firm.test", now=2.0)
    third: Any = furnished.do(contacts.replace, KEYS, SHOP, "c@firm.test", now=3.0)
    made = [shown.token for shown in (first, second, third)]
    assert len(set(made)) == 3
    for token in made:
        assert isinstance(furnished.directory().reverse_alias(token), Found)
    shown: Any = furnished.do(contacts.get, SHOP, "c@firm.test")
    assert shown.token == made[-1]


def test_a_removed_aliass_contacts_are_kept_but_not_reached(furnished: Truth) -> None:
    shown: Any = furnished.do(contacts.add, KEYS, SHOP, "c@firm.test", now=1.0)
    furnished.do(aliases.remove, SHOP, now=2.0)
    assert furnished.directory().reverse_alias(shown.token) == GONE
    assert furnished.do(contacts.listing, alias=SHOP) == [shown]
    furnished.do(aliases.restore, SHOP)
    assert isinstance(furnished.directory().reverse_alias(shown.token), Found)


def test_listing_contacts(furnished: Truth) -> None:
    furnished.do(contacts.add, KEYS, SHOP, "b@firm.test", name="Béa", now=1.0)
    furnished.do(contacts.add, KEYS, SHOP, "a@firm.test", now=1.0)
    furnished.do(contacts.block, SHOP, "a@firm.test")

    def found(**query: Any) -> list[str]:
        listed: Any = furnished.do(contacts.listing, **query)
        return [contact.address for contact in listed]

    assert found(alias=SHOP) == found(account="default") == found() == ["a@firm.test", "b@firm.test"]
    assert found(rule="block") == ["a@firm.test"]
    assert found(search="BÉA") == found(search="b@") == ["b@firm.test"]
    assert found(limit=1) == ["a@firm.test"]
    assert found(offset=1) == found(limit=1, offset=1) == ["b@firm.test"]
    with pytest.raises(NotFound, match="contact add"):
        furnished.do(contacts.get, SHOP, "x@firm.test")


def test_listing_contacts_takes_no_statement_for_each_alias(furnished: Truth) -> None:
    for number in range(10):
        address = f"a{number}@alias.test"
        furnished.do(aliases.add, KEYS, address, ["bob@real.test"], now=1.0)
        furnished.do(contacts.add, KEYS, address, "b@firm.test", now=1.0)
    statements: list[str] = []
    with furnished.session() as session:
        event.listen(session.connection(), "before_cursor_execute", lambda *told: statements.append(told[2]))
        assert len(contacts.listing(session)) == 10
    assert len(statements) == 1


def test_patterns(furnished: Truth) -> None:
    furnished.do(rules.add, "Spam@Bad.test", now=1.0)
    furnished.do(rules.add, "@Worse.test", action=BlockAction.DISCARD, now=1.0)
    assert matched(furnished, "spam@bad.test") == ("global", "spam@bad.test", "reject")
    assert matched(furnished, "ham@bad.test") is None
    for sender in ("x@worse.test", "x@a.b.worse.test"):
        assert matched(furnished, sender) == ("global", "@worse.test", "discard")
    for sender in ("x@notworse.test", "x@worse.test.example", "", "MAILER-DAEMON"):
        assert matched(furnished, sender) is None
    with pytest.raises(Duplicate):
        furnished.do(rules.add, "@worse.TEST", now=1.0)
    with pytest.raises(Refused, match="@bad"):
        furnished.do(rules.add, "bad.test", now=1.0)


def test_the_narrowest_wins(furnished: Truth) -> None:
    furnished.do(rules.add, "x@y.test", action=BlockAction.DISCARD, now=1.0)
    assert matched(furnished, "x@y.test", None) == ("global", "x@y.test", "discard")
    furnished.do(rules.add, "@y.test", target=Target(domain="alias.test"), now=1.0)
    assert matched(furnished, "x@y.test", None) == ("domain", "@y.test", "reject")
    furnished.do(rules.add, "@y.test", target=Target(account="default"), action=BlockAction.DISCARD, now=1.0)
    assert matched(furnished, "x@y.test") == ("account", "@y.test", "discard")
    assert matched(furnished, "x@y.test", None) == ("domain", "@y.test", "reject")
    furnished.do(rules.add, "@y.test", target=Target(alias=SHOP), now=1.0)
    furnished.do(rules.add, "@b.y.test", target=Target(alias=SHOP), action=BlockAction.DISCARD, now=1.0)
    assert matched(furnished, "x@y.test") == ("alias", "@y.test", "reject")
    assert matched(furnished, "x@a.b.y.test") == ("alias", "@b.y.test", "discard")


def test_rules_of_others_do_not_count(furnished: Truth) -> None:
    furnished.do(accounts.add, "eve", now=1.0)
    furnished.do(domains.add, "second.test", "ops@real.test", account="eve", now=1.0)
    furnished.do(mailboxes.add, KEYS, "eve@real.test", account="eve", now=1.0)
    furnished.do(aliases.add, KEYS, "e@alias.test", ["eve@real.test"], account="eve", now=1.0)
    for target in (Target(account="eve"), Target(domain="second.test"), Target(alias="e@alias.test")):
        furnished.do(rules.add, "@y.test", target=target, now=1.0)
    assert matched(furnished, "x@y.test") is None
    assert matched(furnished, "x@y.test", "e@alias.test") == ("alias", "@y.test", "reject")


def test_what_the_owner_said_of_a_contact_comes_first(furnished: Truth) -> None:
    furnished.do(rules.add, "@y.test", target=Target(alias=SHOP), action=BlockAction.DISCARD, now=1.0)
    furnished.do(contacts.add, KEYS, SHOP, "x@y.test", now=1.0)
    assert matched(furnished, "x@y.test") == ("alias", "@y.test", "discard")
    furnished.do(contacts.allow, SHOP, "x@y.test")
    assert matched(furnished, "x@y.test") is None
    assert matched(furnished, "other@y.test") == ("alias", "@y.test", "discard")
    furnished.do(contacts.block, SHOP, "x@y.test")
    assert matched(furnished, "x@y.test") == ("contact", "x@y.test", "reject")
    furnished.do(contacts.block, SHOP, "x@y.test", action=BlockAction.DISCARD)
    assert matched(furnished, "x@y.test") == ("contact", "x@y.test", "discard")
    furnished.do(contacts.unblock, SHOP, "x@y.test")
    assert matched(furnished, "x@y.test") == ("alias", "@y.test", "discard")


def test_listing_and_removing_blocks(furnished: Truth) -> None:
    everyone = [EVERYBODY, Target(domain="alias.test"), Target(account="default"), Target(alias=SHOP)]
    for target in everyone:
        furnished.do(rules.add, "@y.test", target=target, now=1.0)
    listed: Any = furnished.do(rules.listing)
    assert {(rule.scope, rule.target) for rule in listed} == {
        ("global", None),
        ("domain", "alias.test"),
        ("account", "default"),
        ("alias", SHOP),
    }
    only: Any = furnished.do(rules.listing, target=Target(alias=SHOP), pattern="@Y.test")
    assert [rule.target for rule in only] == [SHOP]
    for target in everyone:
        furnished.do(rules.remove, "@y.test", target=target)
        with pytest.raises(NotFound, match="block list"):
            furnished.do(rules.remove, "@y.test", target=target)
    assert furnished.do(rules.listing) == []
    with pytest.raises(Refused, match="one of them"):
        furnished.do(rules.add, "@y.test", target=Target(alias=SHOP, account="default"), now=1.0)


def test_blocks_go_with_what_they_protect(furnished: Truth) -> None:
    for target in (Target(domain="alias.test"), Target(alias=SHOP)):
        furnished.do(rules.add, "@y.test", target=target, now=1.0)
    furnished.do(domains.remove, KEYS, "alias.test", with_aliases=True, now=2.0)
    assert furnished.do(rules.listing) == []


def test_the_hint_is_made_of_the_address(furnished: Truth) -> None:
    shown: Any = furnished.do(contacts.add, KEYS, SHOP, "c@firm.test", now=1.0)
    assert parse(shown.reverse_alias).local.startswith("c-at-firm-test.")
