"""What went past the scan milter: blocked and forged authors, judged by the forwarder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import engine_rig
from engine_rig import FOREIGN, KEYS, LOGGED_IN, PLAIN, Rig
from postmask.alias.sifting import SpamRules
from postmask.authentication import Authentication, Dmarc, DmarcResult, Policy, Spf, SpfResult
from postmask.clock import Deadline
from postmask.directory.lookup import Lookup, Unavailable
from postmask.directory.records import BlockAction, SenderRule
from postmask.message.evidence import Evidence, seal_evidence
from postmask.message.headers import Headers, join, split
from postmask.spam.engine import Facts
from postmask.spam.judgement import Attempt, Reason, Scan, Score
from postmask.verdict import Kind
from postmask_transport.lmtp import Client

SENDER = "bounces@lists.example"
AUTHOR = "bob@example.com"
BLOCK = SenderRule(BlockAction.REJECT, "alias", AUTHOR)


def strict(rig: Rig, policy: str = "reject") -> Rig:
    """The author's domain has published a policy."""
    rig.dns.txts["_dmarc.example.com"] = [f"v=DMARC1; p={policy}".encode()]
    return rig


def test_forged_is_held_as_the_finished_copy(rig: Rig) -> None:
    assert strict(rig).deliver().kind is Kind.DELIVER
    assert (rig.outcomes(), rig.events(), rig.out.sent) == (["held"], ["held"], [])
    ((_, recipient, content),) = rig.held.sent
    assert recipient == "me@real.test"
    assert b"dmarc=fail" in content


@pytest.mark.parametrize(
    ("client", "policy", "records"),
    [
        (FOREIGN, "none", {}),
        (FOREIGN, "reject", {"example.com": [b"v=spf1 ip4:203.0.113.5 -all"]}),
        (replace(FOREIGN, address="127.0.0.1"), "reject", {}),
        (LOGGED_IN, "reject", {}),
        (Client(queue_id="Q1"), "reject", {}),
    ],
    ids=["no policy", "genuine", "own host", "login", "submitted here"],
)
def test_not_held(rig: Rig, client: Client, policy: str, records: dict[str, list[bytes]]) -> None:
    rig.dns.txts |= records
    strict(rig, policy).deliver(client=client)
    assert rig.outcomes() == ["delivered"]


@pytest.mark.parametrize("forwarder", ["203.0.113.0/24", "lists.example"])
def test_a_trusted_forwarder_may_break_dmarc(tmp_path: Path, forwarder: str) -> None:
    with engine_rig.rig(tmp_path, trusted=[forwarder]) as rig:
        rig.dns.txts["lists.example"] = [b"v=spf1 ip4:203.0.113.5 -all"]
        strict(rig).deliver(sender=SENDER)
        assert rig.outcomes() == ["delivered"]


def test_without_dns_nothing_is_held(rig: Rig) -> None:
    rig.dns.failing |= {"_dmarc.example.com"}
    rig.deliver()
    assert rig.outcomes() == ["delivered"]


def test_what_the_milter_could_not_refuse_is_held_by_its_evidence(rig: Rig) -> None:
    nothing = SpfResult(Spf.NONE, "lists.example")
    forged = DmarcResult(Dmarc.FAIL, Policy.REJECT, "example.com", "example.com")
    headers, body = split(PLAIN)
    evidence = Evidence(
        int(rig.clock.now()),
        ("shop@alias.test",),
        AUTHOR,
        client="203.0.113.5",
        authentication=Authentication(nothing, nothing, (), forged),
    )
    field = seal_evidence(KEYS, evidence, headers, body)
    assert field is not None
    rig.deliver(content=join(Headers([field, *headers.fields]), body))
    assert (rig.outcomes(), rig.dns.asked) == (["held"], [])


@pytest.mark.parametrize(
    ("client", "action", "kind", "outcome"),
    [
        (FOREIGN, BlockAction.REJECT, Kind.DELIVER, "held"),
        (LOGGED_IN, BlockAction.REJECT, Kind.REJECT, "refused"),
        (FOREIGN, BlockAction.DISCARD, Kind.DISCARD, "discarded"),
    ],
)
def test_a_blocked_author(rig: Rig, client: Client, action: BlockAction, kind: Kind, outcome: str) -> None:
    rig.directory.rules[AUTHOR] = replace(BLOCK, action=action)
    assert rig.deliver(sender=SENDER, client=client).kind is kind
    assert (rig.outcomes(), rig.events()) == ([outcome], [outcome])


def test_who_is_the_sender_too_is_looked_up_once(rig: Rig) -> None:
    rig.deliver(sender="Bob@EXAMPLE.com")
    assert rig.directory.asked.count("sender_rule") == 1
    rig.deliver(sender=SENDER)
    assert rig.directory.asked.count("sender_rule") == 3


def test_whether_an_author_is_blocked_must_be_known(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = rig.directory.sender_rule

    def only_of_senders(sender: str, *of: object) -> Lookup[SenderRule]:
        return Unavailable("gone") if sender == AUTHOR else ask(sender, *of)  # type: ignore[arg-type]

    monkeypatch.setattr(rig.directory, "sender_rule", only_of_senders)
    verdict = rig.deliver(sender=SENDER)
    assert (verdict.code, verdict.status) == (451, "4.3.0")


@pytest.mark.parametrize(("ratio", "outcome"), [(0.1, "held"), (5.0, "discarded")])
def test_the_hardest_acts(tmp_path: Path, ratio: float, outcome: str) -> None:
    def scan(content: bytes, facts: Facts, deadline: Deadline) -> Scan:
        return Scan(Score(ratio, 1.0), "spamd", (), 1.0)

    with engine_rig.rig(tmp_path, scan, rules=SpamRules(discard=4.0)) as rig:
        strict(rig).deliver()
        assert rig.outcomes() == [outcome]


def test_what_is_to_be_held_waits_for_no_engine(tmp_path: Path) -> None:
    def scan(content: bytes, facts: Facts, deadline: Deadline) -> Scan:
        return Scan(None, "", (Attempt("spamd", Reason.TIMEOUT),), 1.0)

    with engine_rig.rig(tmp_path, scan, rules=SpamRules(when_unscanned="defer")) as rig:
        strict(rig).deliver()
        assert rig.outcomes() == ["held"]
