"""The schema: made by migrations, equal to the models, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, inspect, text

from postgres import Cluster
from postmask.clock import ManualClock
from postmask.store import roles, schema
from postmask.store.admin import aliases
from postmask.store.engine import make_engine, parse_url, sqlite_path
from postmask.store.errors import Refused, StoreError, StoreUnavailable
from postmask.store.models import Base
from postmask.store.schema import SchemaState
from replica_node import wait_for
from truth import Truth, opened


def index(found: Mapping[str, object]) -> str:
    """An index in words, its condition too."""
    options = found.get("dialect_options") or {}
    assert isinstance(options, dict)
    conditions = {name: str(value) for name, value in options.items()}
    return f"{found['name']} {found['column_names']} {found['unique']} {conditions}"


def shape(engine: Engine) -> dict[str, object]:
    """All that the database itself says of its tables."""
    found = inspect(engine)
    tables = set(found.get_table_names()) - {"alembic_version"}
    return {
        table: (
            [(c["name"], str(c["type"]), c["nullable"], c["default"]) for c in found.get_columns(table)],
            found.get_pk_constraint(table),
            sorted(map(str, found.get_foreign_keys(table))),
            sorted(map(str, found.get_unique_constraints(table))),
            sorted(map(str, found.get_check_constraints(table))),
            sorted(map(index, found.get_indexes(table))),
        )
        for table in tables
    }


def test_migrations_make_what_the_models_say(truth: Truth) -> None:
    with truth.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, Base.metadata) == []


def test_also_in_what_alembic_does_not_compare(
    truth: Truth, request: pytest.FixtureRequest, tmp_path
) -> None:
    """Check constraints above all."""
    if truth.engine.dialect.name == "sqlite":
        straight = create_engine(f"sqlite:///{tmp_path}/straight.db")
    else:
        straight = make_engine(request.getfixturevalue("postgres").fresh())
    Base.metadata.create_all(straight)
    assert shape(truth.engine) == shape(straight)
    straight.dispose()


def test_init_twice_changes_nothing(truth: Truth) -> None:
    before = schema.status(truth.url)
    assert schema.init(truth.url, ManualClock(at=5.0)) is False
    assert replace(schema.status(truth.url), clock=before.clock) == before
    assert before.state is SchemaState.CURRENT
    assert before.generation == 1
    assert before.nodes == ()
    assert schema.upgrade(truth.url) == (before.revision, before.wanted)


@pytest.mark.parametrize("act", ["init", "upgrade", "grant"])
def test_who_changes_it_waits_for_another_who_does(postgres: Cluster, act: str) -> None:
    """Two commands at once would find the same to be made, and one of them fail. (SQLite has its lock.)"""
    url = postgres.fresh()
    schema.init(url, ManualClock())
    engine, database = make_engine(url), parse_url(url).database
    acts: Mapping[str, Callable[[], object]] = {
        "init": lambda: schema.init(url, ManualClock()),
        "upgrade": lambda: schema.upgrade(url),
        "grant": lambda: roles.grant_node_role(engine, f"{database}_node", "secret"),
    }
    waiting = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        f" AND database = (SELECT oid FROM pg_database WHERE datname = '{database}')"
    )
    with ThreadPoolExecutor() as pool, engine.begin() as other:
        roles.take_turn(other)
        acting = pool.submit(acts[act])
        wait_for(lambda: acting.done() or postgres.ask(waiting), "it to wait or to be done")
        # It gives up when it has waited in vain for ten seconds.
        assert not acting.done() or "somebody else" in str(acting.exception())
    engine.dispose()
    postgres.drop(url)


def test_status_of_an_empty_database(request: pytest.FixtureRequest) -> None:
    status = schema.status(request.getfixturevalue("postgres").fresh())
    assert (status.state, status.revision, status.generation) == (SchemaState.MISSING, None, None)


def test_upgrade_of_an_empty_database_says_what_to_do(request: pytest.FixtureRequest) -> None:
    with pytest.raises(StoreUnavailable, match="postmask db init"):
        schema.upgrade(request.getfixturevalue("postgres").fresh())


def test_a_newer_schema_is_left_alone(truth: Truth) -> None:
    with truth.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert schema.status(truth.url).state is SchemaState.AHEAD
    for attempt in (schema.upgrade, lambda url: schema.init(url, ManualClock())):
        with pytest.raises(StoreUnavailable, match="newer than this program"):
            attempt(truth.url)


def test_foreign_tables_of_our_names_are_left_alone(empty_url: str) -> None:
    if (path := sqlite_path(empty_url)) is not None:
        path.touch()
    engine = make_engine(empty_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE alias (x INTEGER)"))
    with pytest.raises(StoreError, match="not ours"):
        schema.init(empty_url, ManualClock())
    assert inspect(engine).get_table_names() == ["alias"]
    engine.dispose()


def test_a_database_that_cannot_hold_every_name_is_refused(postgres: Cluster) -> None:
    owner = postgres.fresh()
    name = owner.rpartition("/")[2]
    postgres.command(
        f"CREATE DATABASE {name}_latin OWNER {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
    )
    with pytest.raises(Refused, match="encoding is LATIN1; make one with UTF8"):
        schema.init(f"{owner}_latin", ManualClock())
    postgres.command(f"ALTER DATABASE {name} SET client_encoding = 'LATIN1'")
    assert schema.init(owner, ManualClock())
    with opened(owner) as truth:
        truth.furnish()
        truth.do(aliases.edit, "shop@alias.test", note="\u65e5\u672c")
