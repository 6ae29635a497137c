"""Dumps of a truth on Postgres, and bringing one back while programs are connected."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import StaticPool

import postgres as server
from network import network
from postgres import Cluster
from postmask.agent.contacts import Reminder
from postmask.agent.outbox import OutboxCarrier
from postmask.clock import ManualClock
from postmask.directory.lookup import ABSENT, Found, Unavailable
from postmask.spool import LocalContact, Spool
from postmask.store import dump as dumps
from postmask.store import roles, schema
from postmask.store.admin import aliases
from postmask.store.dump import backup, restore
from postmask.store.engine import Use, make_engine
from postmask.store.errors import NoFile, Refused, StoreError, StoreUnavailable
from postmask.store.fitness import OURS
from postmask.store.models import Base
from postmask.tokens import reverse_token
from replica_node import wait_for
from truth import KEYS, Truth, made, opened


@pytest.fixture
def truth(postgres: Cluster) -> Iterator[Truth]:
    url = postgres.fresh()
    with made(url) as truth:
        truth.furnish()
        yield truth
    postgres.drop(url)


@pytest.fixture
def empty(postgres: Cluster) -> Iterator[str]:
    url = postgres.fresh()
    yield url
    postgres.drop(url)


def node_of(url: str, name: str) -> tuple[tuple[str, str], str]:
    """The nodes' role with its password, and the URL with both."""
    node = (f"{name}_node", "of the nodes")
    return node, f"postgresql://{node[0]}:of%20the%20nodes@{url.rpartition('@')[2]}"


def test_there_and_back_under_the_nodes_eyes(truth: Truth, tmp_path: Path) -> None:
    node, url = node_of(truth.url, truth.url.rpartition("/")[2])
    roles.grant_node_role(truth.engine, *node)
    directory = truth.directory(url)
    backup(truth.url, tmp_path / "dump")
    assert (tmp_path / "dump").stat().st_mode & 0o077 == 0
    truth.do(aliases.add, KEYS, "later@alias.test", ["bob@real.test"], now=1.0)
    assert isinstance(directory.alias("later@alias.test"), Found)
    assert restore(truth.url, tmp_path / "dump", node) == 2
    assert directory.alias("later@alias.test") == ABSENT
    assert isinstance(directory.alias("shop@alias.test"), Found)
    assert restore(truth.url, tmp_path / "dump", node) == 3
    assert schema.status(truth.url).generation == 3
    assert [path.name for path in tmp_path.iterdir()] == ["dump"]


def test_into_an_empty_database(truth: Truth, empty: str, tmp_path: Path) -> None:
    """Of another owner, on another server perhaps: its changes are numbered on, and guarded."""
    backup(truth.url, tmp_path / "dump")
    node, url = node_of(empty, empty.rpartition("/")[2])
    assert restore(empty, tmp_path / "dump", node) == 2
    with made(empty) as restored:  # nothing is made: it is current
        assert isinstance(restored.directory(url).alias("shop@alias.test"), Found)
        newest = "SELECT max(change) FROM alias"
        with restored.session() as session:
            before = session.scalar(text(newest))
        restored.do(aliases.add, KEYS, "later@alias.test", ["bob@real.test"], now=1.0)
        with restored.session() as session:
            assert session.scalar(text(newest)) > before


def test_what_a_node_has_met_since_comes_back(truth: Truth, empty: str, tmp_path: Path) -> None:
    """Into a new database, which is given the number of the one that is lost."""
    backup(truth.url, tmp_path / "dump")
    lost = node_of(truth.url, truth.url.rpartition("/")[2])
    new = node_of(empty, empty.rpartition("/")[2])
    assert restore(truth.url, tmp_path / "dump", lost[0]) == 2
    alias = truth.directory().alias("shop@alias.test")
    assert isinstance(alias, Found)
    token = reverse_token(KEYS, alias.value.id, "bob@firm.test")
    with contextlib.closing(Spool(tmp_path / "spool.db", truth.clock)) as spool:
        spool.begin([], [LocalContact(token, alias.value.id, "bob@firm.test", None, "bob@firm.test")])
        remind(spool, lost[1])
        assert isinstance(truth.directory().reverse_alias(token), Found)
        assert restore(empty, tmp_path / "dump", new[0]) == 2
        with opened(empty) as restored:
            assert restored.directory(new[1]).reverse_alias(token) == ABSENT
            remind(spool, new[1])
            assert isinstance(restored.directory(new[1]).reverse_alias(token), Found)
            assert spool.outbox_state() == (0, 0)


def test_while_somebody_has_a_table_in_hand(truth: Truth, tmp_path: Path) -> None:
    """Whoever asks meanwhile would wait behind pg_restore, which waits without an end."""
    backup(truth.url, tmp_path / "dump")
    with contextlib.closing(truth.engine.raw_connection()) as holding:
        cursor = holding.cursor()
        cursor.execute("SET idle_in_transaction_session_timeout = '30s'")
        cursor.execute("SELECT count(*) FROM alias")
        with pytest.raises(StoreUnavailable, match="nothing was changed, try again"):
            restore(truth.url, tmp_path / "dump", None)
        cursor.execute("SELECT number FROM generation")
        assert cursor.fetchone() == (1,)


