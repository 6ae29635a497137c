"""URLs of Postgres: all that libpq takes, several servers among it; never a password in an error."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import psycopg2
import pytest

from postmask.store import servers, waiting
from postmask.store.engine import parse_url
from postmask.store.errors import StoreError
from postmask.store.servers import Servers


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://u:p@h/d", [("h", None)]),
        ("postgresql://u:p@h:5433/d", [("h", "5433")]),
        ("postgresql://u:p@a,b/d", [("a", None), ("b", None)]),
        ("postgresql://u:p@a:1,b:2/d?target_session_attrs=read-write", [("a", "1"), ("b", "2")]),
        ("postgresql://u:p@a,b:2/d", [("a", None), ("b", "2")]),
        ("postgresql://u:p@/d?host=a,b&port=1,2", [("a", "1"), ("b", "2")]),
        ("postgresql://u:p@/d?host=a,b&port=5433", [("a", "5433"), ("b", "5433")]),
        ("postgresql://u:p@[::1]/d", [("::1", None)]),
        ("postgresql://u:p@[::1]:1,[2001:db8::2]:2,c/d", [("::1", "1"), ("2001:db8::2", "2"), ("c", None)]),
        ("postgresql://u:p@%2Frun%2Fpostgresql/d", [("/run/postgresql", None)]),
        ("postgresql://u:p@/d?host=/run/postgresql", [("/run/postgresql", None)]),
        ("postgresql:///d", [(None, None)]),
    ],
)
def test_hosts(url: str, hosts: list[tuple[str | None, str | None]]) -> None:
    read = parse_url(url)
    candidates = list(servers._candidates(servers.fields(read)))
    assert [(one.get("host"), one.get("port")) for one in candidates] == hosts
    assert {one["dbname"] for one in candidates} == {"d"}
    again = read.set(drivername="postgresql").render_as_string(hide_password=False)
    assert parse_url(again) == read


def test_parameters_and_odd_passwords() -> None:
    read = parse_url("postgresql://us%40er:p%3A%2F%40%25 x@h/d?sslmode=verify-full&sslrootcert=/etc/ca.pem")
    assert (read.username, read.password) == ("us@er", "p:/@% x")
    assert read.query == {"sslmode": "verify-full", "sslrootcert": "/etc/ca.pem"}


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://u:hunter2@h/d?sslmod=require", "Postgres doesn't know: sslmod$"),
        ("postgresql://u:hunter2@a,b,c/d?port=1,2", "one port for all hosts, or one for each"),
        ("postgresql://u:hun@ter2@h/d", "with %xx for"),
        ("postgresql://u:hun/ter2@h/d", "with %xx for"),
        ("postgresql://u:hun%zzter2@h/d", "with %xx for"),
        ("postgresql://u:hunter2@h:port/d", "can't be read"),
        ("postgresql://u:hunter2@[::1/d", "can't be read"),
        ("postgresql:///d?host=a:1,b:2&password=hunter2", "can't be read"),
        ("postgresql:hunter2", "can't be read"),
    ],
)
def test_what_can_not_be_read(url: str, says: str) -> None:
    with pytest.raises(StoreError, match=says) as caught:
        parse_url(url)
    assert "ter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def wanted(url: str, *, read_only: bool) -> list[object]:
    made = Servers(parse_url(url), {}, read_only=read_only)
    return [candidate.get("target_session_attrs") for candidate in made._candidates]


def test_of_several_the_one_that_takes_writes() -> None:
    assert wanted("postgresql://a/d", read_only=False) == [None]
    assert wanted("postgresql://a,b/d", read_only=False) == ["read-write"] * 2
    assert wanted("postgresql://a,b/d?target_session_attrs=any", read_only=False) == ["any"] * 2


def test_a_session_that_is_read_only_asks_for_the_primary() -> None:
    assert wanted("postgresql://a,b/d", read_only=True) == ["primary"] * 2
    assert wanted("postgresql://a/d?target_session_attrs=read-write", read_only=True) == ["primary"]


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of somebody who says nothing, as a server does that hangs."""
    waiting.install()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def test_each_host_gets_its_share_of_the_time(silent: int) -> None:
    url = parse_url(f"postgresql://u:hunter2@127.0.0.1:{silent},127.0.0.1:1,[::1]:{silent}/d")
    begun = time.monotonic()
    with pytest.raises(psycopg2.OperationalError) as caught, waiting.time_limit(0.6):
        Servers(url, {}, read_only=False).connect()
    assert 0.2 < time.monotonic() - begun < 0.6 + 1.0
    said = str(caught.value)
    assert f"127.0.0.1 port {silent}: the database server does not answer in time" in said
    assert "127.0.0.1 port 1: " in said
    assert f"::1 port {silent}: " in said
    assert "hunter2" not in said


def test_a_limit_within_another_is_the_nearer_one() -> None:
    with waiting.time_limit(0.2):
        with waiting.time_limit(60):
            assert waiting.left() <= 0.2
        with waiting.time_limit(0.1):
            assert waiting.left() <= 0.1
        assert 0.1 < waiting.left() <= 0.2
