"""SPF with the DNS as data. (The records' language is pyspf's business: here are the seams and limits.)"""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dns_data import DnsData
from postmask.auth import spf
from postmask.authentication import Spf, SpfResult
from postmask.clock import Deadline, ManualClock

SENDER = "owner@example.com"


@pytest.fixture
def dns() -> DnsData:
    return DnsData()


def check(
    dns: DnsData, ip: str = "192.0.2.1", helo: str = "mx.example.com", sender: str = SENDER
) -> SpfResult:
    return spf.check(ip, helo, sender, dns, Deadline.after(ManualClock(), 10))


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ("v=spf1 ip4:192.0.2.0/24 -all", Spf.PASS),
        ("v=spf1 ip4:198.51.100.1 -all", Spf.FAIL),
        ("v=spf1 ~all", Spf.SOFTFAIL),
        ("v=spf1 ?all", Spf.NEUTRAL),
        ("v=spf1", Spf.NEUTRAL),
        ("v=spf1 nonsense:x -all", Spf.PERMERROR),
        ("v=spf1 a -all", Spf.PASS),
        ("v=spf1 a:mx.example.com -all", Spf.PASS),
        ("v=spf1 mx -all", Spf.PASS),
        ("v=spf1 ptr -all", Spf.PASS),
        ("v=spf1 exists:%{ir}.list.example.com -all", Spf.PASS),
        ("v=spf1 include:good.example.net -all", Spf.PASS),
        ("v=spf1 include:bad.example.net ~all", Spf.SOFTFAIL),
        ("v=spf1 redirect=good.example.net", Spf.PASS),
        ("v=spf1 include:nowhere.example.net -all", Spf.PERMERROR),
        ("v=spf1 -all exp=why.example.com", Spf.FAIL),
    ],
)
def test_results(dns, record, expected):
    dns.txts["example.com"] = [b"some other text", record.encode()]
    dns.hosts["example.com"] = ["192.0.2.1"]
    dns.hosts["mx.example.com"] = ["192.0.2.1"]
    dns.mx["example.com"] = [(10, "mx.example.com")]
    dns.pointers["192.0.2.1"] = ["mx.example.com"]
    dns.hosts["1.2.0.192.list.example.com"] = ["127.0.0.2"]
    dns.txts["good.example.net"] = [b"v=spf1 ip4:192.0.2.1 -all"]
    dns.txts["bad.example.net"] = [b"v=spf1 ip4:198.51.100.1 -all"]
    assert check(dns) == SpfResult(expected, "example.com")
    assert "why.example.com" not in dns.asked


def test_nothing_published(dns):
    assert check(dns).result is Spf.NONE


def test_two_records_are_an_error(dns):
    dns.txts["example.com"] = [b"v=spf1 -all", b"v=spf1 +all"]
    assert check(dns).result is Spf.PERMERROR


def test_ipv6(dns):
    dns.txts["example.com"] = [b"v=spf1 a -all"]
    dns.hosts["example.com"] = ["2001:db8::1"]
    assert check(dns, ip="2001:db8::1").result is Spf.PASS
    assert check(dns, ip="2001:db8::2").result is Spf.FAIL


def test_an_ipv4_client_seen_as_ipv6(dns):
    dns.txts["example.com"] = [b"v=spf1 ip4:192.0.2.1 -all"]
    assert check(dns, ip="::ffff:192.0.2.1").result is Spf.PASS


@pytest.mark.parametrize("name", ["example.com", "sub.example.net"])
def test_dns_trouble_is_temporary(dns, name):
    dns.txts["example.com"] = [b"v=spf1 include:sub.example.net -all"]
    dns.failing.add(name)
    assert check(dns) == SpfResult(Spf.TEMPERROR, "example.com")


def test_a_null_sender_is_judged_by_helo(dns):
    dns.txts["mx.example.com"] = [b"v=spf1 ip4:192.0.2.1 -all"]
    assert check(dns, sender="") == SpfResult(Spf.PASS, "mx.example.com")


@pytest.mark.parametrize("helo", ["", "[192.0.2.1]", "localhost", "a b", "-"])
def test_a_null_sender_with_a_useless_helo(dns, helo):
    assert check(dns, sender="", helo=helo).result is Spf.NONE


@pytest.mark.parametrize("ip", ["", "unknown", "list", "list6", "192.0.2.1/24", "127.0.0.1\n"])
def test_no_address_no_result(dns, ip):
    dns.txts["example.com"] = [b"v=spf1 +all"]
    assert check(dns, ip=ip).result is Spf.NONE


