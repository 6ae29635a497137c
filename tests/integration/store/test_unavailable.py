"""Whatever keeps the truth from answering: Unavailable within the limit, never an exception, never Absent."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

import postgres as postgres_server
from postgres import Cluster
from postmask.clock import ManualClock
from postmask.directory.lookup import ABSENT, Found, Lookup, Unavailable
from postmask.directory.records import Domain
from postmask.spool import Entry
from postmask.store import intake, schema
from postmask.store.directory import SqlDirectory
from postmask.store.engine import LOOKUP_SECONDS, TIME_LIMIT, Use, make_engine, parse_url
from postmask.store.errors import StoreUnavailable
from postmask.store.session import transaction
from postmask.store.waiting import time_limit
from truth import Truth, made

SLACK = 2.0
"""For a busy machine: the limit itself is a second."""

DOMAIN = Domain(1, "alias.test", 1, "ops@real.test")


def every_look_up(directory: SqlDirectory) -> list[Callable[[], Lookup[object]]]:
    return [
        lambda: directory.domain("alias.test"),
        lambda: directory.alias("shop@alias.test"),
        lambda: directory.alias("unknown@alias.test"),
        lambda: directory.alias_by_id(5),
        lambda: directory.reverse_alias("a" * 24),
        lambda: directory.contact(5, "c@x.test"),
        lambda: directory.sender_rule("c@x.test", None, DOMAIN),
        lambda: directory.account_addresses(5),
        lambda: directory.dkim_keys("alias.test"),
        lambda: directory.replay_mark("m", "a" * 24),
    ]


def all_unavailable(directory: SqlDirectory, seconds: float = LOOKUP_SECONDS + SLACK) -> str:
    """Every method, each within the limit; the first one's reason."""
    reasons = []
    for look_up in every_look_up(directory):
        start = time.monotonic()
        answer = look_up()
        assert time.monotonic() - start < seconds
        assert isinstance(answer, Unavailable), answer
        reasons.append(answer.reason)
    return reasons[0]


def fresh(truth: Truth) -> SqlDirectory:
    """A directory that has no connection yet."""
    return SqlDirectory(make_engine(truth.url, Use.DIRECTORY))


def answers(directory: SqlDirectory) -> bool:
    """Whether it can be asked (again): retried over the rest after a failure."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        if isinstance(directory.alias("shop@alias.test"), Found):
            return directory.alias("unknown@alias.test") == ABSENT
        time.sleep(0.05)
    return False


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    """A server of this module's own: others must not see it stop."""
    with postgres_server.running() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def remote(server: Cluster) -> Iterator[Truth]:
    with made(server.fresh()) as truth:
        truth.furnish()
        yield truth


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Truth]:
    with made(f"sqlite:///{tmp_path}/truth.db") as truth:
        truth.furnish()
        yield truth


def test_stopped_and_back(server: Cluster, remote: Truth) -> None:
    directory = remote.directory(seconds=LOOKUP_SECONDS)
    assert answers(directory)
    with server.stopped():
        all_unavailable(directory)
        all_unavailable(fresh(remote))
    assert answers(directory)


def test_frozen_and_back(server: Cluster, remote: Truth) -> None:
    directory = remote.directory(seconds=LOOKUP_SECONDS)
    assert answers(directory)
    with server.frozen():
        assert "in time" in all_unavailable(directory)
        assert "in time" in all_unavailable(fresh(remote))
    assert answers(directory)


def test_frozen_with_more_callers_than_connections(server: Cluster, remote: Truth) -> None:
    directory = remote.directory(seconds=LOOKUP_SECONDS)
    assert answers(directory)
    took: list[float] = []
    wrong: list[object] = []

    def ask() -> None:
        start = time.monotonic()
        answer = directory.alias("shop@alias.test")
        took.append(time.monotonic() - start)
        if not isinstance(answer, Unavailable):
            wrong.append(answer)

    threads = [threading.Thread(target=ask) for _ in range(40)]
    with server.frozen():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert len(took) == 40
    assert max(took) < LOOKUP_SECONDS + SLACK


def test_after_a_failure_the_next_ones_do_not_wait(server: Cluster, remote: Truth) -> None:
    clock = ManualClock()
    directory = SqlDirectory(make_engine(remote.url, Use.DIRECTORY), clock)
    assert isinstance(directory.alias("shop@alias.test"), Found)
    with server.frozen():
        assert isinstance(directory.alias("shop@alias.test"), Unavailable)
        start = time.monotonic()
        for _ in range(100):
            assert isinstance(directory.alias("shop@alias.test"), Unavailable)
        assert time.monotonic() - start < SLACK
    assert isinstance(directory.alias("shop@alias.test"), Unavailable)
    clock.advance(1.0)
    assert answers(directory)


def test_a_restart_between_two_look_ups_goes_unnoticed(server: Cluster, remote: Truth) -> None:
    directory = remote.directory(seconds=LOOKUP_SECONDS)
    assert answers(directory)
    with server.stopped():
        pass
    assert isinstance(directory.alias("shop@alias.test"), Found)