def test_a_server_that_is_gone_without_a_word(tmp_path: Path) -> None:
    """pg_dump by itself would wait for hours; it is held up here by a lock when the cable is pulled."""
    with network("db", "mx1") as wire, wire.hosting("db", server.running()) as cluster:
        with wire.inside("db"):
            cluster.open_to_the_wire()
            url = cluster.fresh().replace("127.0.0.1", wire.address("db"))
            schema.init(url, ManualClock())
        said: list[str] = []

        def copied() -> None:
            with wire.inside("mx1"):
                try:
                    backup(url, tmp_path / "dump")
                except StoreUnavailable as error:
                    said.append(str(error))

        with wire.inside("db"), contextlib.closing(psycopg2.connect(url)) as holder:
            holder.cursor().execute("LOCK TABLE alias IN ACCESS EXCLUSIVE MODE")
            copying = threading.Thread(target=copied, daemon=True)
            copying.start()
            waiting = "FROM pg_stat_activity WHERE application_name = 'pg_dump' AND wait_event_type = 'Lock'"
            wait_for(lambda: cluster.ask(f"SELECT count(*) {waiting}") == 1, "pg_dump to wait")
            with wire.unplugged("mx1"):
                copying.join(50.0)
                assert not copying.is_alive()
        assert "could not receive data from server" in said[0]


def test_through_a_pooler_that_shares_its_connections(
    truth: Truth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As PgBouncer does by pool_mode = transaction; played: both of ours are served by one process."""
    backup(truth.url, tmp_path / "dump")

    @contextlib.contextmanager
    def shared(_url: str) -> Iterator[Engine]:
        engine = create_engine(truth.engine.url, creator=truth.engine.pool._creator, poolclass=StaticPool)
        yield engine
        engine.dispose()

    monkeypatch.setattr(dumps, "opened_engine", shared)
    with pytest.raises(Refused, match=r"pool_mode = transaction.* name Postgres itself"):
        restore(truth.url, tmp_path / "dump", None)
    assert schema.status(truth.url).generation == 1


def remind(spool: Spool, url: str) -> None:
    """What the agent of a node does in a minute, in the nodes' role."""
    engine = make_engine(url, Use.INTAKE)
    Reminder(spool, engine, ManualClock()).look()
    OutboxCarrier(spool, engine, "mx1").carry()
    engine.dispose()


def test_until_the_nodes_are_admitted_nothing_is_absent(
    truth: Truth, empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, url = node_of(truth.url, truth.url.rpartition("/")[2])
    roles.grant_node_role(truth.engine, *node)
    backup(truth.url, tmp_path / "dump")

    def stopped(_url: str) -> None:
        raise StoreUnavailable("cut off")

    monkeypatch.setattr(schema, "upgrade", stopped)
    with pytest.raises(StoreUnavailable, match="cut off"):
        restore(truth.url, tmp_path / "dump", node)
    assert isinstance(truth.directory(url).alias("never@alias.test"), Unavailable)


def dump(url: str, path: Path) -> None:
    """Of any database."""
    subprocess.run(["pg_dump", "--format=custom", f"--file={path}", url], check=True)


def test_what_has_no_schema_that_this_program_knows_is_not_dumped(
    truth: Truth, empty: str, tmp_path: Path
) -> None:
    with truth.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for url, state in ((empty, "missing"), (truth.url, "newer")):
        with pytest.raises(StoreError, match=state):
            backup(url, tmp_path / "dump")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_dump_of_ours(truth: Truth, empty: str, tmp_path: Path) -> None:
    before = schema.status(truth.url)
    (tmp_path / "text").write_text("hello " * 1000)
    (tmp_path / "none").touch()
    dump(empty, tmp_path / "other")
    backup(truth.url, tmp_path / "whole")
    (tmp_path / "torn").write_bytes((tmp_path / "whole").read_bytes()[:-2000])
    with truth.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    dump(truth.url, tmp_path / "newer")
    with truth.engine.begin() as connection:
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{before.revision}'"))
    for name in ("text", "none", "other", "torn", "newer"):
        with pytest.raises(StoreError):
            restore(truth.url, tmp_path / name, None)
    with pytest.raises(NoFile):
        restore(truth.url, tmp_path / "nowhere", None)
    after = schema.status(truth.url)
    assert (after.generation, after.revision) == (before.generation, before.revision)
    assert isinstance(truth.directory().alias("shop@alias.test"), Found)


def test_tables_have_come_since(truth: Truth, tmp_path: Path) -> None:
    """They refer to what the dump would replace."""
    newer = Base.metadata.tables["spam_policy"]
    with truth.engine.begin() as connection:
        newer.drop(connection)
        connection.execute(text("UPDATE alembic_version SET version_num = '0004'"))
    backup(truth.url, tmp_path / "dump")
    with truth.engine.begin() as connection:
        newer.create(connection)
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{OURS}'"))
    with pytest.raises(StoreUnavailable, match=r"nothing is changed.*schema 0004.*empty database"):
        restore(truth.url, tmp_path / "dump", None)
    assert isinstance(truth.directory().alias("shop@alias.test"), Found)


def test_nothing_is_overwritten_and_nothing_left(truth: Truth, tmp_path: Path) -> None:
    (tmp_path / "dump").write_text("precious")
    with pytest.raises(StoreError, match="exists"):
        backup(truth.url, tmp_path / "dump")
    with pytest.raises(StoreUnavailable, match="can't be used"):
        backup("postgresql://nobody:x@127.0.0.1:1/none", tmp_path / "other")
    assert [path.name for path in tmp_path.iterdir()] == ["dump"]


def test_no_secret_in_the_command_line(truth: Truth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[list[str]] = []
    run = subprocess.run

    def noted(command: list[str], **options: object) -> object:
        called.append(command)
        return run(command, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", noted)
    backup(truth.url, tmp_path / "dump")
    restore(truth.url, tmp_path / "dump", None)
    secret = truth.url.split(":")[2].partition("@")[0]
    assert len(called) == 3
    assert not [word for command in called for word in command if secret in word]


def test_without_postgres_programs(truth: Truth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "PATH", str(tmp_path))
    with pytest.raises(StoreUnavailable, match="postgresql-client"):
        backup(truth.url, tmp_path / "dump")
