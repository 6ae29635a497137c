"""The nodes' role on Postgres, tested by trying what it must not do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, insert, text
from sqlalchemy.exc import ProgrammingError

from postgres import Cluster
from postmask.directory.lookup import Found
from postmask.spool import Entry
from postmask.store import intake, roles, schema
from postmask.store.admin import accounts
from postmask.store.engine import Use, make_engine, parse_url
from postmask.store.errors import StoreError
from postmask.store.models import Base, Tombstone
from postmask.store.session import transaction
from truth import Truth, made


@pytest.fixture(scope="module")
def truth(postgres: Cluster) -> Iterator[Truth]:
    with made(postgres.fresh()) as truth:
        truth.furnish()
        yield truth


def url_of(truth: Truth, role: str, password: str) -> str:
    """The database's, by that role."""
    url = parse_url(truth.url).set(username=role, password=password)
    return url.render_as_string(hide_password=False)


@contextmanager
def engine_of(truth: Truth, role: str, password: str) -> Iterator[Engine]:
    engine = make_engine(url_of(truth, role, password))
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def node_url(truth: Truth) -> str:
    """The URL of a node of its own role."""
    role = f"{parse_url(truth.url).username}_node"
    roles.grant_node_role(truth.engine, role, "s'e:c%ret")
    return url_of(truth, role, "s'e:c%ret")


@pytest.fixture(scope="module")
def node(node_url: str) -> Iterator[Engine]:
    engine = make_engine(node_url, Use.INTAKE)
    yield engine
    engine.dispose()


