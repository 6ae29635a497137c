"""SPF, DKIM and DMARC of a message in one go: what is asked first, and what no DNS does to it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkim_mail import published, rsa_key, stranger_signs
from postmask.auth.authenticate import Peer, authenticate
from postmask.auth.questions import BUDGET, MOMENT, REST, Questions
from postmask.authentication import Authentication, Dmarc, DmarcResult, Policy, Spf, SpfResult
from postmask.breaker import Breaker
from postmask.clock import Deadline, ManualClock
from postmask.message.headers import split
from slow_dns import SlowDns

MESSAGE = b"From: Bob <bob@example.com>\r\nTo: shop@alias.test\r\nSubject: Hello\r\n\r\nHello.\r\n"
PEER = Peer("192.0.2.1", "mx.example.com", "bounce@mail.example.com")


class Site:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.breaker = Breaker(self.clock, REST, lambda: 0.5)
        self.dns = SlowDns(clock=self.clock)
        self.dns.txts["_dmarc.example.com"] = [b"v=DMARC1; p=reject"]
        self.dns.txts["mail.example.com"] = [b"v=spf1 ip4:192.0.2.1 -all"]
        self.dns.txts["mx.example.com"] = [b"v=spf1 a -all"]
        self.dns.hosts["mx.example.com"] = ["192.0.2.1"]
        published(self.dns, rsa_key())

    def judges(self, message: bytes, peer: Peer = PEER) -> Authentication:
        headers, body = split(message)
        questions = Questions(self.dns, self.breaker, self.clock)
        deadline = Deadline.after(self.clock, 10)
        return authenticate(headers, body, peer, questions, deadline, self.clock.now())


@pytest.fixture
def site() -> Site:
    return Site()


def test_all_results(site):
    found = site.judges(stranger_signs(MESSAGE, rsa_key()))
    assert found.spf == SpfResult(Spf.PASS, "mail.example.com")
    assert found.helo == SpfResult(Spf.PASS, "mx.example.com")
    assert [(one.domain, one.passed) for one in found.dkim] == [("example.com", True)]
    assert found.dmarc == DmarcResult(
        Dmarc.PASS, domain="example.com", record_domain="example.com", by_spf=True, by_dkim=True
    )
    assert site.dns.asked == [
        "_dmarc.example.com",
        "mail.example.com",
        "s1._domainkey.example.com",
        "mx.example.com",  # its SPF record
        "mx.example.com",  # its address
        "_dmarc.com",
        "_dmarc.mail.example.com",
    ]


def test_the_authors_own_domain_needs_no_tree_walk(site):
    site.dns.txts["example.com"] = [b"v=spf1 ip4:192.0.2.1 -all"]
    found = site.judges(stranger_signs(MESSAGE, rsa_key()), Peer("192.0.2.1", "h.test", "x@example.com"))
    assert (found.dmarc.by_spf, found.dmarc.by_dkim) == (True, True)
    assert site.dns.asked == ["_dmarc.example.com", "example.com", "s1._domainkey.example.com", "h.test"]


def test_a_forged_author_fails(site):
    found = site.judges(MESSAGE, Peer("198.51.100.9", "evil.test", "x@evil.test"))
    assert (found.dmarc.result, found.dmarc.policy) == (Dmarc.FAIL, Policy.REJECT)


def test_a_null_sender_is_judged_by_helo_once(site):
    found = site.judges(MESSAGE, Peer("192.0.2.1", "mx.example.com", ""))
    assert found.spf == found.helo == SpfResult(Spf.PASS, "mx.example.com")
    assert found.dmarc.by_spf
    assert site.dns.asked.count("mx.example.com") == 2, "TXT and A"


def test_helo_is_no_identity_for_dmarc(site):
    found = site.judges(MESSAGE, Peer("192.0.2.1", "mx.example.com", "x@example.net"))
    assert found.helo.result is Spf.PASS
    assert found.dmarc.result is Dmarc.FAIL


@pytest.mark.parametrize("header", [b"", b"From: a@example.com, b@example.net\r\n", b"From: x\r\n"])
def test_without_one_author_there_is_no_policy(site, header):
    found = site.judges(header + b"Subject: x\r\n\r\nx\r\n")
    assert found.dmarc == DmarcResult(Dmarc.PERMERROR, reason="From names not exactly one domain")
    assert found.spf.result is Spf.PASS


def test_an_unknown_client_has_no_spf(site):
    found = site.judges(MESSAGE, Peer("", "", "bob@example.com"))
    assert found.spf.result is found.helo.result is Spf.NONE


def test_dead_servers_of_a_forger_do_not_hide_the_policy(site):
    """Ten signatures, sender and HELO of domains that never answer, before a forged one that matters."""
    site.dns.slow = {"evil.test"}
    signed = stranger_signs(MESSAGE, rsa_key(), selector="s2")
    for number in range(9):
        signed = stranger_signs(signed, rsa_key(), domain=f"d{number}.evil.test")
    found = site.judges(signed, Peer("192.0.2.1", "h.evil.test", "x@m.evil.test"))
    assert (found.dmarc.result, found.dmarc.policy) == (Dmarc.FAIL, Policy.REJECT)
    assert found.dkim[9].reason == "there is no key", "it was looked up, though it stands last"
    assert [one.temporary for one in found.dkim] == [True] * 9 + [False]
    assert found.spf == SpfResult(Spf.TEMPERROR, "m.evil.test")
    assert site.dns.waited == pytest.approx(BUDGET)


def test_dead_servers_of_a_list_do_not_hide_the_authors_signature(site):
    """That of the organisation, which speaks for all that lies under it."""
    site.dns.slow = {"list.test"}
    site.dns.txts["_dmarc.example.com"] = [b"v=DMARC1; p=reject"]
    message = MESSAGE.replace(b"bob@example.com", b"bob@news.example.com")
    signed = stranger_signs(message, rsa_key())
    for number in range(3):
        signed = stranger_signs(signed, rsa_key(), domain=f"d{number}.list.test")
    found = site.judges(signed, Peer("192.0.2.1", "h.list.test", "x@m.list.test"))
    assert found.dmarc.result is Dmarc.PASS
    assert [one.passed for one in found.dkim] == [False] * 3 + [True]
    assert found.spf.result is Spf.TEMPERROR


def test_a_slow_list_does_not_hide_the_authors_signature(site):
    """Whoever brings mail with an envelope sender of his own has as many names as SPF lets him have."""
    site.dns.takes = 0.7
    site.dns.txts["list.test"] = [b"v=spf1 a:a.list.test a:b.list.test -all"]
    site.dns.hosts.update({"a.list.test": ["192.0.2.8"], "b.list.test": ["192.0.2.9"]})
    found = site.judges(stranger_signs(MESSAGE, rsa_key()), Peer("192.0.2.1", "h.test", "x@list.test"))
    assert found.dmarc.result is Dmarc.PASS
    assert found.dkim[0].passed


def test_a_slow_helo_does_not_hide_the_policy(site):
    """With the forged domain in the envelope too, HELO alone is the forger's own."""
    site.dns.takes = 0.9
    site.dns.txts["example.com"] = [b"v=spf1 -all"]
    site.dns.txts["h.evil.test"] = [b"v=spf1 a:a.evil.test -all"]
    found = site.judges(MESSAGE, Peer("192.0.2.1", "h.evil.test", "bob@example.com"))
    assert (found.dmarc.result, found.dmarc.policy) == (Dmarc.FAIL, Policy.REJECT)
    assert found.helo.result is Spf.TEMPERROR


