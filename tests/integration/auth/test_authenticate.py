"""SPF, DKIM and DMARC by a real DNS server, and with one that is hung."""

from __future__ import annotations

import time

import pytest

from dkim_mail import rsa_key, stranger_signs
from nameserver import Nameserver
from postmask.auth.authenticate import Peer, authenticate
from postmask.auth.dkim import public_record
from postmask.auth.dns import Resolver
from postmask.auth.questions import BUDGET, REST, Questions
from postmask.authentication import Authentication, Dmarc, Policy, Spf
from postmask.breaker import Breaker
from postmask.clock import Deadline, SystemClock
from postmask.message.headers import split

CLOCK = SystemClock()
MESSAGE = b"From: Bob <bob@news.example.com>\r\nTo: shop@alias.test\r\nSubject: Hello\r\n\r\nHello.\r\n"
PEER = Peer("192.0.2.1", "mx.example.com", "bounce@example.com")


class Site:
    def __init__(self, nameserver: Nameserver) -> None:
        self.resolver = Resolver([nameserver.address], timeout=2.0)
        self.breaker = Breaker(CLOCK, REST)

    def judges(self, message: bytes, peer: Peer = PEER, budget: float = BUDGET) -> Authentication:
        headers, body = split(message)
        questions = Questions(self.resolver, self.breaker, CLOCK, budget)
        return authenticate(headers, body, peer, questions, Deadline.after(CLOCK, 30), CLOCK.now())


@pytest.fixture
def site(nameserver: Nameserver) -> Site:
    nameserver.txt("_dmarc.example.com", "v=DMARC1; p=quarantine; sp=none; np=reject")
    nameserver.txt("example.com", "v=spf1 ip4:192.0.2.1 -all")
    nameserver.txt("s1._domainkey.news.example.com", public_record(rsa_key()))
    return Site(nameserver)


def test_a_message_of_a_subdomain(site):
    found = site.judges(stranger_signs(MESSAGE, rsa_key(), domain="news.example.com"))
    assert found.spf.result is Spf.PASS
    assert found.dkim[0].passed
    assert found.dmarc.result is Dmarc.PASS
    assert (found.dmarc.by_spf, found.dmarc.by_dkim) == (True, True)


def test_a_name_that_does_not_exist(site):
    forged = MESSAGE.replace(b"@news.", b"@nowhere.")
    found = site.judges(forged, Peer("198.51.100.1", "h.test", "x@h.test"))
    assert (found.dmarc.result, found.dmarc.policy) == (Dmarc.FAIL, Policy.REJECT)
    found = site.judges(MESSAGE, Peer("198.51.100.1", "h.test", "x@h.test"))
    assert (found.dmarc.result, found.dmarc.policy) == (Dmarc.FAIL, Policy.NONE)


def test_a_hung_dns_delays_no_message_by_more_than_its_share_and_soon_by_next_to_nothing(site, nameserver):
    signed = stranger_signs(MESSAGE, rsa_key(), domain="news.example.com")

    def seconds(budget: float) -> float:
        start = time.monotonic()
        found = site.judges(signed, budget=budget)
        assert found.dmarc.result is Dmarc.TEMPERROR
        assert found.spf.result is Spf.TEMPERROR
        return time.monotonic() - start

    with nameserver.hung():
        assert seconds(BUDGET) < BUDGET + 2
        for _ in range(REST.failures - 1):
            seconds(0.3)
        assert sorted(seconds(BUDGET) for _ in range(5))[2] < 1.0
    deadline = Deadline.after(CLOCK, 30)
    while site.judges(signed).dmarc.result is not Dmarc.PASS:
        assert not deadline.passed, "it closes as soon as DNS answers"
