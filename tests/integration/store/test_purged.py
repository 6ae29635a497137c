"""What was purged is gone everywhere: reverse aliases are refused, and nodes forget their contacts, but by
nothing less than the truth's own word that it was purged."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, delete, insert, select, text

from postgres import Cluster
from postmask.agent.contacts import Forgetting
from postmask.agent.housekeeping import FORGET_EVERY, Housekeeping
from postmask.clock import DAY, ManualClock
from postmask.directory.lookup import ABSENT, GONE, Found
from postmask.spool import LEDGER_KEPT, Entry, LocalContact, Spool
from postmask.store import backup, dump, intake, retention
from postmask.store.admin import accounts, aliases, contacts, domains, naming
from postmask.store.engine import Use, make_engine, parse_url
from postmask.store.models import Alias, Base, Counter, PurgedAlias, PurgedReverseAlias
from postmask.tokens import reverse_token
from replica_node import node_url
from told_node import state_of
from truth import KEYS, Truth, made

SHOP, OTHER = "shop@alias.test", "other@alias.test"
NOW = time.time()
"""Postgres goes by its own clock."""


@pytest.fixture
def node(furnished: Truth) -> Iterator[Engine]:
    """As the agent has it: on Postgres in the nodes' role."""
    url = furnished.url
    if furnished.engine.dialect.name == "postgresql":
        url = node_url(furnished)
    engine = make_engine(url, Use.INTAKE)
    yield engine
    engine.dispose()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(at=1_800_000_000.0)


@pytest.fixture
def spool(tmp_path: Path, clock: ManualClock) -> Iterator[Spool]:
    with contextlib.closing(Spool(tmp_path / "spool.db", clock)) as opened:
        yield opened


def id_of(truth: Truth, address: str) -> int:
    shown: Any = truth.do(aliases.get, address)
    return int(shown.id)


def meet(spool: Spool, alias_id: int, *names: str) -> None:
    """As the forwarder does; the truth isn't told."""
    met = [f"{name}@firm.test" for name in names]
    spool.begin([], [LocalContact(reverse_token(KEYS, alias_id, a), alias_id, a, None, a) for a in met])


def known(spool: Spool) -> set[tuple[int, str]]:
    return {(one.alias_id, one.address.partition("@")[0]) for one in spool.contacts("", 9999)}


def forget(spool: Spool, engine: Engine, clock: ManualClock) -> None:
    """What the agent does in an hour."""
    forgetting = Forgetting(spool, engine, clock)
    while forgetting.look():
        pass


def purge(truth: Truth, address: str, clock: ManualClock) -> None:
    truth.do(aliases.forget, KEYS, address, now=clock.now())


def test_its_reverse_aliases_are_refused_while_they_are_known(furnished: Truth, clock: ManualClock) -> None:
    directory = furnished.directory()
    made: list[Any] = [furnished.do(contacts.add, KEYS, SHOP, "c@firm.test", now=1.0)]
    made.append(furnished.do(contacts.replace, KEYS, SHOP, "c@firm.test", now=2.0))
    furnished.do(aliases.add, KEYS, OTHER, ["bob@real.test"], now=1.0)
    spared: Any = furnished.do(contacts.add, KEYS, OTHER, "c@firm.test", now=1.0)
    purge(furnished, SHOP, clock)
    assert [directory.reverse_alias(one.token) for one in made] == [GONE, GONE]
    assert isinstance(directory.reverse_alias(spared.token), Found)
    assert directory.reverse_alias("b" * 24) == ABSENT
    with furnished.engine.begin() as connection:
        connection.execute(delete(PurgedReverseAlias))
    assert directory.reverse_alias(made[0].token) == ABSENT


@pytest.mark.parametrize("what", ["account", "domain"])
def test_with_an_account_or_a_domain_too(furnished: Truth, clock: ManualClock, what: str) -> None:
    shown: Any = furnished.do(contacts.add, KEYS, SHOP, "c@firm.test", now=1.0)
    alias_id = id_of(furnished, SHOP)
    if what == "account":
        furnished.do(accounts.add, "ops", now=1.0)
        furnished.do(domains.edit, "alias.test", account="ops")
        furnished.do(accounts.remove, KEYS, "default", with_all=True, now=clock.now())
    else:
        furnished.do(domains.remove, KEYS, "alias.test", with_aliases=True, now=clock.now())
    assert furnished.directory().reverse_alias(shown.token) == GONE
    with furnished.session() as session:
        assert session.execute(select(PurgedAlias.id, PurgedAlias.at)).all() == [(alias_id, clock.now())]


