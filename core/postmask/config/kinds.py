"""The kinds of values that settings have: how one is read from TOML, and how it is described.

DIAGNOSTICS
    A kind's `read` raises Unfit for a value that it can't take. What was expected stands in the
    kind's `expected`, so that error messages and the manual page use the same words.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from postmask.address import AddressError, parse, parse_domain

_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}\$?|[0-9]{1,10}")
_HOST_AND_PORT = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+))(?::([0-9]{1,5}))?")
_SQLITE = re.compile(r"sqlite(\+[a-z0-9]+)?:////[^/]")
_POSTGRES = re.compile(r"(postgresql|postgres)(\+[a-z0-9]+)?://([^@/?]*@)?([^][/?]|\[[^][/?]*\])*/[^?]")
_DNS_PORT = 53
_ANY = 1_000_000_000
_LONGEST_PREFIX = 60


class Unfit(Exception):  # noqa: N818 - no error yet: the reader makes one of it
    """The value isn't of this kind."""


@dataclass(frozen=True, slots=True)
class Kind:
    """type: a word for the manual page. expected: what a value must be. read: TOML value -> value."""

    type: str
    expected: str
    read: Callable[[object], Any]


def whole(least: int, most: int, unit: str = "") -> Kind:
    """A whole number within bounds."""

    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise Unfit
        return value

    return Kind("integer", f"a whole number{unit and f' of {unit}'} from {least} to {most}", read)


def seconds(least: float, most: float) -> Kind:
    """A duration, seconds as a number with or without a fraction."""

    def read(value: object) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
            raise Unfit
        return float(value)

    return Kind("seconds", f"a number of seconds from {least:.10g} to {most:.10g}", read)


def _read_ratio(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
        raise Unfit
    try:
        return float(value)
    except OverflowError:
        raise Unfit from None


def whole_or_never(least: int) -> Kind:
    """A whole number, or infinity."""

    def read(value: object) -> float:
        number: float = math.inf if value == math.inf else whole(least, _ANY).read(value)
        return number

    return Kind("number", f"a whole number from {least}; inf is no limit", read)


def one_of(*words: str) -> Kind:
    """One of a few words."""

    def read(value: object) -> str:
        if value not in words:
            raise Unfit
        return str(value)

    return Kind("word", "one of " + ", ".join(f'"{word}"' for word in words), read)


def some_of(*words: str) -> Kind:
    """A list of a few words, each at most once, in an order that counts."""

    def read(value: object) -> tuple[str, ...]:
        named = _list(value)
        if not all(word in words for word in named) or len({*named}) < len(named):
            raise Unfit
        return tuple(map(str, named))

    return Kind("list of words", "a list of " + " and ".join(f'"{word}"' for word in words), read)


def _read_path(value: object) -> Path:
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        raise Unfit
    return Path(value)


def _read_user(value: object) -> str:
    if not isinstance(value, str) or not _USER.fullmatch(value):
        raise Unfit
    return value


def _read_users(value: object) -> tuple[str, ...]:
    return tuple(_read_user(name) for name in _list(value))


def _read_domain(value: object) -> str:
    try:
        return parse_domain(_text(value))
    except AddressError:
        raise Unfit from None


def _read_domains(value: object) -> tuple[str, ...]:
    return tuple(_read_domain(name) for name in _list(value))


def _read_addresses(value: object) -> tuple[str, ...]:
    """ "192.0.2.7", "2001:db8::7", each in its shortest form."""
    try:
        return tuple(str(ipaddress.ip_address(_text(entry))) for entry in _list(value))
    except ValueError:
        raise Unfit from None


def _read_address(value: object) -> str:
    try:
        return str(parse(_text(value)))
    except AddressError:
        raise Unfit from None


def _read_database(value: object) -> str:
    """Its hosts and parameters are libpq's affair, which not every program loads."""
    url = _text(value)
    if not _SQLITE.match(url) and not _POSTGRES.match(url):
        raise Unfit
    return url


def _read_nameservers(value: object) -> tuple[tuple[str, int], ...]:
    return tuple(_read_nameserver(entry) for entry in _list(value))


def _read_nameserver(value: object) -> tuple[str, int]:
    """ "192.0.2.53", "192.0.2.53:5353", "2001:db8::53", "[2001:db8::53]:5353"."""
    text = _text(value)
    match = _HOST_AND_PORT.fullmatch(text)
    host, port = (match[1] or match[2], match[3]) if match else (text, "")
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        raise Unfit from None
    if not 1 <= int(port or _DNS_PORT) <= 65535:
        raise Unfit
    return address, int(port or _DNS_PORT)


def _read_endpoint(value: object) -> Path | tuple[str, int]:
    """ "192.0.2.1:783", "[2001:db8::1]:783", "unix:/run/spamd.sock"."""
    text = _text(value)
    if text.startswith("unix:"):
        return _read_path(text.removeprefix("unix:"))
    match = _HOST_AND_PORT.fullmatch(text)
    if not match or not match[3]:
        raise Unfit
    return _read_nameserver(text)


def _read_secret(value: object) -> str:
    text = _text(value)
    if not (text.isascii() and text.isprintable()) or text != text.strip():
        raise Unfit
    return text


def _read_prefix(value: object) -> str:
    text = _text(value)
    if len(text) > _LONGEST_PREFIX or not text.isprintable() or text != text.strip():
        raise Unfit
    return text


def _read_forwarders(value: object) -> tuple[str, ...]:
    return tuple(_read_forwarder(entry) for entry in _list(value))


def _read_forwarder(value: object) -> str:
    """ "192.0.2.7", "2001:db8::/32", "lists.example.org"."""
    try:
        return str(ipaddress.ip_network(_text(value)))
    except ValueError:
        return _read_domain(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Unfit
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise Unfit
    return value


PATH = Kind("path", "an absolute path", _read_path)
RATIO = Kind("ratio", "a number above 0, like 1.5; inf is never", _read_ratio)
USER = Kind("user", "the name of a user", _read_user)
USERS = Kind("list of users", "a list of users' names", _read_users)
DOMAIN = Kind("domain", "a domain name", _read_domain)
DOMAINS = Kind("list of domains", 'a list of domain names like "mx2.example.org"', _read_domains)
ADDRESSES = Kind(
    "list of addresses", 'a list of IP addresses like "192.0.2.7" and "2001:db8::7"', _read_addresses
)
ADDRESS = Kind("address", "an e-mail address", _read_address)
SECRET = Kind("secret", "a text in printable ASCII", _read_secret)
PREFIX = Kind("text", f"a text of up to {_LONGEST_PREFIX} characters on one line", _read_prefix)
ENDPOINT = Kind(
    "endpoint",
    'an IP address with a port like "127.0.0.1:783" or "[::1]:783", or the path of a Unix socket like '
    '"unix:/run/engine.sock"',
    _read_endpoint,
)
FORWARDERS = Kind(
    "list of hosts",
    'a list of IP addresses and networks like "192.0.2.0/24" and domain names like "lists.example.org"',
    _read_forwarders,
)
DATABASE = Kind("URL", "sqlite:////path/to/file or postgresql://user:password@host/database", _read_database)
NAMESERVERS = Kind(
    "list of servers",
    'a list of IP addresses like "192.0.2.53", with a port "192.0.2.53:5353" or "[::1]:5353"',
    _read_nameservers,
)
