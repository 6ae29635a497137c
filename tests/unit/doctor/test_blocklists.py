"""Block lists: listings told apart from lists that don't answer, refuse, or lie."""

from __future__ import annotations

import pytest

from dns_data import DnsData
from postmask.clock import Deadline, ManualClock
from postmask.doctor import blocklists
from postmask.doctor.blocklists import CODES, DEAD, LISTED, LISTS_ALL, NONSENSE, REFUSED, UNANSWERED
from postmask.doctor.finding import Code, Finding
from postmask.doctor.inquiry import Inquiry

V4, V6 = "192.0.2.25", "2001:db8::25"
ZONE = "bl.test"
TEST, NEVER = f"2.0.0.127.{ZONE}", f"1.0.0.127.{ZONE}"
LISTING4 = f"25.2.0.192.{ZONE}"
LISTING6 = f"5.2.0.0.{'0.' * 20}8.b.d.0.1.0.0.2.{ZONE}"


def looked(dns: DnsData) -> list[Finding]:
    return list(blocklists.look(ZONE, [V4, V6], Inquiry(dns, Deadline.after(ManualClock(), 60))))


def test_silent_where_nothing_is_listed() -> None:
    dns = DnsData(hosts={TEST: ["127.0.0.2", "127.0.0.4"]})
    assert looked(dns) == []
    assert set(dns.asked) == {TEST, NEVER, LISTING4, LISTING6}


LISTS = {TEST: ["127.0.0.2"]}


FAULTS: list[tuple[dict[str, list[str]], Code, str, str]] = [
    ({LISTING4: ["127.0.0.2", "127.0.0.10"]}, LISTED, f"{V4}, {ZONE}", "(127.0.0.2, 127.0.0.10)"),
    ({LISTING6: ["127.0.0.3"]}, LISTED, f"{V6}, {ZONE}", "(127.0.0.3)"),
    ({TEST: ["127.255.255.254"]}, REFUSED, ZONE, "the resolver is a public one"),
    ({TEST: ["127.255.255.255"]}, REFUSED, ZONE, "asks too much"),
    ({TEST: ["127.255.255.252"]}, REFUSED, ZONE, "mistyped"),
    ({TEST: ["127.255.255.250"]}, REFUSED, ZONE, "it refuses to answer"),
    ({TEST: ["127.0.0.1"]}, REFUSED, ZONE, "it refuses to answer"),
    ({LISTING4: ["127.255.255.255"]}, REFUSED, f"{V4}, {ZONE}", "asks too much"),
    ({LISTING4: ["127.0.0.2", "127.255.255.255"]}, REFUSED, f"{V4}, {ZONE}", "asks too much"),
    ({TEST: []}, DEAD, ZONE, "127.0.0.2"),
    ({NEVER: ["127.0.0.2"], LISTING4: ["127.0.0.2"]}, LISTS_ALL, ZONE, "127.0.0.1"),
    ({TEST: ["203.0.113.80"]}, NONSENSE, ZONE, "203.0.113.80"),
    ({LISTING4: ["203.0.113.80"]}, NONSENSE, f"{V4}, {ZONE}", "203.0.113.80"),
]


@pytest.mark.parametrize(("hosts", "code", "where", "says"), FAULTS)
def test_each_fault_is_found_alone(hosts: dict[str, list[str]], code: Code, where: str, says: str) -> None:
    (finding,) = looked(DnsData(hosts=LISTS | hosts))
    assert (finding.code, finding.where) == (code, where)
    assert says in finding.what


def test_the_list_says_why_in_plain_and_short_words() -> None:
    dns = DnsData(hosts=LISTS | {LISTING4: ["127.0.0.2"]}, txts={LISTING4: [b"see \x1b[2J\xff " * 1_000]})
    (finding,) = looked(dns)
    assert finding.what.startswith(f"{ZONE} lists {V4} (127.0.0.2): see ?[2J? see")
    assert finding.what.isprintable()
    assert len(finding.what) < 300


SILENCES: list[tuple[str, Code]] = [(TEST, UNANSWERED), (NEVER, UNANSWERED), (LISTING4, UNANSWERED)]


@pytest.mark.parametrize(("failing", "code"), SILENCES)
def test_no_answer_is_neither_a_listing_nor_none(failing: str, code: Code) -> None:
    (finding,) = looked(DnsData(hosts=dict(LISTS), failing={failing}))
    assert (finding.code, finding.where) == (code, ZONE)
    assert failing in finding.what


def test_every_code_has_a_fault_here() -> None:
    assert set(CODES) == {code for _, code, _, _ in FAULTS} | {code for _, code in SILENCES}