def test_dead_servers_of_a_forger_do_not_hide_that_a_domain_does_not_exist(site):
    site.dns.slow = {"evil.test"}
    site.dns.txts["_dmarc.example.com"] = [b"v=DMARC1; p=none; np=reject"]
    message = MESSAGE.replace(b"bob@example.com", b"bob@nowhere.example.com")
    found = site.judges(message, Peer("192.0.2.1", "h.evil.test", "x@m.evil.test"))
    assert (found.dmarc.result, found.dmarc.policy) == (Dmarc.FAIL, Policy.REJECT)
    assert site.dns.waited == pytest.approx(BUDGET)


def test_results_keep_the_order_of_the_fields(site):
    published(site.dns, rsa_key(), "other.test")
    signed = stranger_signs(MESSAGE, rsa_key())
    signed = stranger_signs(signed, rsa_key(), domain="other.test")
    signed = b"DKIM-Signature: junk\r\n" + signed
    assert [one.domain for one in site.judges(signed).dkim] == ["", "other.test", "example.com"]


def test_with_dns_dead_nothing_is_certain_and_soon_nobody_waits(site):
    site.dns.slow = {""}
    signed = stranger_signs(MESSAGE, rsa_key())
    for number in range(REST.failures + 3):
        before = site.dns.waited
        found = site.judges(signed)
        assert found.spf.result is Spf.TEMPERROR
        assert found.dkim[0].temporary
        assert found.dmarc.result is Dmarc.TEMPERROR
        assert found.dmarc.policy is Policy.NONE
        limit = BUDGET if number < REST.failures else MOMENT
        assert site.dns.waited - before == pytest.approx(limit)
    site.dns.slow = set()
    assert site.judges(signed).dmarc.result is Dmarc.PASS


def test_a_clients_own_pointer_cannot_make_spf_uncertain(site):
    site.dns.txts["mail.example.com"] = [b"v=spf1 ptr -all"]
    site.dns.failing.add("192.0.2.1")
    assert site.judges(MESSAGE).spf.result is Spf.FAIL
    site.dns.failing = {"dead.mail.example.com"}
    site.dns.pointers["192.0.2.1"] = ["dead.mail.example.com"]
    assert site.judges(MESSAGE).spf.result is Spf.FAIL


@settings(max_examples=60)
@given(
    header=st.binary(max_size=120),
    helo=st.text(max_size=20),
    sender=st.text(max_size=30),
    address=st.text(max_size=20) | st.ip_addresses().map(str),
)
def test_anything_is_survived(header, helo, sender, address):
    site = Site()
    message = header + b"\r\nFrom: x@example.com\r\n\r\nx"
    assert isinstance(site.judges(message, Peer(address, helo, sender)), Authentication)