def test_the_domain_is_compared_in_normal_form(dns):
    dns.txts["xn--bcher-kva.example"] = [b"v=spf1 +all"]
    assert check(dns, sender="o@BÜCHER.example.") == SpfResult(Spf.PASS, "xn--bcher-kva.example")


@pytest.mark.parametrize("local", ['"$(x) %{d} @"', '"x@evil.example"', "a@b", "%{d}", "", "x" * 300])
def test_an_odd_local_part_never_changes_the_domain(dns, local):
    dns.txts["example.com"] = [b"v=spf1 exists:%{l}.%{o}.list.example.com -all"]
    dns.txts["evil.example"] = [b"v=spf1 +all"]
    assert check(dns, sender=f"{local}@example.com") == SpfResult(Spf.FAIL, "example.com")
    assert dns.asked[0] == "example.com"


def test_more_than_ten_look_ups_are_an_error(dns):
    dns.txts["example.com"] = [
        b"v=spf1 " + b" ".join(b"include:i%d.example.net" % n for n in range(11)) + b" -all"
    ]
    for n in range(11):
        dns.txts[f"i{n}.example.net"] = [b"v=spf1 -all"]
    assert check(dns).result is Spf.PERMERROR


def test_records_that_point_at_each_other_end(dns):
    dns.txts["example.com"] = [b"v=spf1 redirect=example.net"]
    dns.txts["example.net"] = [b"v=spf1 redirect=example.com"]
    assert check(dns).result is Spf.PERMERROR
    dns.txts["example.com"] = [b"v=spf1 include:example.net -all"]
    dns.txts["example.net"] = [b"v=spf1 include:example.com -all"]
    assert check(dns).result is Spf.PERMERROR


def test_terms_without_an_answer_are_counted(dns):
    dns.txts["example.com"] = [b"v=spf1 a:a1.example.com a:a2.example.com a:a3.example.com +all"]
    assert check(dns).result is Spf.PERMERROR


def test_exchangers_without_an_address_of_the_clients_kind_are_one_term(dns):
    dns.txts["example.com"] = [b"v=spf1 mx ip6:2001:db8::1 -all"]
    dns.mx["example.com"] = [(10, f"mx{n}.example.com") for n in range(3)]
    dns.hosts.update((host, ["192.0.2.1"]) for _, host in dns.mx["example.com"])
    assert check(dns, ip="2001:db8::1").result is Spf.PASS


def test_another_text_is_none_of_ours_however_long(dns):
    dns.txts["example.com"] = [b"verification=" + b"x" * 5_000, b"v=spf1 ip4:192.0.2.1 -all"]
    assert check(dns).result is Spf.PASS


def test_a_record_of_many_terms_is_an_error(dns):
    dns.txts["example.com"] = [b"v=spf1 " + b"ip4:192.0.2.9 " * 300 + b"+all"]
    assert check(dns).result is Spf.PERMERROR


@pytest.mark.parametrize(
    "record",
    [
        b"v=spf1 " + b"a:%{d}" + b"." * 60_000,
        b"v=spf1 a:" + b"%{d}." * 10_000 + b"com",
        b"v=spf1 " + b"x" * 60_000 + b"=y",
        b"v=spf1 " + b"a " * 30_000,
        b"v=spf1 " + b"ip4:192.0.2.9 " * 4_000,
        b"v=spf1 \xff\xfe -all",
        b"v=spf1 a:" + b"%{d10000000r}" * 20,
    ],
    ids=lambda record: repr(record[:20]),
)
def test_a_hostile_record_is_an_error_and_costs_little(dns, record):
    dns.txts["example.com"] = [record]
    start = time.process_time()
    assert check(dns).result in (Spf.PERMERROR, Spf.FAIL, Spf.NEUTRAL)
    assert time.process_time() - start < 1.0


@settings(max_examples=150, deadline=None)
@given(
    terms=st.lists(
        st.tuples(
            st.sampled_from(["", "+", "-", "~", "?", "="]),
            st.sampled_from(
                ["a", "mx", "ptr", "all", "include", "exists", "ip4", "ip6", "redirect", "exp", "x"]
            ),
            st.sampled_from(["", ":", "=", "/", "//", ":/", "%"]),
            st.text("ab1.%{}dirslovhpc/:-_ 0", max_size=10),
        ).map("".join),
        max_size=6,
    )
)
def test_any_record_is_survived(terms):
    dns = DnsData()
    dns.txts["example.com"] = [("v=spf1 " + " ".join(terms)).encode()]
    assert check(dns).result in set(Spf)
