"""Moving the truth: what is copied, what is refused, and that it stands still meanwhile."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, insert, select, text, update
from sqlalchemy.orm import Session

from postgres import Cluster
from postmask.spool import Entry
from postmask.store import intake, schema, whereabouts
from postmask.store.admin import aliases
from postmask.store.engine import WAIT, make_engine
from postmask.store.errors import BeingMoved, Moved, Refused, StoreError, StoreUnavailable
from postmask.store.models import MAX_ID, Base, Generation
from postmask.store.moving import copying, target
from postmask.store.moving.freeze import frozen
from postmask.store.moving.journal import Destination, Journal
from postmask.store.moving.move import Mover, Settled
from postmask.store.schema import SchemaState
from postmask.store.session import transaction
from postmask.store.vocabulary import Phase
from truth import KEYS, Truth, made

BIG = (1 << 62) + 1
ODD = "Ünï \U0001f40d '\"\\ %s :x\n\t\u202e"
ACCOUNT, DOMAIN, MAILBOX, ALIAS, CONTACT = MAX_ID, 2, MAX_ID - 1, MAX_ID - 2, 5
ROWS: dict[str, list[dict[str, Any]]] = {
    "account": [{"id": ACCOUNT, "name": ODD, "created": 1.1, "disabled_at": None}],
    "domain": [
        {
            "id": DOMAIN,
            "name": "xn--bcher-kva.test",
            "account_id": ACCOUNT,
            "postmaster": "ops@real.test",
            "created": 1e-300,
        }
    ],
    "mailbox": [
        {
            "id": MAILBOX,
            "account_id": ACCOUNT,
            "address": "jörg@real.test",
            "written": "JÖrg@real.test",
            "login": "",
            "allow_spf": True,
            "created": 0.1 + 0.2,
            "confirmed_at": None,
            "paused_at": 1_800_000_000.123456,
            "pause_reason": ODD,
            "code_mac": bytes(range(256)),
            "code_made": 3.0,
            "code_expires": 4.0,
            "code_attempts": 2,
        }
    ],
    "mailbox_sender": [{"mailbox_id": MAILBOX, "address": f"{n}@real.test"} for n in "zaZ_é"],
    "alias": [
        {
            "id": ALIAS - n,
            "account_id": ACCOUNT,
            "address": f"shop{n}@xn--bcher-kva.test",
            "domain": "xn--bcher-kva.test",
            "state": "removed" if n else "active",
            "when_disabled": "reject",
            "name": None if n else ODD,
            "note": "" if n else None,
            "created": float(n),
            "removed_at": float(n) if n else None,
        }
        for n in range(8)
    ],
    "alias_mailbox": [
        {"alias_id": ALIAS - n, "mailbox_id": MAILBOX, "account_id": ACCOUNT} for n in range(8)
    ],
    "contact": [
        {
            "id": CONTACT,
            "alias_id": ALIAS,
            "address": "bob@example.com",
            "written": "Bob@example.com",
            "name": ODD,
            "rule": "block",
            "block_action": "discard",
            "token": "a" * 24,
            "replacement": 7,
            "created": 5.5,
        }
    ],
    "reverse_alias": [{"token": c * 24, "contact_id": CONTACT, "created": 6.0} for c in "abc"],
    "sender_rule": [
        {
            "id": 9,
            "scope": "global",
            "alias_id": None,
            "account_id": None,
            "domain_id": None,
            "pattern": "@spam.test",
            "action": "reject",
            "created": 7.0,
        }
    ],
    "spam_policy": [
        {
            "id": 10 + n,
            "alias_id": ALIAS if n == 0 else None,
            "account_id": ACCOUNT if n == 1 else None,
            "domain_id": DOMAIN if n == 2 else None,
            "mark": 0.1 + 0.2,
            "hold": math.inf if n else None,
            "discard": None,
            "refuse": 1e300,
            "hold_replies": 1.0,
            "when_unscanned": "defer",
            "dmarc_quarantine": "hold",
            "subject_prefix": "" if n else ODD[:20],
        }
        for n in range(3)
    ],
    "dkim_key": [
        {
            "domain": "xn--bcher-kva.test",
            "selector": "s1",
            "algorithm": "rsa",
            "sealed": b"\0\xff" * 500,
            "public": "v=DKIM1; p=" + "A" * 500,
            "state": "retired",
            "created": 8.0,
        }
    ],
    "replay_mark": [{"mark": "m" * 128, "reverse_token": "b" * 24, "ledger_key": "k", "at": 9.0}],
    "purged_alias": [{"id": 11 + n, "at": 0.1 + n} for n in range(3)],
    "purged_reverse_alias": [{"token": "d" * 24, "at": 9.5}],
    "event": [
        {
            "id": f"{n:032x}",
            "node": "mx.test",
            "at": float(n),
            "account_id": None,
            "alias_id": ALIAS,
            "kind": "forwarded",
            "contact": ODD,
            "mailbox_id": MAILBOX,
            "status": "2.0.0",
            "reason": None,
            "queue_id": "4X",
        }
        for n in range(11)
    ],
    "counter": [{"alias_id": ALIAS, "node": "mx.test", "kind": "forwarded", "count": BIG, "last_at": 1.0}],
    "bounce": [
        {
            "id": "b" * 32,
            "node": "mx.test",
            "at": 1.0,
            "alias_id": ALIAS,
            "contact_token": "0" * 16,
            "mailbox_id": MAILBOX,
            "kind": "forward",
            "action": None,
            "status": None,
            "reason": ODD,
        }
    ],
    "node": [
        {
            "name": "mx.test",
            "last_seen": 2.5,
            "schema": "0004",
            "version": "0.1",
            "keys": "1:ab",
            "replica_at": 2.25,
            "drained_at": 1.5,
            "drained_by": "root@mx.test",
            "waiting": 1,
            "held": 0,
            "order_at": 1.25,
            "order_by": "root@mx2.test",
            "order_drain": True,
            "done_at": 1.25,
        }
    ],
    "deletion": [{"change": BIG, "relation": "alias", "key": '{"id":1}', "at": 1.0}],
    "tombstone": [{"hash": bytes(32), "account_id": ACCOUNT, "at": 1.0}],
}

Contents = dict[str, set[tuple[Any, ...]]]


def contents(engine: Engine) -> Contents:
    """All rows of all tables."""
    with engine.connect() as connection:
        return {
            table.name: {tuple(row) for row in connection.execute(select(table))} for table in copying.TABLES
        }


@pytest.fixture
def full(truth: Truth) -> Truth:
    """A database with something odd in each column of each table."""
    with truth.engine.begin() as connection:
        for table in copying.TABLES:
            connection.execute(insert(table), ROWS[table.name])
    return truth


@pytest.fixture
def destination(postgres: Cluster) -> Iterator[Destination]:
    """An empty database, and a role that the nodes are to have."""
    url = postgres.fresh()
    user = url.split("//")[1].split(":")[0]
    yield Destination(url, url.replace(f"//{user}:", f"//{user}_node:"))
    postgres.drop(url)


class Moving:
    """A mover with its note in a folder; adopted: what the configuration was told to name."""

    def __init__(self, truth: Truth, folder: Path) -> None:
        self.adopted: list[Destination] = []
        self.journal = Journal(folder / "postmask.toml")
        self.mover = Mover(truth.url, self.journal, self.adopted.append)

    def move(self, destination: Destination, committing: Callable[[], None] = lambda: None) -> None:
        self.mover.move(destination, 1_800_000_000.0, committing)


@pytest.fixture
def moving(truth: Truth, tmp_path: Path) -> Moving:
    return Moving(truth, tmp_path)


def left_in(url: str) -> list[str]:
    """What there is in a Postgres database, of whatever kind."""
    engine = make_engine(url)
    with engine.connect() as connection:
        found = connection.execute(
            text(
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
                " UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
            )
        )
        names = [str(name) for (name,) in found]
    engine.dispose()
    return names


def phase(url: str) -> Phase:
    return schema.status(url).phase


def test_every_table_is_filled() -> None:
    assert set(ROWS) == {table.name for table in copying.TABLES} == set(Base.metadata.tables) - {"generation"}
    for table in copying.TABLES:
        given = set(ROWS[table.name][0]) | ({"change"} if table.name != "deletion" else set())
        assert given >= set(table.columns.keys()), table.name


def test_all_of_it_arrives(
    full: Truth, moving: Moving, destination: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "PIECE", 3)
    before = contents(full.engine)
    moving.move(destination)
    new = make_engine(destination.owner_url)
    assert contents(new) == before
    assert moving.adopted == [destination]
    assert moving.journal.read() is None
    found, old = schema.status(destination.owner_url), schema.status(full.url)
    assert (found.phase, found.generation, found.state) == (Phase.CURRENT, 2, SchemaState.CURRENT)
    assert (old.phase, old.elsewhere) == (Phase.MOVED, target.label(destination.owner_url))
    assert destination.owner_url.split(":")[2].split("@")[0] not in str(old.elsewhere)
    new.dispose()


def test_the_next_change_has_a_new_number_and_is_told(
    full: Truth, moving: Moving, destination: Destination
) -> None:
    moving.move(destination)
    new = make_engine(destination.owner_url)
    with transaction(new) as session:
        session.execute(text("UPDATE account SET created = 2 WHERE name <> 'default'"))
        assert session.scalar(text("SELECT change FROM account WHERE created = 2")) > BIG
        enabled = session.scalars(text("SELECT tgenabled FROM pg_trigger WHERE NOT tgisinternal"))
        assert {str(one) for one in enabled} == {"A"}
    new.dispose()


def test_the_nodes_role_works_there(furnished: Truth, tmp_path: Path, destination: Destination) -> None:
    Moving(furnished, tmp_path).move(destination)
    node = make_engine(destination.url)
    with transaction(node) as session:
        entry = Entry("e" * 32, "event", {"at": 1.0, "kind": "held"})
        intake.apply(session.connection(), "mx.test", [entry])
    with pytest.raises(StoreUnavailable), transaction(node) as session:
        session.execute(text("DELETE FROM alias"))
    node.dispose()


def test_the_old_one_takes_no_changes(furnished: Truth, tmp_path: Path, destination: Destination) -> None:
    Moving(furnished, tmp_path).move(destination)
    with pytest.raises(Moved, match=f"moved to {target.label(destination.owner_url)}"):
        furnished.do(aliases.add, KEYS, "late@alias.test", ["bob@real.test"], now=1.0)
    with transaction(furnished.engine, read_only=True) as session:
        assert session.scalar(text("SELECT count(*) FROM alias")) == 1


def test_postgres_itself_refuses_any_program(postgres: Cluster, tmp_path: Path) -> None:
    """An older one, and a person's statement."""
    url, other = postgres.fresh(), postgres.fresh()
    schema.init(url, Truth(url, make_engine(url), clock := _clock()).clock)
    Mover(url, Journal(tmp_path / "c"), lambda _: None).move(
        Destination(other, other), clock.now(), lambda: None
    )
    engine = make_engine(url)
    for table in copying.TABLES:
        with pytest.raises(Exception, match="the database was moved to"), engine.begin() as connection:
            connection.execute(text(f"DELETE FROM {table.name}"))
    engine.dispose()


