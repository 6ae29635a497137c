"""DMARC: each rule as a case with its DNS beside it (tests/golden/dmarc), and whatever else may come."""

from __future__ import annotations

import itertools
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dns_data import DnsData
from postmask.auth import dmarc
from postmask.auth.dmarc.record import Psd, Record, parse_record
from postmask.auth.dmarc.tree import organisation, walk
from postmask.authentication import DkimResult, Dmarc, DmarcResult, Policy, Spf, SpfResult
from postmask.clock import Deadline, ManualClock
from postmask.directory.lookup import Found
from postmask.message.headers import split

CASES = sorted((Path(__file__).parents[2] / "golden" / "dmarc").glob("*.toml"))
NO_SPF = SpfResult(Spf.NONE, "")


def judge(
    dns: DnsData, domain: str, spf: SpfResult = NO_SPF, dkim: tuple[DkimResult, ...] = ()
) -> DmarcResult:
    return dmarc.Judge(domain, dns, Deadline.after(ManualClock(), 3)).judge(spf, dkim)


def shown(result: DmarcResult) -> str:
    if result.result is Dmarc.NONE:
        return "none"
    by = {(True, True): "both", (True, False): "spf", (False, True): "dkim"}
    middle = by[result.by_spf, result.by_dkim] if result.result is Dmarc.PASS else result.policy
    return f"{result.result} {middle} {result.record_domain or '-'}"


def zone(case: Mapping[str, Any]) -> DnsData:
    return DnsData(
        txts={
            f"_dmarc.{name}": [value.encode() for value in values] for name, values in case["dmarc"].items()
        },
        empty=set(case.get("exists", ())),
        failing=set(case.get("failing", ())),
    )


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_each_rule(path):
    case = tomllib.loads(path.read_text())
    dns = zone(case)
    dkim = tuple(
        DkimResult(domain=domain, passed=result == "pass", temporary=result == "temp")
        for result, domain in case.get("dkim", ())
    )
    result, domain = case.get("spf", ("none", ""))
    found = judge(dns, case["from"], SpfResult(Spf(result), domain), dkim)
    assert shown(found) == case["expect"], case["rule"]
    if "asked" in case:
        assert list(dict.fromkeys(dns.asked)) == case["asked"], case["rule"]


def test_there_are_cases():
    assert len(CASES) >= 60


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("From: a@example.com", "example.com"),
        ("From: A <a@Example.COM.>", "example.com"),
        ('From: "ceo@bank.test" <a@example.com>', "example.com"),
        ("From: a@example.com, b@example.com", "example.com"),
        ("From: a@bücher.example", "xn--bcher-kva.example"),
        ("From: a@example.com, b@example.net", None),
        ("From: a@example.com\r\nFrom: a@example.com", None),
        ("From: a@[192.0.2.1]", None),
        ("From: nobody", None),
        ("From:", None),
        ("To: a@example.com", None),
    ],
)
def test_author_domain(field, expected):
    headers, _ = split(field.encode() + b"\r\n\r\n")
    assert dmarc.author_domain(headers) == expected


@given(st.lists(st.sampled_from(["a", "bc", "xn--x"]), min_size=1, max_size=120))
def test_a_walk_is_short_and_climbs(labels):
    domain = ".".join(labels)
    names = list(walk(domain))
    assert len(names) <= 8
    assert names[0] == domain
    assert names[-1] == labels[-1]
    assert all(longer.endswith("." + shorter) for longer, shorter in itertools.pairwise(names))


@given(st.binary(max_size=200) | st.text("v=DMARC1;psntquarei jck:@ \t", max_size=80).map(str.encode))
def test_any_record_is_survived(value):
    parse_record(value)
    record = parse_record(b"v=DMARC1;" + value)
    assert isinstance(record, Record)


def test_a_hostile_record_costs_little():
    start = time.process_time()
    for value in (b" ;" * 30_000, b"p=" + b" " * 60_000, b"rua=" + b"a:," * 20_000, b"a" * 60_000):
        assert parse_record(b"v=DMARC1;" + value) is not None
    assert time.process_time() - start < 1.0


def test_nothing_given_is_a_policy_of_none():
    assert parse_record(b"v=DMARC1") == Record()
    assert parse_record(b"v=DMARC1; psd=N") == Record(psd=Psd.NO)
    assert parse_record(b"v=DMARC10; p=reject") is None


_DOMAINS = st.lists(st.sampled_from(["a", "b", "example", "com"]), min_size=1, max_size=5).map(".".join)
_RECORDS = st.sampled_from(
    [
        "v=DMARC1; p=reject",
        "v=DMARC1; p=none; np=reject",
        "v=DMARC1; psd=y",
        "v=DMARC1; psd=n",
        "x",
        "v=DMARC1; p=?",
    ]
)


@settings(max_examples=300)
@given(
    author=_DOMAINS,
    signer=_DOMAINS,
    records=st.dictionaries(_DOMAINS, st.lists(_RECORDS, max_size=2), max_size=6),
    failing=st.sets(_DOMAINS, max_size=2),
)
def test_whatever_is_published(author, signer, records, failing):
    """Only a result of fail has a policy; a pass needs one organisation; each walk lies within its own."""
    dns = DnsData(
        txts={f"_dmarc.{name}": [value.encode() for value in values] for name, values in records.items()},
        failing={f"_dmarc.{name}" for name in failing},
    )
    deadline = Deadline.after(ManualClock(), 3)
    signed = (DkimResult(domain=signer, passed=True),)
    result = judge(dns, author, dkim=signed)
    assert result.policy is Policy.NONE or result.result is Dmarc.FAIL
    own, other = organisation(author, dns, deadline), organisation(signer, dns, deadline)
    for domain, found in ((author, own), (signer, other)):
        if isinstance(found, Found):
            assert domain == found.value or domain.endswith("." + found.value)
    if result.result is Dmarc.PASS and author != signer:
        assert own == other
    if result.result is Dmarc.FAIL and isinstance(own, Found) and isinstance(other, Found):
        assert own != other
