"""The DNS of our domains: a fault for every code, each found alone, and silence on what is right."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dns_data import DnsData
from postmask.auth.dkim import Algorithm, generate_key, public_record
from postmask.clock import Deadline, ManualClock
from postmask.dnsrecords import wanted
from postmask.doctor.domain import codes, nodes, transport
from postmask.doctor.domain.fetching import FetchError
from postmask.doctor.domain.nodes import Nodes
from postmask.doctor.domain.survey import Domain, Survey
from postmask.doctor.finding import Code, Finding
from postmask.doctor.inquiry import Inquiry
from slow_dns import SlowDns

KEY = public_record(generate_key())
OTHER_KEY = public_record(generate_key(Algorithm.ED25519))
SELECTOR = "pm1._domainkey.a.test"
SENDERS = ("192.0.2.25", "2001:db8::25")
POLICY = b"version: STSv1\r\nmode: enforce\r\nmx: *.host.test\r\nmax_age: 604800\r\n"


def right() -> DnsData:
    """a.test as it should be, served by mx1 and mx2."""
    return DnsData(
        txts={
            "a.test": [b"v=spf1 mx -all", b"some-verification=of-somebody"],
            SELECTOR: [KEY.encode()],
            "_dmarc.a.test": [b"v=DMARC1; p=quarantine; rua=mailto:reports@a.test"],
            "_mta-sts.a.test": [b"v=STSv1; id=20260101T000000;"],
            "_smtp._tls.a.test": [b"v=TLSRPTv1; rua=mailto:tls@a.test,https://reports.a.test/v1"],
        },
        hosts={
            "mx1.host.test": ["192.0.2.25", "2001:db8::25"],
            "mx2.host.test": ["192.0.2.26"],
            "mta-sts.a.test": ["192.0.2.80"],
        },
        mx={"a.test": [(10, "mx1.host.test"), (20, "MX2.host.test")]},
        empty={"a.test"},
    )


def served(_host: str, _addresses: Sequence[str], _deadline: Deadline) -> bytes:
    return POLICY


def examined(
    dns: DnsData,
    fetch: Callable[[str, Sequence[str], Deadline], bytes] = served,
    keys: Sequence[tuple[str, str]] = (("pm1", KEY),),
    domains: Sequence[str] = ("a.test",),
    seconds: float = 60.0,
) -> list[Finding]:
    clock = dns.clock if isinstance(dns, SlowDns) else ManualClock()
    deadline = Deadline.after(clock, seconds)
    known = nodes.known(["mx1.host.test", "mx2.host.test"], SENDERS, Inquiry(dns, deadline))
    survey = Survey(dns, clock, known, fetch)
    listed = [Domain(name, wanted(name, ["mx1.host.test"], keys)) for name in domains]
    return list(survey.look(listed, deadline))


def found(dns: DnsData) -> list[Code]:
    return [finding.code for finding in examined(dns)]


def test_silent_on_a_right_set_up() -> None:
    assert examined(right()) == []


def test_silent_without_what_a_domain_may_do_without() -> None:
    dns = right()
    del dns.txts["_mta-sts.a.test"], dns.txts["_smtp._tls.a.test"]
    assert examined(dns) == []


def test_a_node_by_another_name_is_one_by_its_address() -> None:
    dns = right()
    dns.mx["a.test"] = [(10, "mail.host.test")]
    dns.hosts["mail.host.test"] = ["192.0.2.25", "2001:DB8:0::25"]
    assert examined(dns) == []


Change = Callable[[DnsData], object]


def _set(kind: str, name: str, *values: object) -> Change:
    return lambda dns: getattr(dns, kind).update({name: list(values)})


def _drop(kind: str, name: str) -> Change:
    return lambda dns: getattr(dns, kind).pop(name)


def _spf(*values: bytes) -> Change:
    return _set("txts", "a.test", *values)


def _key(*values: bytes) -> Change:
    return _set("txts", SELECTOR, *values)


def _dmarc(*values: bytes) -> Change:
    return _set("txts", "_dmarc.a.test", *values)


ONE_MORE = [(10, "mx1.host.test"), (20, "more.test")]
DAMAGED = KEY.replace("p=MII", "p=XXX").encode()

FAULTS: list[tuple[Code, list[Change], str]] = [
    (codes.MX_NULL, [_set("mx", "a.test", (0, ".")), _spf(b"v=spf1 a:mx1.host.test -all")], '"."'),
    (codes.MX_NULL, [_set("mx", "a.test", (0, ""), (10, "mx1.host.test"))], "beside mx1.host.test"),
    (codes.MX_MISSING, [_drop("mx", "a.test"), _spf(b"v=spf1 a:mx1.host.test -all")], "nor an address"),
    (
        codes.MX_MISSING,
        [_drop("mx", "a.test"), _spf(b"v=spf1 a:mx1.host.test -all"), _set("hosts", "a.test", "192.0.2.25")],
        "this node",
    ),
    (
        codes.MX_ELSEWHERE,
        [
            _set("mx", "a.test", (10, "more.test")),
            _spf(b"v=spf1 a:mx1.host.test -all"),
            _set("hosts", "more.test", "192.0.2.99"),
            _drop("txts", "_mta-sts.a.test"),
        ],
        "more.test; ours are mx1.host.test, mx2.host.test",
    ),
    (
        codes.MX_FOREIGN,
        [
            _set("mx", "a.test", *ONE_MORE),
            _set("hosts", "more.test", "192.0.2.99"),
            _drop("txts", "_mta-sts.a.test"),
        ],
        "",
    ),
    (codes.MX_UNRESOLVED, [_drop("hosts", "mx2.host.test")], ""),
    (
        codes.MX_LITERAL,
        [_set("mx", "a.test", (10, "mx1.host.test"), (20, "192.0.2.26")), _drop("txts", "_mta-sts.a.test")],
        "",
    ),
    (codes.MX_ALIAS, [lambda dns: dns.aliases.update({"mx2.host.test": "real.test"})], "real.test"),
    (codes.MX_PRIVATE, [_set("hosts", "mx2.host.test", "192.0.2.26", "10.0.0.1")], "10.0.0.1 can't"),
    (codes.SPF_MISSING, [_spf(b"v=spf10 mx -all")], ""),
    (codes.SPF_SEVERAL, [_spf(b"v=spf1 mx -all", b"v=spf1 -all")], "it has 2"),
    (codes.SPF_BROKEN, [_spf(b"v=spf1 mx ipv4:192.0.2.1 -all")], "ipv4"),
    (codes.SPF_BROKEN, [_spf(b"v=spf1 mx include:none.test -all")], ""),
    (codes.SPF_LOOKUPS, [_spf(b"v=spf1 " + b"a:mx1.host.test " * 11 + b"-all")], ""),
    (codes.SPF_LOOKUPS, [_spf(b"v=spf1 mx a:x.test a:y.test a:z.test -all")], ""),
    (codes.SPF_EXCLUDES, [_spf(b"v=spf1 ip6:2001:db8::/32 -all")], "gives fail for 192.0.2.25"),
    (codes.SPF_EXCLUDES, [_spf(b"v=spf1 ip4:192.0.2.25 ~all")], "gives softfail for 2001:db8::25"),
    (codes.SPF_OPEN, [_spf(b"v=spf1 mx +all")], "lets anybody send"),
    (codes.DKIM_MISSING, [_drop("txts", SELECTOR)], ""),
    (codes.DKIM_DIFFERS, [_key(OTHER_KEY.encode())], "published is v=DKIM1; k=ed25519"),
    (codes.DKIM_UNUSABLE, [_key(DAMAGED)], "the key is damaged"),
    (codes.DKIM_UNUSABLE, [_key(KEY.encode() + b"; h=sha1")], "not for SHA-256"),
    (codes.DKIM_UNUSABLE, [_key(KEY.encode() + b"; s=tlsrpt")], "not for mail"),
    (codes.DKIM_REVOKED, [_key(b"v=DKIM1; k=rsa; p=")], ""),
    (codes.DKIM_SEVERAL, [_key(KEY.encode(), OTHER_KEY.encode())], "there are 2"),
    (codes.DKIM_TESTING, [_key(KEY.encode() + b"; t=y:s")], ""),
    (codes.DMARC_MISSING, [_drop("txts", "_dmarc.a.test")], ""),
    (codes.DMARC_SEVERAL, [_dmarc(b"v=DMARC1; p=none", b"v=DMARC1; p=reject")], "it has 2"),
    (codes.DMARC_BROKEN, [_dmarc(b"v=dmarc1; p=reject")], "v=dmarc1"),
    (codes.DMARC_BROKEN, [_dmarc(b"v=DMARC1; p=refuse; rua=mailto:x@a.test")], "p=refuse"),
    (codes.DMARC_NONE, [_dmarc(b"v=DMARC1; p=none")], "p=none"),
    (codes.DMARC_NONE, [_dmarc(b"v=DMARC1; p=reject; t=y")], "t=y"),
    (codes.DMARC_NONE, [_drop("txts", "_dmarc.a.test"),
                        _set("txts", "_dmarc.test", b"v=DMARC1; p=reject; sp=none")], "that of test"),
    (codes.DMARC_REPORTS, [_dmarc(b"v=DMARC1; p=reject; rua=mailto:x@b.example!10m")],
     "a.test._report._dmarc.b.example"),
    (codes.DMARC_REPORTS, [_dmarc(b"v=DMARC1; p=reject; rua=https://a.test/")], "isn't a mailto: address"),
    (codes.STS_BROKEN, [_set("txts", "_mta-sts.a.test", b"v=STSv1; id=2026-01-01;")], "its id"),
    (codes.STS_BROKEN, [_set("txts", "_mta-sts.a.test", b"v=STSv1; id=1;", b"v=STSv1; id=2;")], "are 2"),
    (codes.STS_BROKEN, [_set("txts", "_mta-sts.a.test", b"v=STSV1; id=1;")], "none begins"),
    (codes.STS_BROKEN, [_set("txts", "_mta-sts.a.test", b"v=STSv1; id")], "is no tag"),
    (codes.STS_UNREACHABLE, [_drop("hosts", "mta-sts.a.test")], "has no address"),
    (codes.TLS_REPORTS, [_set("txts", "_smtp._tls.a.test", b"v=TLSRPTv1; rua=tls@a.test")], "its rua"),
    (codes.TLS_REPORTS, [_set("txts", "_smtp._tls.a.test", b"v=spf1 -all")], "none begins"),
    (codes.UNANSWERED, [lambda dns: dns.failing.add("_dmarc.a.test")], "_dmarc.a.test TXT: DNS did"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "changes", "says"), FAULTS)
def test_each_fault_is_found_alone(code: Code, changes: list[Change], says: str) -> None:
    dns = right()
    for change in changes:
        change(dns)
    findings = examined(dns)
    assert {finding.code.id for finding in findings} == {code.id}, findings
    assert any(says in finding.what for finding in findings), findings
    assert all("a.test" in finding.where for finding in findings)


POLICIES: list[tuple[Code, bytes, str]] = [
    (codes.STS_POLICY, b"", "version"),
    (codes.STS_POLICY, b"<html>not here</html>", "no field"),
    (codes.STS_POLICY, b"version: STSv1\nmode: \xff\n", "ASCII"),
    (codes.STS_POLICY, POLICY.replace(b"enforce", b"on"), "its mode"),
    (codes.STS_POLICY, POLICY.replace(b"604800", b"99999999999"), "max_age"),
    (codes.STS_POLICY, POLICY.replace(b"mx:", b"host:"), "no mail exchanger"),
    (codes.STS_EXCHANGER, POLICY.replace(b"*.host.test", b"mx1.host.test"), "mode is enforce"),
    (codes.STS_EXCHANGER, POLICY.replace(b"*.host.test", b"*.test"), "mode is enforce"),
]


@pytest.mark.parametrize(("code", "policy", "says"), POLICIES)
def test_each_fault_of_a_policy_is_found_alone(code: Code, policy: bytes, says: str) -> None:
    findings = examined(right(), lambda *_: policy)
    assert {finding.code for finding in findings} == {code}, findings
    assert says in findings[0].what


@pytest.mark.parametrize("policy", [POLICY, b"version: STSv1\nmode: none\nmax_age: 1\n\n"])
def test_a_policy_that_is_right(policy: bytes) -> None:
    assert examined(right(), lambda *_: policy) == []


@given(st.binary() | st.lists(st.sampled_from(POLICY.splitlines())).map(b"\n".join))
def test_any_octets_are_a_policy_or_none(octets: bytes) -> None:
    with contextlib.suppress(transport.PolicyError):
        assert transport.unlisted(transport.parse_policy(octets), ["mx1.host.test"]) == []


def test_a_policy_that_cannot_be_fetched() -> None:
    def fails(*_: object) -> bytes:
        raise FetchError("it answers with status 404")

    (finding,) = examined(right(), fails)
    assert (finding.code, finding.where) == (codes.STS_UNREACHABLE, "a.test")
    assert finding.what == "mta-sts.a.test: it answers with status 404"


def test_reports_to_another_domain_that_agrees() -> None:
    dns = right()
    dns.txts["_dmarc.a.test"] = [b"v=DMARC1; p=reject; rua=mailto:x@b.example!10m"]
    dns.txts["a.test._report._dmarc.b.example"] = [b"v=DMARC1"]
    assert examined(dns) == []


def test_reports_within_an_organisation_need_nobody_s_consent() -> None:
    dns = right()
    dns.txts["_dmarc.a.test"] = [b"v=DMARC1; p=reject; rua=mailto:x@b.a.test"]
    assert examined(dns) == []


def test_a_policy_of_the_organisation_is_enough() -> None:
    dns = right()
    del dns.txts["_dmarc.a.test"]
    dns.txts["_dmarc.test"] = [b"v=DMARC1; p=reject"]
    assert examined(dns) == []


def test_without_a_known_address_spf_is_read_all_the_same() -> None:
    dns = right()
    clock = ManualClock()
    deadline = Deadline.after(clock, 60)
    survey = Survey(dns, clock, Nodes(frozenset({"mx1.host.test", "mx2.host.test"}), frozenset(), ()), served)
    listed = [Domain("a.test", wanted("a.test", ["mx1.host.test"], [("pm1", KEY)]))]
    assert list(survey.look(listed, deadline)) == []
    dns.txts["a.test"] = [b"v=spf1 moo -all"]
    assert [finding.code for finding in survey.look(listed, deadline)] == [codes.SPF_BROKEN]


MANY = [f"a{number}.test" for number in range(50)]

OTHERS: list[tuple[Code, Callable[[], list[Finding]], str]] = [
    (codes.DKIM_NONE, lambda: examined(right(), keys=()), ""),
    (codes.DEAD, lambda: examined(SlowDns(slow={""}), domains=MANY, seconds=1e6), "DNS did not answer"),
    (codes.NOT_LOOKED_AT, lambda: examined(right(), domains=MANY, seconds=0.0), "for 50 of them"),
]


@pytest.mark.parametrize(("code", "look", "says"), OTHERS)
def test_what_else_is_found_alone(code: Code, look: Callable[[], list[Finding]], says: str) -> None:
    (finding,) = look()
    assert finding.code is code
    assert says in finding.what


class TestADnsThatDoesNotAnswer:
    def test_one_domain_s_silence_is_that_domain_s(self) -> None:
        dns = right()
        below = ("", "_dmarc.", "_mta-sts.", "_smtp._tls.", "pm1._domainkey.")
        dns.failing = {f"{name}b.test" for name in below}
        findings = examined(dns, domains=["a.test", "b.test"])
        assert [(finding.code, finding.where) for finding in findings] == [(codes.UNANSWERED, "b.test")]


HOSTILE = [
    b"",
    b"\0" * 70_000,
    b"v=spf1 " + b"a" * 70_000,
    b"v=spf1 include:a.test redirect=a.test",
    b"v=spf1 exists:%{d}%{d}%{d}%{d}%{z} -all",
    b"v=spf1 \xc3\xa9 \x1b[2J -all",
    b"v=DMARC1; p=\x1b[2J; rua=mailto:\xff@\xff",
    b"v=DMARC1; p=reject; rua=" + b"mailto:x@b.example," * 5_000,
    b"v=DKIM1; p=" + b"A" * 70_000,
    b"v=DKIM1;" * 9_000,
    b"v=STSv1;" + b";" * 70_000,
    b"v=STSv1; id=" + b"\xff" * 40,
    b"v=TLSRPTv1;rua=" + b"," * 70_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_are_told_in_plain_and_short_words(text: bytes) -> None:
    dns = right()
    for name in dns.txts:
        dns.txts[name] = [text]
    for finding in examined(dns):
        assert finding.what.replace("…", "").isascii()
        assert finding.what.isprintable()
        assert finding.where.isprintable()
        assert len(finding.what) < 1_000


def test_hostile_mail_exchangers() -> None:
    dns = right()
    dns.mx["a.test"] = [(number, f"\\000\\032{'x' * 60}{number}.test") for number in range(1_000)]
    assert codes.MX_ELSEWHERE in found(dns)
    assert len(dns.asked) < 500
    dns = right()
    dns.aliases = {"mx1.host.test": "mx2.host.test", "mx2.host.test": "mx1.host.test"}
    assert set(found(dns)) == {codes.MX_ALIAS}


def test_every_code_has_a_fault_here() -> None:
    assert set(codes.CODES) == {code for code, _, _ in (*FAULTS, *POLICIES, *OTHERS)}
