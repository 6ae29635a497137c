"""Nobody waits for ever: not for a lock, a long statement, or a host that says nothing."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from outbox import ENTRIES, carried, fill, known
from postgres import Cluster
from postmask.agent.outbox import OutboxCarrier
from postmask.clock import SystemClock
from postmask.directory.lookup import Found
from postmask.spool import Spool
from postmask.store.admin import contacts
from postmask.store.admin.views import ContactView
from postmask.store.directory import SqlDirectory
from postmask.store.engine import Use, make_engine
from postmask.store.errors import StoreUnavailable
from postmask.store.models import Contact
from postmask.store.session import transaction
from replica_node import node_url, wait_for
from truth import KEYS, Truth, made

SLACK = 2.0


@pytest.fixture
def truth(postgres: Cluster) -> Iterator[Truth]:
    """On Postgres: SQLite has no server to wait for."""
    with made(postgres.fresh()) as truth:
        truth.furnish()
        yield truth


def test_a_host_that_says_nothing_holds_up_nobody(truth: Truth) -> None:
    """As one that is switched off, or hangs: a look-up gets through to the other within its second."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        whole = truth.url.replace("@127.0.0.1:", f"@127.0.0.1:{port},127.0.0.1:")
        directory = SqlDirectory(make_engine(whole, Use.DIRECTORY))
        wait_for(lambda: isinstance(directory.alias("shop@alias.test"), Found), "an answer")
        begun = time.monotonic()
        for _ in range(50):
            assert isinstance(directory.alias("shop@alias.test"), Found)
        assert time.monotonic() - begun < SLACK
        with transaction(make_engine(whole)) as session:
            assert session.scalar(select(func.count()).select_from(Contact)) == 0


def test_a_lock_that_somebody_holds_ends_in_a_clear_message(truth: Truth, tmp_path: Path) -> None:
    """The agent doesn't wait for it for ever; afterwards all goes on."""
    spool = Spool(tmp_path / "spool.db", SystemClock())
    fill(truth, spool)
    carrier = OutboxCarrier(spool, make_engine(node_url(truth), Use.INTAKE), "mx1")
    with make_engine(truth.url).connect() as holder:
        holder.execute(text("UPDATE alias SET note = 'in the middle'"))
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable, match="somebody else is changing the database"):
            carrier.carry()
        assert time.monotonic() - begun < 5.0 + SLACK
        assert spool.outbox_state() == (2 * ENTRIES, 0)
    assert carried(carrier, spool)
    assert known(truth.url) == (ENTRIES, ENTRIES, ENTRIES)
    spool.close()


@pytest.mark.parametrize(
    ("use", "lock", "statement"),
    [
        (Use.ADMIN, "10s", "290s"),
        (Use.INTAKE, "5s", "15s"),
        (Use.FEED, "20s", "20s"),
        (Use.DIRECTORY, "1s", "1s"),
    ],
)
def test_nothing_waits_for_ever_whatever_the_url_says(
    truth: Truth, use: Use, lock: str, statement: str
) -> None:
    url = f"{truth.url}?options=-c%20statement_timeout%3D0%20-c%20work_mem%3D9MB"
    with make_engine(url, use).connect() as connection:
        assert connection.scalar(text("SHOW lock_timeout")) == lock
        assert connection.scalar(text("SHOW statement_timeout")) == statement
        assert connection.scalar(text("SHOW work_mem")) == "9MB"


def test_names_are_the_same_whatever_the_environment_says(
    truth: Truth, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    with make_engine(truth.url).connect() as connection:
        assert connection.scalar(text("SELECT :name"), {"name": "jürgen 🐍"}) == "jürgen 🐍"


def test_a_statement_that_takes_too_long(truth: Truth) -> None:
    def sleep() -> None:
        with transaction(make_engine(truth.url)) as session:
            session.execute(text("SET LOCAL statement_timeout = '100ms'"))
            session.execute(text("SELECT pg_sleep(60)"))

    with pytest.raises(StoreUnavailable, match="took too long"):
        sleep()


def test_who_words_a_long_list_is_not_taken_for_idle(truth: Truth, monkeypatch: pytest.MonkeyPatch) -> None:
    """Postgres ends a transaction of the owner's in which it is asked nothing for a minute; here 2 s."""
    for number in range(60):
        truth.do(contacts.add, KEYS, "shop@alias.test", f"c{number}@firm.test", now=1.0)
    worded = contacts._view

    def slowly(contact: Contact) -> ContactView:
        time.sleep(0.05)
        return worded(contact)

    monkeypatch.setattr(contacts, "_view", slowly)
    monkeypatch.setattr(contacts, "_PIECE", 5)
    patient = make_engine(f"{truth.url}?options=-c%20idle_in_transaction_session_timeout%3D2s")
    with transaction(patient, read_only=True) as session:
        assert len(contacts.listing(session)) == 60
    patient.dispose()