def _clock() -> Any:
    from postmask.clock import ManualClock

    return ManualClock()


# --- refused


def refused(moving: Moving, destination: Destination, match: str) -> None:
    """By the check and, should anything have changed since, by the move itself; nothing is left of it."""
    with pytest.raises(StoreError, match=match):
        moving.mover.check(destination)
    with pytest.raises(StoreError, match=match):
        moving.move(destination)
    assert moving.journal.read() is None
    assert moving.adopted == []


def test_into_itself(truth: Truth, moving: Moving, destination: Destination) -> None:
    if truth.engine.dialect.name == "postgresql":
        other_name = truth.url.replace("127.0.0.1", "localhost")
        refused(moving, Destination(other_name, other_name), "the database in use")
    else:
        with pytest.raises(StoreError, match="only Postgres"):
            target.demand_postgres(truth.url)
    assert phase(truth.url) is Phase.CURRENT


def test_one_that_is_not_empty(truth: Truth, moving: Moving, destination: Destination) -> None:
    schema.init(destination.owner_url, truth.clock)
    refused(moving, destination, "isn't empty")
    assert schema.status(destination.owner_url).generation == 1


def test_tables_of_our_names(moving: Moving, destination: Destination) -> None:
    engine = make_engine(destination.owner_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE alias (mine integer)"))
    refused(moving, destination, "isn't empty")
    assert left_in(destination.owner_url) == ["alias"]
    engine.dispose()


@pytest.mark.parametrize("revision", ["0003", "9999"])
def test_another_schema(truth: Truth, moving: Moving, destination: Destination, revision: str) -> None:
    with truth.engine.begin() as connection:
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{revision}'"))
    refused(moving, destination, "schema is (behind|ahead)")


def test_one_that_was_moved_elsewhere(
    truth: Truth, moving: Moving, destination: Destination, postgres: Cluster
) -> None:
    moving.move(destination)
    moving.adopted.clear()
    third = postgres.fresh()
    refused(moving, Destination(third, third), "was moved to")
    assert moving.mover.check(destination) is False


def test_one_that_was_moved_on_is_not_taken_into_use_again(
    truth: Truth, moving: Moving, destination: Destination, postgres: Cluster, tmp_path: Path
) -> None:
    """By a node that follows late: there would be two of them."""
    moving.move(destination)
    third = postgres.fresh()
    (tmp_path / "second").mkdir()
    second = Truth(destination.owner_url, make_engine(destination.owner_url), truth.clock)
    Moving(second, tmp_path / "second").move(Destination(third, third))
    moving.mover.follow(destination)
    assert (phase(destination.owner_url), phase(third)) == (Phase.MOVED, Phase.CURRENT)
    second.engine.dispose()
    postgres.drop(third)


def test_an_unfinished_copy_of_another_one(
    moving: Moving, destination: Destination, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with made(f"sqlite:///{tmp_path}/another.db") as another, monkeypatch.context() as patched:
        patched.setattr(target, "take_into_use", interrupting)
        (tmp_path / "another").mkdir()
        with pytest.raises(KeyboardInterrupt):
            Moving(another, tmp_path / "another").move(destination)
    refused(moving, destination, "isn't empty")
    assert phase(destination.owner_url) is Phase.ARRIVING


def test_a_row_that_does_not_fit(postgres: Cluster, tmp_path: Path, destination: Destination) -> None:
    """SQLite takes what Postgres doesn't: a NUL, a text too long."""
    url = f"sqlite:///{tmp_path}/odd.db"
    schema.init(url, _clock())
    engine = make_engine(url)
    moving = Moving(Truth(url, engine, _clock()), tmp_path)
    for column, value in (("contact", "a\0b"), ("queue_id", "x" * 65)):
        with engine.begin() as connection:
            connection.execute(text("DELETE FROM event"))
            connection.execute(
                text(f"INSERT INTO event (id, node, at, kind, {column}) VALUES ('e', '', 1, 'held', :value)"),
                {"value": value},
            )
        with pytest.raises(StoreError, match="a row of event doesn't fit"):
            moving.move(destination)
        assert left_in(destination.owner_url) == []
        assert phase(url) is Phase.CURRENT
    engine.dispose()


def test_what_is_read_back_differs(
    full: Truth, moving: Moving, destination: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = copying.verify

    def tampering(connection: Connection, sums: Any) -> None:
        connection.execute(text("UPDATE tombstone SET at = 2"))
        real(connection, sums)

    monkeypatch.setattr(copying, "verify", tampering)
    with pytest.raises(StoreError, match="tombstone isn't in the new database as it is in the old one"):
        moving.move(destination)
    assert left_in(destination.owner_url) == []
    assert phase(full.url) is Phase.CURRENT


# --- interrupted


def interrupting(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("where", ["in the copy", "at the last moment"])
def test_interrupted(
    furnished: Truth,
    tmp_path: Path,
    destination: Destination,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    moving = Moving(furnished, tmp_path)
    with monkeypatch.context() as patched:
        if where == "in the copy":
            patched.setattr(copying, "verify", interrupting)
        with pytest.raises(KeyboardInterrupt):
            moving.move(destination, interrupting)
    assert left_in(destination.owner_url) == []
    assert moving.journal.read() is None
    assert moving.adopted == []
    furnished.do(aliases.add, KEYS, "late@alias.test", ["bob@real.test"], now=1.0)
    moving.move(destination)
    assert phase(destination.owner_url) is Phase.CURRENT


def test_the_last_word_got_through_but_nobody_heard(
    furnished: Truth, tmp_path: Path, destination: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection breaks in the commit that marks the old database."""
    moving = Moving(furnished, tmp_path)
    real = Connection.commit

    def committing(connection: Connection) -> None:
        real(connection)
        raise OSError("cut")

    monkeypatch.setattr(Connection, "commit", committing)
    moving.move(destination)
    assert moving.adopted == [destination]
    assert phase(destination.owner_url) is Phase.CURRENT


def test_taking_up_failed(
    furnished: Truth, tmp_path: Path, destination: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    moving = Moving(furnished, tmp_path)

    def failing(_url: str) -> None:
        raise StoreUnavailable("gone")

    with monkeypatch.context() as patched:
        patched.setattr(target, "take_into_use", failing)
        with pytest.raises(StoreUnavailable):
            moving.move(destination)
    assert (phase(furnished.url), phase(destination.owner_url)) == (Phase.MOVED, Phase.ARRIVING)
    with pytest.raises(Moved, match="unfinished copy"), transaction(make_engine(destination.owner_url)):
        pass
    assert moving.mover.settle() is Settled.FINISHED
    assert moving.adopted == [destination]
    assert phase(destination.owner_url) is Phase.CURRENT
    assert moving.mover.settle() is Settled.NOTHING


# --- standing still


def test_writers_wait_and_readers_do_not(furnished: Truth) -> None:
    impatient = furnished.engine.execution_options(**{WAIT: 0.3})
    done = threading.Event()

    def change() -> None:
        furnished.do(aliases.add, KEYS, "late@alias.test", ["bob@real.test"], now=1.0)
        done.set()

    with frozen(furnished.engine):
        assert schema.status(furnished.url).frozen
        begun = time.monotonic()
        with pytest.raises(BeingMoved), transaction(impatient):
            raise AssertionError("begun")
        assert time.monotonic() - begun < 10.0, "by far less than for a lock"
        with transaction(furnished.engine, read_only=True) as session:
            assert session.scalar(text("SELECT count(*) FROM alias")) == 1
        with pytest.raises(BeingMoved), frozen(furnished.engine):
            raise AssertionError("twice")
        waiting = threading.Thread(target=change)
        waiting.start()
        assert not done.wait(0.5)
    waiting.join(20)
    assert done.is_set()
    assert not schema.status(furnished.url).frozen


def test_a_change_under_way_comes_to_its_end_first(furnished: Truth) -> None:
    held, release = threading.Event(), threading.Event()

    def change() -> None:
        with furnished.session() as session:
            aliases.add(session, KEYS, "late@alias.test", ["bob@real.test"], now=1.0)
            held.set()
            release.wait(20)

    under_way = threading.Thread(target=change)
    under_way.start()
    assert held.wait(20)
    threading.Timer(0.7, release.set).start()
    with frozen(furnished.engine) as connection:
        assert release.is_set()
        assert connection.scalar(text("SELECT count(*) FROM alias")) == 2
    under_way.join(20)


@pytest.mark.parametrize("done", [False, True])
def test_who_began_before_it_stood_still_is_told_why_he_waited(postgres: Cluster, done: bool) -> None:
    """Postgres, where one may begin and be overtaken; the exit status of the command line says it too."""
    with made(postgres.fresh()) as truth, contextlib.ExitStack() as afterwards:

        def overtaken(session: Session) -> None:
            mover = afterwards.enter_context(frozen(truth.engine))
            if done:
                mover.execute(update(Generation).values(phase=Phase.MOVED, elsewhere="another"))
                mover.commit()
            session.execute(text("SET LOCAL lock_timeout = '100ms'"))
            session.execute(text("UPDATE account SET created = 2"))

        with pytest.raises(Moved if done else BeingMoved):
            truth.do(overtaken)


def test_a_database_before_moves_is_in_use(postgres: Cluster) -> None:
    engine = make_engine(postgres.fresh())
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE generation (number integer)"))
        connection.execute(text("INSERT INTO generation VALUES (1)"))
        assert whereabouts.of(connection) == whereabouts.Whereabouts()
    engine.dispose()


def test_what_is_secret_stays_out_of_the_words() -> None:
    for url, words in (
        ("sqlite:////var/lib/p.db", "the file /var/lib/p.db"),
        ("postgresql://u:secret@db.test/p", "p on db.test"),
        ("postgresql://u:secret@db.test:5433/p", "p on db.test port 5433"),
        ("postgresql://u:secret@/p?host=/run/pg", "p on /run/pg"),
        ("postgresql://u:secret@/p?host=a,b&port=1,2", "p on a,b port 1,2"),
    ):
        assert target.label(url) == words
    with pytest.raises(Refused):
        raise Refused