def test_a_node_forgets_its_contacts_after_some_days(
    furnished: Truth, node: Engine, spool: Spool, clock: ManualClock
) -> None:
    """Not at once: a restore may undo it, and they will be told to that truth."""
    furnished.do(aliases.add, KEYS, OTHER, ["bob@real.test"], now=1.0)
    gone, kept = id_of(furnished, SHOP), id_of(furnished, OTHER)
    for alias_id in (gone, kept):
        meet(spool, alias_id, "ann", "bob")
    purge(furnished, SHOP, clock)
    clock.advance(LEDGER_KEPT - 1)
    forget(spool, node, clock)
    assert known(spool) == {(gone, "ann"), (gone, "bob"), (kept, "ann"), (kept, "bob")}
    meet(spool, gone, "carol")  # by a replica that was cut off
    clock.advance(2)
    forget(spool, node, clock)
    assert known(spool) == {(kept, "ann"), (kept, "bob")}
    meet(spool, gone, "dora")
    forget(spool, node, clock)
    assert known(spool) == {(kept, "ann"), (kept, "bob")}


def test_what_is_not_there_is_not_what_was_purged(
    furnished: Truth, node: Engine, spool: Spool, clock: ManualClock
) -> None:
    """It may have been lost in a restore, and be made again; or be removed, and come back."""
    alias_id = id_of(furnished, SHOP)
    meet(spool, alias_id, "ann")
    furnished.do(aliases.remove, SHOP, now=clock.now())
    clock.advance(100 * DAY)
    forget(spool, node, clock)
    with furnished.engine.begin() as connection:
        connection.execute(delete(Alias))
    forget(spool, node, clock)
    assert known(spool) == {(alias_id, "ann")}


def test_what_is_there_was_not_purged(
    furnished: Truth, node: Engine, spool: Spool, clock: ManualClock
) -> None:
    """Whatever else is said, by somebody who has mended the database by hand."""
    alias_id = id_of(furnished, SHOP)
    meet(spool, alias_id, "ann")
    shown: Any = furnished.do(contacts.add, KEYS, SHOP, "ann@firm.test", now=1.0)
    with furnished.engine.begin() as connection:
        connection.execute(insert(PurgedAlias), [{"id": alias_id, "at": 1.0}])
        connection.execute(insert(PurgedReverseAlias), [{"token": shown.token, "at": 1.0}])
    forget(spool, node, clock)
    assert known(spool) == {(alias_id, "ann")}
    assert isinstance(furnished.directory().reverse_alias(shown.token), Found)


def test_a_restore_takes_it_back(
    furnished: Truth, node: Engine, spool: Spool, clock: ManualClock, tmp_path: Path
) -> None:
    shown: Any = furnished.do(contacts.add, KEYS, SHOP, "c@firm.test", now=1.0)
    alias_id = id_of(furnished, SHOP)
    meet(spool, alias_id, "ann")
    copies: Any = dump if furnished.engine.dialect.name == "postgresql" else backup
    copies.backup(furnished.url, tmp_path / "copy")
    purge(furnished, SHOP, clock)
    assert furnished.directory().reverse_alias(shown.token) == GONE
    if copies is dump:
        role = parse_url(node_url(furnished)).username
        dump.restore(furnished.url, tmp_path / "copy", (str(role), "secret"))
    else:
        backup.restore(furnished.url, tmp_path / "copy")
    clock.advance(100 * DAY)
    forget(spool, node, clock)
    assert known(spool) == {(alias_id, "ann")}
    assert isinstance(furnished.directory().reverse_alias(shown.token), Found)


