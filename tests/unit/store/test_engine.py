"""URLs, and what a person is told when the database says no."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from postmask.store.engine import Use, as_store_error, explain, make_engine, parse_url, sqlite_path
from postmask.store.errors import StoreError, StoreUnavailable


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@h/d",
        "postgres://u:p@h/d",
        "postgresql+psycopg2://u:p@h/d",
        "postgresql+psycopg://u:p@h/d",
    ],
)
def test_the_driver_is_always_psycopg2(url: str) -> None:
    assert parse_url(url).drivername == "postgresql+psycopg2"
    assert sqlite_path(url) is None


def test_sqlite_names_a_file() -> None:
    assert sqlite_path("sqlite:////var/lib/x.db") == Path("/var/lib/x.db")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "can't be read"),
        ("hello", "can't be read"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("mysql://u:hunter2@h/d", "use sqlite or postgresql"),
    ],
)
def test_other_urls_are_refused(url: str, says: str) -> None:
    with pytest.raises(StoreError, match=says) as caught:
        make_engine(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["with space.db", "per%cent.db", "ha#sh.db", "ünï.db"])
def test_odd_file_names(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    engine = make_engine(f"sqlite:///{tmp_path}/{name.replace('%', '%25')}")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (x INTEGER)"))
    engine.dispose()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_sqlite_says_is_explained(tmp_path: Path) -> None:
    (tmp_path / "x.db").touch()
    engine = make_engine(f"sqlite:///{tmp_path}/x.db")
    with pytest.raises(SQLAlchemyError) as caught, engine.begin() as connection:
        connection.execute(text("SELECT 'secret' FROM alias"))
    assert explain(caught.value) == "no such table: alias"
    told = as_store_error(caught.value)
    assert isinstance(told, StoreUnavailable)
    assert "postmask db init" in str(told)


def test_of_what_postgres_says_the_statement_is_left_out() -> None:
    said = "relation \"alias\" does not exist\nLINE 1: SELECT 'secret' FROM alias\n                 ^\n"
    error = OperationalError("SELECT", {}, psycopg2.OperationalError(said))
    assert explain(error) == 'relation "alias" does not exist'


def test_who_may_only_read_is_told_so() -> None:
    error = OperationalError("BEGIN", {}, sqlite3.OperationalError("attempt to write a readonly database"))
    told = as_store_error(error)
    assert isinstance(told, StoreUnavailable)
    assert str(told).endswith("may this user write to it, and into its folder?")


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("FATAL: unsupported startup parameter: options", "ignore_startup_parameters = options"),
        ("FATAL: transaction blocks not allowed in statement pooling mode", "pool_mode must be another one"),
    ],
)
def test_a_pooler_is_told_as_such(said: str, advice: str) -> None:
    """In PgBouncer's words."""
    told = as_store_error(OperationalError("BEGIN", {}, psycopg2.OperationalError(said)))
    assert isinstance(told, StoreUnavailable)
    assert advice in str(told)


def test_a_directory_engine_opens_nothing_by_itself(tmp_path: Path) -> None:
    make_engine(f"sqlite:///{tmp_path}/none.db", Use.DIRECTORY)
    make_engine("postgresql://u:p@192.0.2.1/d", Use.DIRECTORY)
    assert list(tmp_path.iterdir()) == []
