"""Postgres by its URL: one server or several, and a connection to whichever of them will do.

A URL is libpq's own ("Connection URIs" in PostgreSQL's manual):
    postgresql://user:password@db1:5432,[2001:db8::2]/database?target_session_attrs=read-write
    postgresql://user:password@db1/database?sslmode=verify-full&sslrootcert=/etc/ssl/our-ca.pem
    postgresql://user:password@%2Frun%2Fpostgresql/database       a Unix socket, by its folder

Since we do the waiting (postmask.store.waiting), libpq would stay with the first host until the time is up.
So the hosts are tried here: each gets its share of the time, and the one that took us last comes first.

DIAGNOSTICS
    StoreError: the URL can't be read; the password is never in the message. psycopg2.OperationalError:
    no server will do; of several each is named with what was wrong with it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import psycopg2
from psycopg2 import extensions
from sqlalchemy import URL

from postmask.store import waiting
from postmask.store.errors import StoreError

_PARTS = ("host", "hostaddr", "port")
"""What libpq takes as lists, all of one length."""

UNREADABLE = (
    "the database URL can't be read; use sqlite:////path/to/file or "
    "postgresql://user:password@host/name, with %xx for :, /, @ and % in a password"
)
_NAME = re.compile(r"[A-Za-z0-9._-]*")
_PORT = re.compile(r"[0-9]{0,5}")
_UNKNOWN_PARAMETER = re.compile(r'invalid URI query parameter: "([a-z_]{1,40})"')

KEEPALIVES: Mapping[str, int] = MappingProxyType(
    {"keepalives_idle": 5, "keepalives_interval": 1, "keepalives_count": 3}
)
"""By which a server that is gone without a word is found so while we wait for it to say something."""

Fields = dict[str, str]
"""libpq's parameters."""


def read(url: str) -> URL:
    """A URL of Postgres. Several hosts, and a socket's folder, stand in its query. Raises StoreError."""
    _, found, rest = url.partition("://")
    try:
        fields = extensions.parse_dsn(f"postgresql://{rest.replace(' ', '%20')}")
    except psycopg2.Error as error:
        unknown = _UNKNOWN_PARAMETER.search(str(error))
        raise StoreError(
            f"the database URL has a parameter that Postgres doesn't know: {unknown[1]}"
            if unknown
            else UNREADABLE
        ) from None
    hosts, ports = (fields.get(part, "").split(",") for part in ("host", "port"))
    if not found or not all(map(_is_host, hosts)) or not all(map(_PORT.fullmatch, ports)):
        raise StoreError(UNREADABLE)
    if len({len(fields[part].split(",")) for part in _PARTS if "," in fields.get(part, "")}) > 1:
        raise StoreError("the database URL must have one port for all hosts, or one for each")
    user, password, database = (fields.pop(name, None) for name in ("user", "password", "dbname"))
    host, port = fields.get("host", ""), fields.get("port", "")
    plain = bool(host) and not host.startswith("/") and "," not in host + port
    if plain:
        fields.pop("host")
        fields.pop("port", None)
    return URL.create(
        "postgresql+psycopg2",
        user,
        password,
        host if plain else None,
        int(port) if plain and port else None,
        database,
        fields,
    )


def _is_host(text: str) -> bool:
    """A name, an address or a folder. Neither a port, which has a place of its own, nor half a password."""
    if text.startswith("/") or _NAME.fullmatch(text):
        return True
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True


class Servers:
    """Those of a URL. Shared by threads."""

    def __init__(self, url: URL, settings: Mapping[str, Any], *, read_only: bool) -> None:
        """url: from `read`. settings: parameters of ours. read_only: the sessions will be.

        Of several servers the one that takes writes is meant. A session that is read-only by its own
        settings would fail libpq's "read-write" everywhere: there the same is called "primary".
        """
        self._candidates = [dict(candidate, **settings) for candidate in _candidates(fields(url))]
        for candidate in self._candidates:
            if len(self._candidates) > 1:
                candidate.setdefault("target_session_attrs", "read-write")
            if read_only and candidate.get("target_session_attrs") == "read-write":
                candidate["target_session_attrs"] = "primary"
        self._last = 0

    def connect(self) -> extensions.connection:
        """A connection to the first server that will do."""
        count = len(self._candidates)
        troubles = []
        with waiting.time_limit(waiting.CONNECT_SECONDS):
            for step in range(count):
                number = (self._last + step) % count
                try:
                    with waiting.time_limit(waiting.left() / (count - step)):
                        connection: extensions.connection = psycopg2.connect(**self._candidates[number])
                except psycopg2.OperationalError as error:
                    if count == 1:
                        raise
                    troubles.append(f"{_name(self._candidates[number])}: {str(error).strip()}")
                else:
                    self._last = number
                    return connection
        raise psycopg2.OperationalError("; ".join(troubles))


def fields(url: URL) -> Fields:
    """libpq's parameters of a URL that was read."""
    named = {"user": url.username, "password": url.password, "host": url.host, "dbname": url.database}
    given = {name: str(value) for name, value in named.items() if value}
    port = {"port": str(url.port)} if url.port else {}
    return {name: str(value) for name, value in url.query.items()} | given | port


def _candidates(named: Fields) -> Iterator[dict[str, Any]]:
    """The parameters of each server."""
    lists = {part: named[part].split(",") for part in _PARTS if part in named}
    for number in range(max(map(len, lists.values()), default=1)):
        own = {part: values[number if len(values) > 1 else 0] for part, values in lists.items()}
        one = {name: value for name, value in named.items() if name not in _PARTS}
        yield one | {part: value for part, value in own.items() if value}


def _name(candidate: Mapping[str, Any]) -> str:
    host = candidate.get("host") or candidate.get("hostaddr") or "localhost"
    port = candidate.get("port")
    return f"{host} port {port}" if port else str(host)
