"""The resolver against a real DNS server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from nameserver import Nameserver
from ports import free_port
from postmask.auth.dns import LONGEST, Resolver
from postmask.clock import Deadline, SystemClock
from postmask.directory.lookup import ABSENT, Found, Unavailable

CLOCK = SystemClock()


def soon(seconds: float = 5.0) -> Deadline:
    return Deadline.after(CLOCK, seconds)


@pytest.fixture
def resolver(nameserver: Nameserver) -> Resolver:
    return Resolver([nameserver.address], timeout=1.0)


def test_every_type_is_read(nameserver, resolver):
    nameserver.txt("example.com", "v=spf1 -all")
    nameserver.record("example.com. IN MX 20 mx2.example.com.")
    nameserver.record("example.com. IN MX 10 mx1.example.com.")
    nameserver.record("mx1.example.com. IN A 192.0.2.1")
    nameserver.record("mx1.example.com. IN AAAA 2001:db8::1")
    nameserver.pointer("192.0.2.1", "mx1.example.com")
    assert resolver.txt("example.com", soon()) == Found((b"v=spf1 -all",))
    assert resolver.exchanges("example.com", soon()) == Found(
        ((10, "mx1.example.com"), (20, "mx2.example.com"))
    )
    assert resolver.addresses("mx1.example.com.", soon()) == Found(("192.0.2.1",))
    assert resolver.addresses("mx1.example.com", soon(), ipv6=True) == Found(("2001:db8::1",))
    assert resolver.names("192.0.2.1", soon()) == Found(("mx1.example.com",))
    nameserver.record("mail.example.com. IN CNAME mx1.example.com.")
    assert resolver.alias("mail.example.com", soon()) == Found("mx1.example.com")
    assert resolver.alias("mx1.example.com", soon()) == ABSENT


def test_long_values_come_back_in_one_piece(nameserver, resolver):
    value = "v=DKIM1; k=rsa; p=" + "A" * 700
    nameserver.txt("s1._domainkey.example.com", value)
    assert resolver.txt("s1._domainkey.example.com", soon()) == Found((value.encode(),))


def test_what_is_too_long_for_udp_comes_by_tcp(nameserver, resolver):
    for number in range(10):
        nameserver.txt("many.example.com", f"{number}" * 250)
    found = resolver.txt("many.example.com", soon())
    assert isinstance(found, Found)
    assert len(found.value) == 10


@pytest.mark.parametrize(
    "name",
    ["nowhere.example.com", "x" * 64 + ".example.com", "a..b", ".".join(["abcdefg"] * 40), "grüße.test"],
)
def test_no_such_name_is_absent(nameserver, resolver, name):
    nameserver.txt("xn--gre-6ka8l.test", "what a name of other characters is not asked as")
    assert resolver.txt(name, soon()) is ABSENT


def test_a_name_exists_whatever_stands_under_it(nameserver, resolver):
    nameserver.txt("text.example.com", "x")
    nameserver.txt("below.empty.example.com", "x")
    for name in ("text.example.com", "empty.example.com"):
        assert resolver.exists(name, soon()) == Found(None)
        assert resolver.addresses(name, soon()) is ABSENT
    assert resolver.exists("nowhere.example.com", soon()) is ABSENT
    assert resolver.exists("x" * 64 + ".example.com", soon()) is ABSENT
    assert resolver.exists("text.example.com", soon(0)) == Unavailable("out of time")


def test_an_alias_exists_though_its_target_does_not(nameserver, resolver):
    nameserver.record("alias.example.com. IN CNAME nowhere.example.com.")
    assert resolver.exists("alias.example.com", soon()) == Found(None)
    assert resolver.txt("alias.example.com", soon()) is ABSENT


def test_a_record_taken_away_is_absent(nameserver, resolver):
    nameserver.txt("gone.example.com", "x")
    assert resolver.txt("gone.example.com", soon()) == Found((b"x",))
    nameserver.remove("gone.example.com")
    assert resolver.txt("gone.example.com", soon()) is ABSENT


def test_a_refusing_server_is_unavailable_not_absent(nameserver, resolver):
    with nameserver.failing("broken.example.net"):
        assert isinstance(resolver.txt("a.broken.example.net", soon()), Unavailable)


def test_a_hung_server_costs_no_more_than_the_deadline(nameserver, resolver):
    with nameserver.hung():
        start = time.monotonic()
        assert isinstance(resolver.txt("example.com", soon(0.4)), Unavailable)
        assert time.monotonic() - start < 2.0


def test_nobody_there_is_unavailable():
    resolver = Resolver([("127.0.0.1", free_port())], timeout=0.4)
    assert isinstance(resolver.txt("example.com", soon()), Unavailable)


def test_a_dead_server_before_a_good_one_costs_time_once(nameserver):
    nameserver.txt("second.example.com", "x")
    resolver = Resolver([("127.0.0.1", free_port()), nameserver.address], timeout=8.0)
    assert resolver.txt("second.example.com", soon(30)) == Found((b"x",))
    start = time.monotonic()
    for _ in range(5):
        assert resolver.txt("second.example.com", soon(30)) == Found((b"x",))
    assert time.monotonic() - start < 10, "a dead one is waited for 4 s each time"


def test_no_time_left_asks_nobody(resolver):
    assert resolver.txt("example.com", soon(0)) == Unavailable("out of time")


class Kept:
    """A server whose answers may be kept for that many seconds, and a resolver that asks it."""

    def __init__(self, ttl: int) -> None:
        self.server = Nameserver(ttl=ttl)
        self.resolver = Resolver([self.server.address], timeout=1.0)
        self.close = self.server.close

    def txt(self, name):
        return self.resolver.txt(name, soon())


@pytest.fixture(scope="module")
def lasting() -> Iterator[Kept]:
    with closing(Kept(ttl=3600)) as kept:
        yield kept


def test_an_answer_is_kept(lasting):
    lasting.server.txt("kept.example.com", "x")
    assert lasting.txt("kept.example.com") == Found((b"x",))
    lasting.server.remove("kept.example.com")
    assert lasting.txt("KEPT.example.com.") == Found((b"x",))


def test_that_there_is_none_is_kept_by_its_soa(lasting):
    assert lasting.txt("later.example.com") is ABSENT
    lasting.server.txt("later.example.com", "x")
    assert lasting.txt("later.example.com") is ABSENT


def test_that_there_is_none_is_not_kept_without_one(nameserver, resolver):
    for name in ("later.example.org", "later.test"):
        assert resolver.txt(name, soon()) is ABSENT
        nameserver.txt(name, "x")
        assert resolver.txt(name, soon()) == Found((b"x",))


def test_nothing_is_kept_beyond_its_ttl():
    with closing(Kept(ttl=1)) as brief:
        brief.server.txt("brief.example.com", "x")
        assert brief.txt("brief.example.com") == Found((b"x",))
        brief.server.remove("brief.example.com")
        until = time.monotonic() + 10
        while brief.txt("brief.example.com") is not ABSENT:
            assert time.monotonic() < until
            time.sleep(0.05)


def test_nothing_is_kept_for_long(lasting, monkeypatch):
    lasting.server.txt("corrected.example.com", "x")
    assert lasting.txt("corrected.example.com") == Found((b"x",))
    lasting.server.remove("corrected.example.com")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + LONGEST + 1)
    assert lasting.txt("corrected.example.com") is ABSENT


def test_nothing_outlives_a_clock_that_is_set_back(lasting, monkeypatch):
    """Neither that something is there nor that it isn't."""
    lasting.server.txt("gone.example.com", "x")
    assert lasting.txt("gone.example.com") == Found((b"x",))
    assert lasting.txt("come.example.com") is ABSENT
    lasting.server.remove("gone.example.com")
    lasting.server.txt("come.example.com", "x")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 86_400)
    assert lasting.txt("gone.example.com") is ABSENT
    assert lasting.txt("come.example.com") == Found((b"x",))


def test_what_is_huge_is_not_kept(lasting):
    for number in range(20):
        lasting.server.txt("huge.example.com", f"{number:03}" * 80)
    assert isinstance(lasting.txt("huge.example.com"), Found)
    lasting.server.remove("huge.example.com")
    assert lasting.txt("huge.example.com") is ABSENT


def test_a_failure_is_not_kept(lasting):
    with lasting.server.failing("ill.example.net"):
        assert isinstance(lasting.txt("ill.example.net"), Unavailable)
    assert lasting.txt("ill.example.net") is ABSENT
