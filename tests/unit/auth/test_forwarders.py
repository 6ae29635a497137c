"""Forwarders that may break DMARC: by their client, or by a domain that is proven."""

from dataclasses import replace

import pytest

from postmask.auth.forwarders import TrustedForwarders
from postmask.authentication import Authentication, DkimResult, Dmarc, DmarcResult, Spf, SpfResult

TRUSTED = TrustedForwarders(["192.0.2.0/24", "2001:db8::7/128", "lists.example.org"])
NOTHING = SpfResult(Spf.NONE, "")
FOUND = Authentication(NOTHING, NOTHING, (), DmarcResult(Dmarc.FAIL))


@pytest.mark.parametrize(
    ("client", "trusted"),
    [
        ("192.0.2.9", True),
        ("2001:db8::7", True),
        ("2001:db8::8", False),
        ("198.51.100.1", False),
        ("", False),
    ],
)
def test_by_client(client: str, trusted: bool) -> None:
    assert TRUSTED.brought(client, FOUND) is trusted


@pytest.mark.parametrize(
    ("domain", "trusted"),
    [
        ("lists.example.org", True),
        ("one.lists.example.org", True),
        ("example.org", False),
        ("evil-lists.example.org", False),
        ("", False),
    ],
)
def test_by_a_proven_domain(domain: str, trusted: bool) -> None:
    by_spf = replace(FOUND, spf=SpfResult(Spf.PASS, domain))
    by_dkim = replace(FOUND, dkim=(DkimResult(domain, passed=True),))
    assert TRUSTED.brought("198.51.100.1", by_spf) is trusted
    assert TRUSTED.brought("198.51.100.1", by_dkim) is trusted


@pytest.mark.parametrize("result", [result for result in Spf if result is not Spf.PASS])
def test_what_is_only_claimed_counts_for_nothing(result: Spf) -> None:
    claimed = replace(
        FOUND,
        spf=SpfResult(result, "lists.example.org"),
        helo=SpfResult(Spf.PASS, "lists.example.org"),
        dkim=(DkimResult("lists.example.org"),),
    )
    assert not TRUSTED.brought("198.51.100.1", claimed)


@pytest.mark.parametrize(
    "found",
    [
        replace(FOUND, spf=SpfResult(Spf.TEMPERROR, "lists.example.org")),
        replace(FOUND, dkim=(DkimResult("lists.example.org", temporary=True),)),
    ],
    ids=["spf", "dkim"],
)
def test_what_dns_does_not_tell_is_neither(found: Authentication) -> None:
    assert not TRUSTED.brought("198.51.100.1", found)
    assert TRUSTED.may_have_brought("198.51.100.1", found)
    assert not TrustedForwarders(["example.net"]).may_have_brought("198.51.100.1", found)


def test_nobody_is_trusted_by_default() -> None:
    assert not TrustedForwarders([]).brought("127.0.0.1", FOUND)
