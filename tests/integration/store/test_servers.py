"""Real servers behind one URL: on another port, by TLS, and a failover in the middle of a transaction."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, text

import postgres as postgres_server
from certificates import Authority
from outbox import ENTRIES, carried, fill, known
from postgres import Cluster
from postmask.agent.outbox import OutboxCarrier
from postmask.clock import SystemClock
from postmask.directory.lookup import Found, Unavailable
from postmask.spool import Spool
from postmask.store import schema
from postmask.store.admin import aliases
from postmask.store.directory import SqlDirectory
from postmask.store.engine import Use, make_engine, parse_url
from postmask.store.errors import StoreUnavailable
from postmask.store.replica.feed import Feed
from postmask.store.session import transaction
from replica_node import node_url, wait_for
from truth import KEYS, Truth, made


@pytest.fixture
def primary() -> Iterator[Cluster]:
    """A server of the test's own."""
    with postgres_server.running() as cluster:
        yield cluster


@pytest.fixture
def standby(primary: Cluster) -> Iterator[Cluster]:
    """Follows the primary, on a port of its own, and answers."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        made = primary.following_standby(Path(folder) / "standby")
        made.start()
        try:
            yield made
        finally:
            made.stop()


@pytest.fixture
def truth(primary: Cluster) -> Iterator[Truth]:
    with made(primary.fresh()) as truth:
        truth.furnish()
        yield truth


def behind_both(url: str, *clusters: Cluster) -> str:
    """The same database by all of these servers."""
    hosts = ",".join(f"127.0.0.1:{cluster.port}" for cluster in clusters)
    return re.sub("@[^/]*/", f"@{hosts}/", url)


def add(engine: Engine, address: str) -> None:
    with transaction(engine) as session:
        aliases.add(session, KEYS, address, ["bob@real.test"], now=1.0)


def test_the_same_server_on_another_port(primary: Cluster, truth: Truth) -> None:
    """The URL names both ports; whoever is connected goes on, without a restart."""
    elsewhere = primary.elsewhere()
    both = behind_both(truth.url, primary, elsewhere)
    owner = make_engine(both)
    directory = SqlDirectory(make_engine(behind_both(node_url(truth), primary, elsewhere), Use.DIRECTORY))
    add(owner, "before@alias.test")
    assert isinstance(directory.alias("before@alias.test"), Found)
    primary.stop()
    elsewhere.start()
    try:
        add(owner, "after@alias.test")
        wait_for(lambda: isinstance(directory.alias("after@alias.test"), Found), "the server's return")
    finally:
        elsewhere.stop()
        primary.start()
    add(owner, "again@alias.test")
    wait_for(lambda: isinstance(directory.alias("again@alias.test"), Found), "the server's return")


def test_the_standby_in_front_is_passed_over(primary: Cluster, standby: Cluster, truth: Truth) -> None:
    """Whichever use: the read-only ones too, whose sessions libpq would never call read-write."""
    url = behind_both(node_url(truth), standby, primary)
    add(make_engine(behind_both(truth.url, standby, primary)), "new@alias.test")
    for attributes in ("", "?target_session_attrs=read-write"):
        directory = SqlDirectory(make_engine(url + attributes, Use.DIRECTORY))
        assert isinstance(directory.alias("new@alias.test"), Found)
    for use in Use:
        with make_engine(url, use).connect() as connection:
            assert connection.scalar(text("SELECT pg_is_in_recovery()")) is False
    with Feed(make_engine(url, Use.FEED)) as feed:
        assert feed.standing().number > 0


def test_what_a_lagging_standby_lacks_may_be_there(primary: Cluster, standby: Cluster, truth: Truth) -> None:
    """It alone is named, by mistake, or by a name that leads to it for a while: 451, not 550."""
    directory = SqlDirectory(make_engine(truth.url.replace(str(primary.port), str(standby.port))))
    add(truth.engine, "known@alias.test")
    wait_for(lambda: isinstance(directory.alias("known@alias.test"), Found), "the standby to follow")
    standby.command("SELECT pg_wal_replay_pause()")
    wait_for(lambda: standby.ask("SELECT pg_get_wal_replay_pause_state()") == "paused", "the standby to lag")
    add(truth.engine, "new@alias.test")
    answer = directory.alias("new@alias.test")
    assert isinstance(answer, Unavailable)
    assert "is a standby" in answer.reason


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "spool.db", SystemClock())
    yield spool
    spool.close()


@pytest.mark.parametrize("moment", ["before the commit", "after the commit"])
def test_a_failover_in_the_middle_of_a_transaction(
    primary: Cluster, standby: Cluster, truth: Truth, spool: Spool, moment: str
) -> None:
    """The primary dies with the outbox applied and not committed; or committed, copied, and not confirmed."""
    fill(truth, spool)
    both = behind_both(truth.url, primary, standby)
    engine = make_engine(behind_both(node_url(truth), primary, standby), Use.INTAKE)
    wait_for(lambda: standby.has_all_of(primary), "the standby to have all of it")
    died = []

    @event.listens_for(engine, "commit")
    def die(connection: object) -> None:
        if died:
            return
        died.append(moment)
        if moment == "after the commit":
            raw = connection.connection.driver_connection  # type: ignore[attr-defined]
            raw.commit()
            # So that there is something to commit when it has died.
            raw.cursor().execute("SELECT 1")
            wait_for(lambda: standby.has_all_of(primary), "the standby to have all of it")
        primary.stop()

    carrier = OutboxCarrier(spool, engine, "mx1")
    with pytest.raises(StoreUnavailable):
        carrier.carry()
    try:
        assert spool.outbox_state() == (2 * ENTRIES, 0)
        assert not carried(carrier, spool), "a standby takes nothing"
        standby.promote()
        wait_for(lambda: carried(carrier, spool), "the new primary to take it")
        assert known(both) == (ENTRIES, ENTRIES, ENTRIES)
    finally:
        primary.start()


@pytest.fixture
def authorities(primary: Cluster, tmp_path: Path) -> list[Path]:
    """The server speaks TLS; its authority's certificate, and those of two others, one with the same name."""
    (tmp_path / "other").mkdir()
    authority = Authority(tmp_path, "authority")
    others = [Authority(tmp_path / "other", name) for name in ("authority", "stranger")]
    for path in authority.issue("127.0.0.1"):
        kept = shutil.copy(path, primary.data)
        shutil.chown(kept, primary.data.owner(), primary.data.group())
        os.chmod(kept, 0o600)
    with (primary.data / "postgresql.conf").open("a") as settings:
        settings.write("ssl = on\nlisten_addresses = '127.0.0.1,127.0.0.2'\n")
    primary.stop()
    primary.start()
    return [one.certificate for one in (authority, *others)]


def test_tls(truth: Truth, authorities: list[Path]) -> None:
    right, *wrong = authorities
    checked = f"{truth.url}?sslmode=verify-full&sslrootcert={right}"
    for use in Use:
        with make_engine(checked, use).connect() as connection:
            seen = connection.execute(text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))
            assert seen.scalar_one() is True
    assert schema.status(checked).state is schema.SchemaState.CURRENT
    assert isinstance(SqlDirectory(make_engine(checked, Use.DIRECTORY)).alias("shop@alias.test"), Found)
    authority, name = "does sslrootcert in its URL name its authority", "the server's certificate names"
    for url, says, hint in (
        *((checked.replace(str(right), str(other)), "SSL error: ", authority) for other in wrong),
        (f"{checked}.none", "does not exist", authority),
        (checked.replace("127.0.0.1", "127.0.0.2"), "does not match host name", name),
    ):
        with pytest.raises(StoreUnavailable, match=says) as caught:
            schema.status(url)
        assert hint in str(caught.value)
        assert str(parse_url(url).password) not in str(caught.value)
        answer = SqlDirectory(make_engine(url, Use.DIRECTORY)).alias("shop@alias.test")
        assert isinstance(answer, Unavailable)
        assert says in answer.reason