FORBIDDEN = [
    "INSERT INTO account (id, name, created) VALUES (7, 'x', 0)",
    "UPDATE account SET disabled_at = 1",
    "UPDATE domain SET postmaster = 'evil@x.test'",
    "DELETE FROM domain",
    "INSERT INTO alias_mailbox (alias_id, mailbox_id, account_id) SELECT a.id, m.id, a.account_id"
    " FROM alias a, mailbox m",
    "DELETE FROM alias_mailbox",
    "UPDATE alias SET state = 'disabled'",
    "DELETE FROM alias",
    "INSERT INTO mailbox (id, account_id, address, written, created)"
    " SELECT 9, id, 'e@x.test', 'e@x.test', 0 FROM account",
    "UPDATE mailbox SET address = 'evil@x.test'",
    "UPDATE mailbox SET confirmed_at = 1",
    "UPDATE mailbox SET login = 'evil'",
    "SELECT code_mac FROM mailbox",
    "SELECT * FROM mailbox",
    "DELETE FROM mailbox",
    "INSERT INTO mailbox_sender SELECT id, 'evil@x.test' FROM mailbox",
    "UPDATE contact SET rule = 'allow'",
    "INSERT INTO contact (id, alias_id, address, written, token, created, rule)"
    " SELECT 8, id, 'x@x.test', 'x@x.test', repeat('a', 24), 0, 'allow' FROM alias",
    "DELETE FROM contact",
    "UPDATE reverse_alias SET contact_id = 1",
    "DELETE FROM reverse_alias",
    "INSERT INTO sender_rule (id, scope, pattern, action, created) VALUES (7, 'global', '@x', 'reject', 0)",
    "DELETE FROM sender_rule",
    "UPDATE spam_policy SET mark = 100",
    "DELETE FROM spam_policy",
    "UPDATE dkim_key SET state = 'retired'",
    "DELETE FROM dkim_key",
    "SELECT reason FROM event",
    "SELECT * FROM event",
    "UPDATE event SET reason = ''",
    "DELETE FROM event",
    "SELECT * FROM bounce",
    "DELETE FROM bounce",
    "UPDATE counter SET kind = 'held'",
    "DELETE FROM counter",
    "UPDATE replay_mark SET ledger_key = ''",
    "DELETE FROM replay_mark",
    "UPDATE node SET name = 'x'",
    "UPDATE node SET order_drain = true",
    "UPDATE node SET order_at = 0",
    "UPDATE node SET order_by = 'x'",
    "INSERT INTO node (name, last_seen, schema, order_at) VALUES ('x', 0, '', 1)",
    "DELETE FROM node",
    "UPDATE generation SET number = 9",
    "INSERT INTO deletion VALUES (7, 'alias', '{}', 0)",
    "DELETE FROM deletion",
    "SELECT nextval('change_number')",
    "SELECT setval('change_number', 1)",
    "TRUNCATE contact",
    "ALTER TABLE contact DISABLE TRIGGER ALL",
    "SET session_replication_role = replica",
    "INSERT INTO purged_alias VALUES (7, 0)",
    "UPDATE purged_alias SET at = 0",
    "DELETE FROM purged_reverse_alias WHERE token = 'x'",
    "INSERT INTO purged_reverse_alias SELECT token, 0 FROM reverse_alias",
    "SELECT * FROM tombstone",
    "INSERT INTO tombstone SELECT 'x'::bytea, id, 0 FROM account",
    "UPDATE alembic_version SET version_num = 'x'",
    "TRUNCATE event",
    "DROP TABLE event",
    "ALTER TABLE alias ADD COLUMN x integer",
    "CREATE TABLE mine (x integer)",
    "CREATE TEMPORARY TABLE mine (x integer)",
    "CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "CREATE SCHEMA mine",
    "CREATE ROLE mine",
    "COPY alias TO PROGRAM 'true'",
    "SELECT pg_read_file('/etc/passwd')",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_it_may_not(node: Engine, statement: str) -> None:
    with pytest.raises(ProgrammingError, match=r"permission denied|must be"), node.begin() as connection:
        connection.execute(text(statement))


def test_who_works_with_the_nodes_url_alone_is_told_of_the_owners(node: Engine) -> None:
    """On a mail exchanger that has no other: postmask db upgrade, the only advice, did nothing there."""
    told = r"permission denied for table account; .*database\.owner_url"
    with pytest.raises(StoreError, match=told), transaction(node) as session:
        accounts.add(session, "anna", now=1.0)


def test_no_table_was_forgotten() -> None:
    """A table that is added later has to be thought of here."""
    tried = " ".join(FORBIDDEN)
    assert [name for name in Base.metadata.tables if f" {name} " not in f"{tried} "] == []


def test_it_may_carry_an_outbox(truth: Truth, node: Engine) -> None:
    alias = truth.directory().alias("shop@alias.test")
    assert isinstance(alias, Found)
    number, box = alias.value.id, alias.value.mailboxes[0].id
    token = "a" * 24
    entries = [
        Entry.new("contact", alias_id=number, address="c@x.test", name="C", token=token, at=1.0),
        Entry.new("event", at=1.0, account_id=alias.value.account_id, alias_id=number, kind="forwarded"),
        Entry.new(
            "bounce", at=1.0, alias_id=number, contact_token="0" * 16, mailbox_id=box, kind="forward",
            action="failed", status="5.1.1", reason="",
        ),
        Entry.new("replay", mark="m", reverse_token=token, ledger_key="k", at=1.0),
        Entry.new("mailbox_pause", mailbox_id=box, at=2.0, reason="bounces"),
    ]  # fmt: skip
    for _ in range(2):
        with node.begin() as connection:
            assert intake.apply(connection, "mx1", entries) == ()
            intake.seen(connection, "mx1", 3.0)
    assert schema.status(truth.url).nodes[0].name == "mx1"


def test_it_may_ask_the_whole_directory(truth: Truth, node_url: str) -> None:
    directory = truth.directory(node_url)
    alias = directory.alias("shop@alias.test")
    domain = directory.domain("alias.test")
    assert isinstance(alias, Found)
    assert isinstance(domain, Found)
    for answer in (
        directory.alias_by_id(alias.value.id),
        directory.account_addresses(alias.value.account_id),
        directory.dkim_keys("alias.test"),
    ):
        assert isinstance(answer, Found)


def test_a_directory_connection_writes_nothing_even_as_the_owner(truth: Truth) -> None:
    engine = make_engine(truth.url, Use.DIRECTORY)
    with engine.connect() as connection, pytest.raises(Exception, match="read-only"):
        connection.execute(insert(Tombstone).values(hash=b"x", account_id=1, at=0.0))
    engine.dispose()


def test_granting_again_sets_the_password_anew(truth: Truth) -> None:
    role = f"{parse_url(truth.url).username}_other"
    for password in ("one", "two"):
        roles.grant_node_role(truth.engine, role, password)
        with engine_of(truth, role, password) as engine, engine.connect() as connection:
            assert connection.scalar(text("SELECT count(*) FROM domain")) == 1


def test_whatever_the_role_is_called(truth: Truth) -> None:
    role = f'{parse_url(truth.url).username} "50%" a:b'
    roles.grant_node_role(truth.engine, role, "secret")
    with engine_of(truth, role, "secret") as engine, engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM domain")) == 1


def test_granting_again_takes_away_what_is_too_much(truth: Truth) -> None:
    role = f"{parse_url(truth.url).username}_rich"
    roles.grant_node_role(truth.engine, role, "secret")
    with truth.engine.begin() as connection:
        connection.execute(text(f"GRANT DELETE ON alias TO {role}"))
        connection.execute(text("GRANT CREATE ON SCHEMA public TO PUBLIC"))
    roles.grant_node_role(truth.engine, role, "secret")
    with engine_of(truth, role, "secret") as engine:
        for statement in ("DELETE FROM alias", "CREATE TABLE mine (x integer)"):
            test_it_may_not(engine, statement)


def test_a_role_that_can_not_be_made_is_no_matter_of_rights(truth: Truth) -> None:
    with pytest.raises(StoreError, match="reserved"):
        roles.grant_node_role(truth.engine, "pg_node", "secret")


def test_who_lacks_a_right_or_the_password_hears_how_to_get_it(truth: Truth) -> None:
    role = f"{parse_url(truth.url).username}_poor"
    roles.grant_node_role(truth.engine, role, "first")
    with truth.engine.begin() as connection:
        connection.execute(text(f"REVOKE SELECT ON alembic_version FROM {role}"))
    for password in ("first", "second"):
        url = url_of(truth, role, password)
        with pytest.raises(StoreError, match="postmask db upgrade gives the nodes' role"):
            schema.status(url)
        roles.grant_node_role(truth.engine, role, password)
        assert schema.status(url).state is schema.SchemaState.CURRENT


def test_the_owner_itself_is_no_node(truth: Truth) -> None:
    with pytest.raises(StoreError, match="role of their own"):
        roles.grant_node_role(truth.engine, str(parse_url(truth.url).username), "x")


def test_without_the_right_it_says_who_can_give_it(postgres: Cluster) -> None:
    url = postgres.fresh()
    owner = parse_url(url).username
    superuser = make_engine(postgres.url())
    with made(url) as truth:
        roles.grant_node_role(truth.engine, f"{owner}_node", "secret")
        with superuser.begin() as connection:
            connection.execute(text(f'ALTER ROLE "{owner}" NOCREATEROLE'))
        with pytest.raises(
            StoreError, match=r"another one made, or a Postgres before 16 .* WITH ADMIN OPTION"
        ):
            roles.grant_node_role(truth.engine, f"{owner}_node", "secret")
        with pytest.raises(StoreError, match=f'ALTER ROLE "{owner}" CREATEROLE'):
            roles.grant_node_role(truth.engine, f"{owner}_other", "secret")
    superuser.dispose()