def test_a_dump_of_before_knows_nothing_of_what_was_purged_since(
    postgres: Cluster, tmp_path: Path, clock: ManualClock
) -> None:
    """pg_restore leaves tables that aren't in it as they are."""
    with made(postgres.fresh()) as truth:
        truth.furnish()
        shown: Any = truth.do(contacts.add, KEYS, SHOP, "c@firm.test", now=1.0)
        newer = [Base.metadata.tables[name] for name in ("purged_alias", "purged_reverse_alias")]
        with truth.engine.begin() as connection:
            for table in newer:
                table.drop(connection)
            connection.execute(text("UPDATE alembic_version SET version_num = '0009'"))
        dump.backup(truth.url, tmp_path / "dump")
        with truth.engine.begin() as connection:
            for table in newer:
                table.create(connection)
            connection.execute(text("UPDATE alembic_version SET version_num = '0010'"))
        purge(truth, SHOP, clock)
        dump.restore(truth.url, tmp_path / "dump", None)
        assert isinstance(truth.directory().reverse_alias(shown.token), Found)
        with truth.session() as session:
            assert session.scalars(select(PurgedAlias.id)).all() == []


def test_many_are_forgotten_a_piece_at_a_time(
    furnished: Truth, node: Engine, spool: Spool, clock: ManualClock
) -> None:
    """Of many aliases, and an alias that was flooded; the outbox doesn't wait for all of it."""
    meet(spool, 7, *(f"c{number}" for number in range(1_200)))
    many = range(1_000, 2_450)
    spool.begin([], [LocalContact(f"{one:024}", one, "ann@firm.test", None, "ann@firm.test") for one in many])
    with furnished.engine.begin() as connection:
        connection.execute(insert(PurgedAlias), [{"id": n, "at": 1.0} for n in (7, *many[100:])])
    forgetting = Forgetting(spool, node, clock)
    left = [len(known(spool))]
    while forgetting.look():
        left.append(len(known(spool)))
    assert known(spool) == {(alias_id, "ann") for alias_id in many[:100]}
    assert max(before - after for before, after in itertools.pairwise(left)) <= 1_000


def test_the_agent_sees_to_it(
    furnished: Truth, node: Engine, spool: Spool, clock: ManualClock, tmp_path: Path
) -> None:
    """In an hour, and again an hour later."""
    housekeeping = Housekeeping(spool, node, "mx1", 14, clock, state_of(node, "mx1", tmp_path, clock))
    alias_id = id_of(furnished, SHOP)
    with furnished.engine.begin() as connection:
        connection.execute(insert(PurgedAlias), [{"id": alias_id, "at": 1.0}])
        connection.execute(delete(Alias))
    for _ in range(2):
        meet(spool, alias_id, "ann")
        housekeeping.do()
        assert known(spool) == {(alias_id, "ann")}
        clock.advance(FORGET_EVERY)
        for _ in range(3):
            housekeeping.do()
        assert known(spool) == set()


def test_the_truth_forgets_the_reverse_aliases_and_keeps_the_ids(
    furnished: Truth, node: Engine, clock: ManualClock
) -> None:
    with furnished.engine.begin() as connection:
        connection.execute(
            insert(PurgedReverseAlias),
            [{"token": str(days) * 12, "at": NOW - days * DAY} for days in (31, 29)],
        )
        connection.execute(insert(PurgedAlias), [{"id": 7, "at": 1.0}])
    assert retention.forget(node, days=14, now=NOW) == 1
    with furnished.session() as session:
        assert session.scalars(select(PurgedReverseAlias.token)).all() == ["29" * 12]
        assert session.scalars(select(PurgedAlias.id)).all() == [7]


def test_its_id_is_not_given_out_again(
    furnished: Truth, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even to an address whose hash is the same."""
    alias_id = id_of(furnished, SHOP)
    purge(furnished, SHOP, clock)
    monkeypatch.setattr(naming.tokens, "alias_id", lambda keys, address, attempt: alias_id + attempt)
    furnished.do(aliases.add, KEYS, OTHER, ["bob@real.test"], now=1.0)
    assert id_of(furnished, OTHER) == alias_id + 1


def test_what_a_node_tells_later_leaves_no_counter(furnished: Truth, clock: ManualClock) -> None:
    """The event itself is kept for its time."""
    alias_id = id_of(furnished, SHOP)
    purge(furnished, SHOP, clock)
    late = Entry.new("event", at=1.0, account_id=1, alias_id=alias_id, kind="forwarded")
    with furnished.engine.begin() as connection:
        assert intake.apply(connection, "mx1", [late]) == ()
    with furnished.session() as session:
        assert session.scalars(select(Counter.count)).all() == []