def test_wrong_password_database_port_and_host(server: Cluster, remote: Truth) -> None:
    url = parse_url(remote.url)
    for wrong in (
        url.set(password="hunter2"),
        url.set(database="nowhere"),
        url.set(username="nobody"),
        url.set(port=1),
        url.set(host="127.0.0.2", port=9),
    ):
        reason = all_unavailable(remote.directory(wrong.render_as_string(hide_password=False)))
        assert "hunter2" not in reason
        assert "\n" not in reason


def test_a_table_locked_for_long(remote: Truth) -> None:
    directory = remote.directory(seconds=LOOKUP_SECONDS)
    with remote.engine.begin() as connection:
        connection.execute(text("LOCK TABLE alias IN ACCESS EXCLUSIVE MODE"))
        start = time.monotonic()
        assert isinstance(directory.alias("shop@alias.test"), Unavailable)
        assert time.monotonic() - start < LOOKUP_SECONDS + SLACK
    assert answers(directory)


def test_no_schema(server: Cluster, tmp_path: Path) -> None:
    all_unavailable(SqlDirectory(make_engine(server.fresh(), Use.DIRECTORY)))
    (tmp_path / "empty.db").touch()
    all_unavailable(SqlDirectory(make_engine(f"sqlite:///{tmp_path}/empty.db", Use.DIRECTORY)))


def test_a_read_only_server_still_answers_and_takes_no_outbox(remote: Truth) -> None:
    """As a standby is, or a server whose disk has filled."""
    name = parse_url(remote.url).database
    with remote.engine.begin() as connection:
        connection.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'))
    try:
        assert answers(remote.directory())
        assert schema.status(remote.url).read_only
        engine = make_engine(remote.url, Use.INTAKE)
        entry = Entry.new("replay", mark="m", reverse_token="t", ledger_key="k", at=1.0)
        with pytest.raises(StoreUnavailable, match="read-only"), transaction(engine) as session:
            intake.apply(session.connection(), "mx1", [entry])
    finally:
        with remote.engine.connect() as connection:
            connection.execute(text("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE"))
            connection.commit()
            connection.execute(text(f'ALTER DATABASE "{name}" RESET default_transaction_read_only'))
            connection.commit()
    assert not schema.status(remote.url).read_only


def test_operations_on_a_stopped_server_say_so(server: Cluster, remote: Truth) -> None:
    with server.stopped():
        for attempt in (lambda: schema.status(remote.url), lambda: remote.do(lambda session: None)):
            with pytest.raises(StoreUnavailable, match="can't be used"):
                attempt()


def test_operations_on_a_frozen_server_end(server: Cluster, remote: Truth) -> None:
    with server.frozen(), time_limit(0.5), pytest.raises(StoreUnavailable, match="in time"):
        remote.do(lambda session: None)


def test_the_agent_gives_up_on_a_server_that_freezes_in_the_middle(server: Cluster, remote: Truth) -> None:
    agent = make_engine(remote.url, Use.INTAKE).execution_options(**{TIME_LIMIT: 2.0})

    def overtaken() -> None:
        with transaction(agent) as session, server.frozen():
            session.execute(text("SELECT 1"))

    with pytest.raises(StoreUnavailable, match="in time"):
        overtaken()


def test_sqlite_file_missing_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    reason = all_unavailable(SqlDirectory(make_engine(f"sqlite:///{path}", Use.DIRECTORY)))
    assert "unable to open" in reason
    assert not path.exists()


def test_sqlite_damaged(local: Truth, tmp_path: Path) -> None:
    local.engine.dispose()
    path = tmp_path / "damaged.db"
    path.write_bytes(b"SQLite format 3\0" + os.urandom(8192))
    all_unavailable(SqlDirectory(make_engine(f"sqlite:///{path}", Use.DIRECTORY)))


def test_sqlite_is_read_while_it_is_written(local: Truth) -> None:
    directory = local.directory()
    with local.engine.begin() as connection:
        connection.execute(text("UPDATE alias SET note = 'x'"))
        assert answers(directory)


def test_sqlite_locked_exclusively(local: Truth) -> None:
    """Somebody with another tool in hand."""
    with local.engine.connect() as holder:
        holder.exec_driver_sql("PRAGMA locking_mode = EXCLUSIVE")
        holder.exec_driver_sql("UPDATE alias SET note = 'y'")
        start = time.monotonic()
        answer = local.directory().alias("shop@alias.test")
        assert time.monotonic() - start < LOOKUP_SECONDS + SLACK
        assert isinstance(answer, Unavailable | Found)


def test_sqlite_read_only_file_for_the_outbox(local: Truth, tmp_path: Path) -> None:
    path = tmp_path / "truth.db"
    local.engine.dispose()
    engine = make_engine(f"sqlite:///{path}", Use.DIRECTORY)
    with engine.connect() as connection, pytest.raises(Exception, match="readonly"):
        connection.execute(text("UPDATE alias SET note = 'z'"))
    engine.dispose()


def test_something_that_nobody_foresaw(local: Truth, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = local.directory()
    monkeypatch.setattr("postmask.store.reading.alias", lambda rows: 1 / 0)
    answer = directory.alias("shop@alias.test")
    assert isinstance(answer, Unavailable)
    assert "ZeroDivisionError" in answer.reason
