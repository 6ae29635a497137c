"""Several who look and change at once: each finds things as they are, on both databases alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cli_site import Site
from postgres import Cluster
from postmask.clock import ManualClock
from postmask.store import intake
from postmask.store.admin import aliases, mailboxes
from postmask.store.errors import Duplicate
from postmask.store.models import Alias
from postmask.store.session import transaction
from replica_node import wait_for
from truth import KEYS, Truth, made

_WAITING = """SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
AND database = (SELECT oid FROM pg_database WHERE datname = '{}')"""


def test_who_comes_second_is_told_what_the_first_did(postgres: Cluster) -> None:
    """Postgres, which lets the second look before the first is done. (With SQLite he waits to look.)"""
    with made(postgres.fresh()) as truth, ThreadPoolExecutor() as others:

        def add(session: Session) -> object:
            return mailboxes.add(session, KEYS, "new@real.test", now=truth.clock.now())

        with truth.session() as session:
            add(session)
            late = others.submit(truth.do, add)
            waiting = _WAITING.format(truth.url.rpartition("/")[2])
            wait_for(lambda: postgres.ask(waiting), "the second to wait", seconds=60.0)
        with pytest.raises(Duplicate, match="is a mailbox already"):
            late.result()


def test_a_node_is_told_and_forgotten_meanwhile(postgres: Cluster, tmp_path: Path) -> None:
    """Somebody's import or purge may take many minutes."""
    site = Site(tmp_path, ManualClock())
    with made(postgres.fresh()) as truth:
        site.config.write_text(f'[database]\nowner_url = "{truth.url}"\nurl = "{truth.url}"\n')
        with truth.engine.begin() as connection:
            intake.seen(connection, "mx2", 0.0)
        with truth.session() as session:
            mailboxes.add(session, KEYS, "new@real.test", now=0.0)
            told = site.json("node", "drain", "mx2")
            assert told["state"] == "ordered"
            assert site.json("node", "remove", "mx2")["name"] == "mx2"


def test_who_only_looks_sees_all_as_of_one_moment(furnished: Truth) -> None:
    with transaction(furnished.engine, read_only=True) as session:
        count = select(func.count()).select_from(Alias)
        assert session.scalar(count) == 1
        furnished.do(aliases.add, KEYS, "late@alias.test", ["bob@real.test"], now=0.0)
        assert session.scalar(count) == 1
    with transaction(furnished.engine, read_only=True) as session:
        assert session.scalar(count) == 2
