"""Which rates there are at RCPT, and whom they count as one."""

from __future__ import annotations

import ipaddress
import math

import pytest

from postmask.clock import ManualClock
from postmask.config.sections import Rates
from postmask_milter.rates import RcptRates

OWN = (ipaddress.ip_network("192.0.2.0/24"),)
BOB, SHOP, CLIENT = "bob@example.com", "shop@alias.test", "198.51.100.7"


def rates(sender: float = math.inf, alias: float = math.inf, client: float = math.inf) -> RcptRates:
    return RcptRates(Rates(sender, alias, client), OWN, ManualClock())


def test_each_by_itself() -> None:
    asked = rates(sender=1, alias=2, client=3)
    assert asked.reached(BOB, SHOP, CLIENT, counts=True) == ""
    assert asked.reached("BOB@example.com", "other@alias.test", "203.0.113.5", counts=True) == "sender"
    assert asked.reached("eve@example.com", SHOP, CLIENT, counts=True) == ""
    assert asked.reached("joe@example.com", SHOP, CLIENT, counts=True) == "alias"
    assert asked.reached("joe@example.com", "", CLIENT, counts=True) == ""
    assert asked.reached("ann@example.com", "", CLIENT, counts=True) == "client"


def test_who_only_reads_counts_nothing() -> None:
    asked = rates(1, 1, 1)
    for _ in range(3):
        assert asked.reached(BOB, SHOP, CLIENT, counts=False) == ""
    assert asked.reached(BOB, SHOP, CLIENT, counts=True) == ""
    assert asked.reached(BOB, SHOP, CLIENT, counts=False) == "sender"


def test_what_waits_is_not_counted() -> None:
    asked = rates(sender=1, client=2)
    asked.reached(BOB, SHOP, CLIENT, counts=True)
    for _ in range(5):
        assert asked.reached(BOB, SHOP, CLIENT, counts=True) == "sender"
    assert asked.reached("eve@example.com", SHOP, CLIENT, counts=True) == ""


@pytest.mark.parametrize("client", ["192.0.2.99", "127.0.0.1", "::1", "", "unknown"])
def test_the_null_sender_and_our_own_clients_have_none(client: str) -> None:
    asked = rates(sender=1, client=1)
    assert [asked.reached("", SHOP, client, counts=True) for _ in range(3)] == ["", "", ""]


def test_an_ipv6_network_is_one_client() -> None:
    asked = rates(client=2)
    neighbours = ["2001:db8::1", "2001:db8::ffff:2", "2001:0db8:0:0::3", "2001:db8:0:1::1"]
    assert [asked.reached("", "", one, counts=True) for one in neighbours] == ["", "", "client", ""]
