"""The rules that the database itself keeps, on both databases, whatever the code above it does."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from postmask.store.models import (
    MAX_ID,
    Account,
    Alias,
    AliasMailbox,
    Base,
    Bounce,
    Contact,
    Counter,
    DkimKey,
    Domain,
    Event,
    Generation,
    Mailbox,
    MailboxSender,
    ReplayMark,
    ReverseAlias,
    SenderRule,
    SpamPolicy,
    Tombstone,
)
from truth import Truth, made

GOOD: dict[type[Base], dict[str, Any]] = {
    Account: {"id": 1, "name": "one", "created": 0.0},
    Domain: {"id": 2, "name": "d.test", "account_id": 1, "postmaster": "p@x.test", "created": 0.0},
    Mailbox: {"id": 3, "account_id": 1, "address": "m@x.test", "written": "M@x.test", "created": 0.0},
    MailboxSender: {"mailbox_id": 3, "address": "s@x.test"},
    Alias: {
        "id": 4,
        "account_id": 1,
        "address": "a@d.test",
        "domain": "d.test",
        "state": "active",
        "when_disabled": "reject",
        "created": 0.0,
    },
    AliasMailbox: {"alias_id": 4, "mailbox_id": 3, "account_id": 1},
    Contact: {
        "id": 5,
        "alias_id": 4,
        "address": "c@y.test",
        "written": "c@y.test",
        "token": "a" * 24,
        "created": 0.0,
    },
    ReverseAlias: {"token": "a" * 24, "contact_id": 5, "created": 0.0},
    SenderRule: {"id": 6, "scope": "global", "pattern": "@z.test", "action": "reject", "created": 0.0},
    SpamPolicy: {"id": 8, "alias_id": 4, "mark": 1.0},
    DkimKey: {
        "domain": "d.test",
        "selector": "s1",
        "algorithm": "rsa",
        "sealed": b"x",
        "public": "v=DKIM1",
        "state": "active",
        "created": 0.0,
    },
    Event: {"id": "e" * 32, "node": "mx", "at": 0.0, "kind": "forwarded"},
    Counter: {"alias_id": 4, "node": "mx", "kind": "held", "count": 1, "last_at": 0.0},
    Bounce: {
        "id": "b" * 32,
        "node": "mx",
        "at": 0.0,
        "alias_id": 4,
        "contact_token": "0" * 16,
        "mailbox_id": 3,
        "kind": "reply",
    },
    ReplayMark: {"mark": "m", "reverse_token": "t", "ledger_key": "k", "at": 0.0},
    Tombstone: {"hash": b"h", "account_id": 1, "at": 0.0},
}

WRONG: list[tuple[type[Base], dict[str, Any]]] = [
    (Account, {"id": 0}),
    (Account, {"id": MAX_ID + 1}),
    (Account, {"id": -1}),
    (Account, {"id": 99}),  # the name is taken
    (Account, {"id": 99, "name": ""}),
    (Account, {"id": 99, "name": None}),
    (Domain, {"id": 99, "name": "D2.test"}),
    (Domain, {"id": 99, "name": "d2"}),
    (Domain, {"id": 99, "name": "a@d.test"}),
    (Domain, {"id": 99}),
    (Domain, {"id": 99, "name": "d2.test", "account_id": 98}),
    (Domain, {"id": 99, "name": "d2.test", "postmaster": "nobody"}),
    (Domain, {"id": 99, "name": "d2.test", "postmaster": None}),
    (Mailbox, {"id": 99}),
    (Mailbox, {"id": 99, "address": "nobody"}),
    (Mailbox, {"id": 99, "address": "n@x.test", "account_id": 98}),
    (Mailbox, {"id": 99, "address": "n@x.test", "pause_reason": "without a time"}),
    (Mailbox, {"id": 99, "address": "n@x.test", "code_mac": b"without expiry"}),
    (Mailbox, {"id": 99, "address": "n@x.test", "code_attempts": -1}),
    (MailboxSender, {}),
    (MailboxSender, {"address": "nobody"}),
    (MailboxSender, {"mailbox_id": 98, "address": "t@x.test"}),
    (Alias, {"id": 99}),
    (Alias, {"address": "b@d.test"}),  # the id is taken
    (Alias, {"id": 99, "address": "b@d2.test"}),
    (Alias, {"id": 99, "address": "b@x.d.test"}),
    (Alias, {"id": 99, "address": "@d.test"}),
    (Alias, {"id": 99, "address": "d.test"}),
    (Alias, {"id": 99, "address": "b@d2.test", "domain": "d2.test"}),
    (Alias, {"id": 99, "address": "b@d.test", "account_id": 98}),
    (Alias, {"id": 99, "address": "b@d.test", "state": "odd"}),
    (Alias, {"id": 99, "address": "b@d.test", "when_disabled": "odd"}),
    (Alias, {"id": 99, "address": "b@d.test", "state": "removed"}),
    (Alias, {"id": 99, "address": "b@d.test", "removed_at": 1.0}),
    (AliasMailbox, {}),
    (AliasMailbox, {"alias_id": 98}),
    (AliasMailbox, {"mailbox_id": 98}),
    (Contact, {"id": 99}),
    (Contact, {"id": 99, "address": "d@y.test", "alias_id": 98}),
    (Contact, {"id": 99, "address": "d@y.test", "rule": "odd"}),
    (Contact, {"id": 99, "address": "d@y.test", "block_action": "odd"}),
    (Contact, {"id": 99, "address": "d@y.test", "token": "short"}),
    (Contact, {"id": 99, "address": "d@y.test", "replacement": -1}),
    (ReverseAlias, {}),
    (ReverseAlias, {"token": "A" * 24}),
    (ReverseAlias, {"token": "short"}),
    (ReverseAlias, {"token": "b" * 24, "contact_id": 98}),
    (SenderRule, {"id": 99}),
    (SenderRule, {"id": 99, "pattern": "z.test"}),
    (SenderRule, {"id": 99, "pattern": "@y.test", "scope": "odd"}),
    (SenderRule, {"id": 99, "pattern": "@y.test", "action": "odd"}),
    (SenderRule, {"id": 99, "pattern": "@y.test", "scope": "alias"}),
    (SenderRule, {"id": 99, "pattern": "@y.test", "scope": "alias", "domain_id": 2}),
    (SenderRule, {"id": 99, "pattern": "@y.test", "alias_id": 4}),
    (SenderRule, {"id": 99, "pattern": "@y.test", "scope": "account", "account_id": 98}),
    (SpamPolicy, {"id": 99}),
    (SpamPolicy, {"id": 99, "alias_id": None}),
    (SpamPolicy, {"id": 99, "alias_id": None, "account_id": 1, "domain_id": 2}),
    (SpamPolicy, {"id": 99, "alias_id": None, "domain_id": 98}),
    (SpamPolicy, {"id": 99, "alias_id": None, "domain_id": 2, "hold": 0.0}),
    (SpamPolicy, {"id": 99, "alias_id": None, "domain_id": 2, "when_unscanned": "odd"}),
    (SpamPolicy, {"id": 99, "alias_id": None, "domain_id": 2, "dmarc_quarantine": "odd"}),
    (DkimKey, {}),
    (DkimKey, {"selector": "s2", "domain": "d2.test"}),
    (DkimKey, {"selector": "s2", "algorithm": "dsa"}),
    (DkimKey, {"selector": "s2", "state": "odd"}),
    (Event, {}),
    (Event, {"id": "f" * 32, "kind": "odd"}),
    (Counter, {}),
    (Counter, {"kind": "odd"}),
    (Counter, {"node": "mx2", "count": 0}),
    (Bounce, {}),
    (Bounce, {"id": "c" * 32, "kind": "odd"}),
    (ReplayMark, {}),
    (Generation, {"id": 1, "number": 1}),
    (Generation, {"id": 2, "number": 1}),
    (Tombstone, {}),
]


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    url = f"sqlite:///{tmp_path_factory.mktemp('constraints')}/truth.db"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres").fresh()
    with made(url) as truth:
        with truth.engine.begin() as connection:
            connection.execute(delete(Account))
            for model, values in GOOD.items():
                connection.execute(insert(model).values(values))
        yield truth


@pytest.mark.parametrize(("model", "change"), WRONG, ids=lambda value: str(getattr(value, "__name__", value)))
def test_the_database_refuses(filled: Truth, model: type[Base], change: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), filled.engine.begin() as connection:
        connection.execute(insert(model).values(GOOD.get(model, {}) | change))


@pytest.mark.parametrize("model", [Account, Domain, Mailbox], ids=lambda model: str(model.__name__))
def test_what_others_depend_on_stays(filled: Truth, model: type[Base]) -> None:
    with pytest.raises(IntegrityError), filled.engine.begin() as connection:
        connection.execute(delete(model))


def test_an_alias_never_delivers_to_another_accounts_mailbox(filled: Truth) -> None:
    with filled.engine.connect() as connection:
        connection.execute(insert(Account).values(id=50, name="two", created=0.0))
        connection.execute(insert(Mailbox).values(GOOD[Mailbox] | {"id": 51, "account_id": 50}))
        for account in (1, 50):
            with pytest.raises(IntegrityError), connection.begin_nested():
                connection.execute(insert(AliasMailbox).values(alias_id=4, mailbox_id=51, account_id=account))
        connection.rollback()


def test_an_alias_does_not_change_hands_with_its_mailboxes(filled: Truth) -> None:
    with filled.engine.connect() as connection:
        connection.execute(insert(Account).values(id=50, name="two", created=0.0))
        with pytest.raises(IntegrityError), connection.begin_nested():
            connection.execute(update(Alias).values(account_id=50))
        connection.rollback()


def test_what_belongs_to_an_alias_goes_with_it(filled: Truth) -> None:
    with filled.engine.connect() as connection:
        connection.execute(delete(Alias))
        for model in (AliasMailbox, Contact, ReverseAlias):
            assert connection.execute(select(model)).all() == []
        for model in (Event, Counter, Bounce):
            assert len(connection.execute(select(model)).all()) == 1
        connection.rollback()
