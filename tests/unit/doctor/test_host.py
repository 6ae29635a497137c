"""The host as others see it: a fault for every code, each found alone, and silence on what is right."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterable

import pytest

from dns_data import DnsData
from postmask.clock import Deadline, ManualClock
from postmask.doctor.finding import Code, Finding
from postmask.doctor.host import codes, names, port25, routing, timekeeping
from postmask.doctor.host.outside import PARAMETERS, Way, bound, misbound, way
from postmask.doctor.inquiry import Inquiry

V4, V6 = "192.0.2.25", "2001:db8::25"
NAME = "mx1.host.test"
DIRECT = Way((V4, V6), (), "")


def right() -> DnsData:
    return DnsData(
        hosts={NAME: [V4, V6], "mx.far.test": ["198.51.100.1"]},
        pointers={V4: [NAME], V6: ["other.test", NAME]},
        mx={"far.test": [(5, "mx.far.test")]},
    )


def asking(dns: DnsData) -> Inquiry:
    return Inquiry(dns, Deadline.after(ManualClock(), 60))


def looked(dns: DnsData, name: str = NAME, leaves: Way = DIRECT) -> list[Finding]:
    return list(names.look(name, name, leaves, asking(dns)))


def test_silent_on_a_right_set_up() -> None:
    assert looked(right()) == []
    assert looked(right(), leaves=Way((), (), "[smart.test]")) == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("localhost", "has no domain"),
        ("mail", "has no domain"),
        ("localhost.localdomain", "ends in localdomain"),
        ("Mail.LAN", "ends in lan"),
        ("[192.0.2.1]", "is an address"),
        ("mail host.test", "is no host's name"),
        ("", "is no host's name"),
    ],
)
def test_names_that_are_none_for_others(name: str, says: str) -> None:
    (finding,) = looked(right(), name)
    assert (finding.code, finding.where) == (codes.NAME_BARE, "myhostname")
    assert says in finding.what


def unresolved(dns: DnsData) -> None:
    dns.hosts = {"old.test": [V4, V6]}
    dns.pointers = {V4: ["old.test"], V6: ["old.test"]}


def elsewhere(dns: DnsData) -> None:
    unresolved(dns)
    dns.hosts[NAME] = ["192.0.2.99", V6]


def missing(dns: DnsData) -> None:
    del dns.pointers[V6]


def unconfirmed(dns: DnsData) -> None:
    dns.pointers[V4] = ["claimed.bank.test"]


def unanswered(dns: DnsData) -> None:
    dns.failing.add(V4)


def unanswered_forward(dns: DnsData) -> None:
    dns.pointers[V4] = ["silent.test"]
    dns.failing.add("silent.test")


def spoilt(change: Callable[[DnsData], None]) -> list[Finding]:
    dns = right()
    change(dns)
    return looked(dns)


BOUND = {"smtp_bind_address": "192.0.2.7", "smtp_bind_address6": "[2001:db8::7]"}


def unreached() -> list[Finding]:
    def connect(*_: object) -> None:
        raise TimeoutError

    inquiry = asking(right())
    return list(port25.look(port25.exchangers(["far.test"], inquiry), (), inquiry, connect))


FAULTS: list[tuple[Code, str, Callable[[], list[Finding]]]] = [
    (codes.NAME_BARE, "myhostname", lambda: looked(right(), "localhost")),
    (codes.NAME_UNRESOLVED, NAME, lambda: spoilt(unresolved)),
    (codes.NAME_ELSEWHERE, f"{NAME}, {V4}", lambda: spoilt(elsewhere)),
    (codes.REVERSE_MISSING, V6, lambda: spoilt(missing)),
    (codes.REVERSE_UNCONFIRMED, V4, lambda: spoilt(unconfirmed)),
    (codes.UNANSWERED, "DNS", lambda: spoilt(unanswered)),
    (codes.UNANSWERED, "DNS", lambda: spoilt(unanswered_forward)),
    (codes.ADDRESS_UNKNOWN, "10.0.0.5", lambda: looked(right(), leaves=Way((), ("10.0.0.5",), ""))),
    (codes.NOT_OURS, "2001:db8::7", lambda: list(misbound(BOUND, lambda one: one == "192.0.2.7"))),
    (codes.NO_WAY_OUT, "outbound SMTP", unreached),
    (codes.CLOCK_FREE, "clock", lambda: list(timekeeping.look(False))),
]


@pytest.mark.parametrize(("code", "where", "look"), FAULTS)
def test_each_fault_is_found_alone(code: Code, where: str, look: Callable[[], list[Finding]]) -> None:
    assert [(finding.code, finding.where) for finding in look()] == [(code, where)]


def test_hostile_names_are_told_in_plain_and_short_words() -> None:
    dns = right()
    dns.pointers[V4] = ["\x1b[2J\xff" * 100] * 1_000
    (finding,) = looked(dns)
    assert finding.code is codes.REVERSE_UNCONFIRMED
    assert finding.what.isprintable()
    assert len(finding.what) < 300
    assert len(dns.asked) < 100


class TestTheWayOut:
    @staticmethod
    def of(
        source: tuple[str | None, str | None] = (V4, V6),
        configured: tuple[str, ...] = (),
        named: tuple[str, ...] = (),
        **values: str,
    ) -> Way:
        known = dict.fromkeys(PARAMETERS, "")
        known |= {"inet_protocols": "all", "inet_interfaces": "all", **values}
        return way(known, configured, lambda version: source[version // 6], lambda: named)

    def test_the_addresses_of_the_route(self) -> None:
        assert self.of() == DIRECT
        assert self.of(source=(V4, None)).senders == (V4,)
        assert self.of(inet_protocols="ipv4").senders == (V4,)
        assert self.of(inet_protocols="ipv6, ipv4").senders == (V4, V6)

    def test_what_postfix_is_told_goes_before(self) -> None:
        told = {"smtp_bind_address": "192.0.2.7", "smtp_bind_address6": "[2001:db8::7]"}
        assert self.of(**told).senders == bound(told) == ("192.0.2.7", "2001:db8::7")
        assert self.of(inet_interfaces="192.0.2.8, ::1").senders == ("192.0.2.8", V6)
        assert self.of(inet_interfaces="192.0.2.8 192.0.2.9 loopback-only").senders == (V4, V6)

    def test_what_is_configured_goes_before_all(self) -> None:
        assert self.of(configured=("192.0.2.9",), smtp_bind_address="192.0.2.7").senders == ("192.0.2.9",)

    def test_behind_nat(self) -> None:
        inside = ("10.0.0.5", "fd00::5")
        assert self.of(inside, proxy_interfaces="192.0.2.1, [2001:db8::1]").senders == (
            "192.0.2.1",
            "2001:db8::1",
        )
        found = self.of(inside, named=("192.0.2.2", "10.0.0.5"))
        assert (found.senders, found.hidden) == (("192.0.2.2",), ("fd00::5",))

    def test_all_by_a_relay(self) -> None:
        found = self.of(relayhost="[smart.test]:587, [other.test]")
        assert (found.senders, found.hidden, found.relay) == ((), (), "[smart.test]:587")
        told = {"relayhost": "[other.test]", "default_transport": "smtp:[smart.test]:587"}
        assert self.of(**told) == found
        assert self.of(default_transport="error:5.7.1 not from here").relay == ""


class TestPort25:
    @staticmethod
    def tried(
        hosts: Iterable[tuple[str, int]], inquiry: Inquiry, error: OSError | None, own: tuple[str, ...] = ()
    ) -> tuple[list[Finding], list[tuple[str, int]]]:
        places: list[tuple[str, int]] = []

        def connect(address: str, port: int, _seconds: float) -> None:
            places.append((address, port))
            if error:
                raise error

        return list(port25.look(hosts, own, inquiry, connect)), places

    def test_one_that_is_reached_is_enough(self) -> None:
        inquiry = asking(right())
        found, places = self.tried(port25.exchangers(["far.test", "far.test"], inquiry), inquiry, None)
        assert (found, places) == ([], [("198.51.100.1", 25)])

    @pytest.mark.parametrize(
        ("error", "says"),
        [
            (TimeoutError(), "198.51.100.1 port 25: timed out"),
            (ConnectionRefusedError(111, "Connection refused"), "198.51.100.1 port 25: Connection refused"),
            (OSError(101, "Network is unreachable"), "198.51.100.1 port 25: Network is unreachable"),
        ],
    )
    def test_none_that_is_reached(self, error: OSError, says: str) -> None:
        inquiry = asking(right())
        (finding,), _ = self.tried(port25.exchangers(["far.test"], inquiry), inquiry, error)
        assert (finding.code, finding.what) == (codes.NO_WAY_OUT, says)

    @pytest.mark.parametrize(
        ("versions", "tried"),
        [
            ((4, 6), ["198.51.100.1", "198.51.100.2", "2001:db8::1"]),
            ((4,), ["198.51.100.1", "198.51.100.2"]),
            ((6,), ["2001:db8::1"]),
        ],
    )
    def test_each_version_of_ip_in_which_mail_is_sent(
        self, versions: tuple[int, ...], tried: list[str]
    ) -> None:
        dns = right()
        dns.hosts["mx.far.test"] = ["198.51.100.1", "198.51.100.2", "198.51.100.3", "2001:db8::1"]
        places: list[str] = []

        def connect(address: str, _port: int, _seconds: float) -> None:
            places.append(address)
            if ":" not in address:
                raise OSError(101, "Network is unreachable")

        inquiry = asking(dns)
        found = list(
            port25.look(port25.exchangers(["far.test"], inquiry), (), inquiry, connect, versions=versions)
        )
        assert places == tried
        assert bool(found) is (6 not in versions)

    def test_this_host_itself_shows_nothing(self) -> None:
        inquiry = asking(right())
        assert self.tried([(NAME, 25)], inquiry, OSError(), own=(V4, V6)) == ([], [])

    def test_nobody_to_try(self) -> None:
        inquiry = asking(right())
        assert self.tried(port25.exchangers(["none.test"], inquiry), inquiry, None) == ([], [])

    def test_nobody_who_can_be_looked_up(self) -> None:
        dns = right()
        dns.failing.add("far.test")
        inquiry = asking(dns)
        (finding,), places = self.tried(port25.exchangers(["far.test"], inquiry), inquiry, None)
        assert (finding.code, finding.where, places) == (codes.UNANSWERED, "outbound SMTP", [])

    @pytest.mark.parametrize(
        ("relay", "places"),
        [
            ("[198.51.100.9]", [("198.51.100.9", 25)]),
            ("[2001:db8::9]:587", [("2001:db8::9", 587)]),
            ("[mx.far.test]:submission", [("mx.far.test", 587)]),
            ("[mx.far.test]:nonsense", [("mx.far.test", 25)]),
            ("far.test", [("mx.far.test", 25)]),
            ("far.test:2525", [("mx.far.test", 2525)]),
            ("mx.far.test", [("mx.far.test", 25)]),
            ("][", []),
        ],
    )
    def test_relays(self, relay: str, places: list[tuple[str, int]]) -> None:
        assert list(port25.relays(relay, asking(right()))) == places

    def test_a_real_connection(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            assert list(port25.look([("127.0.0.1", port)], (), asking(right()))) == []


def test_an_address_of_this_host() -> None:
    assert routing.has("127.0.0.1")


@pytest.mark.parametrize(("number", "has"), [(errno.EADDRNOTAVAIL, False), (errno.EMFILE, True)])
def test_an_address_that_cannot_be_bound(monkeypatch: pytest.MonkeyPatch, number: int, has: bool) -> None:
    def fails(*_: object) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(socket, "socket", fails)
    assert routing.has("192.0.2.7") is has
    assert routing.source(4) is None


def test_the_clock() -> None:
    assert list(timekeeping.look(True)) == list(timekeeping.look(None)) == []
    assert timekeeping.is_kept() in (True, False, None)


def test_every_code_has_a_fault_here() -> None:
    assert {code for code, _, _ in FAULTS} == set(codes.CODES)
