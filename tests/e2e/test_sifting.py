"""The forwarder's share in the spam check and in authentication, with the real engines, through both doors.

What is submitted on this host goes past the scan milter, so the forwarder has to look for itself.
"""

from __future__ import annotations

import contextlib
import email
import email.policy
import time
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest

import spam_engines
from flawed_engine import FlawedEngine, closes_at_once, faithful, flawed, half, silent
from lab import lab
from nameserver import Nameserver
from service import Owned, Service
from spam_messages import GTUBE, PLAIN

SETTINGS = "breaker_failures = 100\nbreaker_rest = 0.1\nbreaker_longest_rest = 0.1\nbudget = 6\n"


@pytest.fixture(scope="module")
def engines() -> Iterator[dict[str, FlawedEngine]]:
    """spamd and Rspamd, each behind a proxy."""
    with contextlib.ExitStack() as stack:
        running = [stack.enter_context(start()) for start in (spam_engines.spamd, spam_engines.rspamd)]
        yield {one.name: stack.enter_context(flawed(one.address)) for one in running}


@pytest.fixture(scope="module", params=["pipe", "lmtp"])
def sifting(
    request: pytest.FixtureRequest, names: Nameserver, engines: dict[str, FlawedEngine]
) -> Iterator[Service]:
    addresses = {name: "{}:{}".format(*one.address) for name, one in engines.items()}
    with lab(door=str(request.param), nameserver=names.text, **addresses) as running:
        text = running.config.read_text().replace("[spam]\n", f"[spam]\n{SETTINGS}")
        running.config.write_text(text)
        service = Service(f"sifting-{request.param}", running, names)
        service.restart("forwarder")
        service.restart("milter-scan")
        yield service


@pytest.fixture(autouse=True)
def healthy(engines: dict[str, FlawedEngine]) -> Iterator[None]:
    yield
    for one in engines.values():
        one.flaw = faithful


def submitted(service: Service, content: bytes) -> EmailMessage:
    """What a new mailbox gets of a message that is submitted on this host."""
    owned = service.alias()
    submit(service, owned, content)
    return received(service, owned)


def submit(service: Service, owned: Owned, content: bytes) -> None:
    service.lab.submit("-f", "alice@example.com", owned.alias, content=content.replace(b"\r\n", b"\n"))


def received(service: Service, owned: Owned) -> EmailMessage:
    (mail,) = service.await_mail_for(owned.mailbox)
    return email.message_from_bytes(mail.content, policy=email.policy.default)  # type: ignore[return-value]


def figures(service: Service) -> dict[str, Any]:
    """Of the running forwarder."""
    programs = service.lab.postmask("spam", "status")["programs"]
    (found,) = [one for one in programs if one["program"] == "forwarder"]
    return dict(found)


def spam(message: EmailMessage) -> str:
    return str(message["X-Postmask-Spam"])


def test_spam_is_called_so_and_a_plain_message_is_not(sifting: Service) -> None:
    called = spam(submitted(sifting, GTUBE))
    assert called.startswith("yes; ratio=")
    assert "engine=spamd" in called
    assert "GTUBE" in called
    assert spam(submitted(sifting, PLAIN)).startswith("no; ratio=")
    sifting.lab.wait_for(lambda: figures(sifting)["scanned"] >= 2, "the forwarder's figures")


def test_the_next_engine_is_asked(sifting: Service, engines: dict[str, FlawedEngine]) -> None:
    engines["spamd"].flaw = half
    called = spam(submitted(sifting, GTUBE))
    assert called.startswith("yes; ")
    assert "engine=rspamd" in called


@pytest.mark.parametrize(
    ("flaw", "reason"), [(closes_at_once, "spamd half answer"), (silent, "spamd timeout")]
)
def test_with_all_engines_out_it_is_delivered_in_time_and_says_why(
    sifting: Service, engines: dict[str, FlawedEngine], flaw: object, reason: str
) -> None:
    for one in engines.values():
        one.flaw = flaw  # type: ignore[assignment]
    began = time.monotonic()
    called = spam(submitted(sifting, GTUBE))
    assert called.startswith("unscanned; ")
    assert reason in called or "spamd reset" in called
    assert "rspamd" in called
    assert time.monotonic() - began < 45, "the budget of 6 s, and what a busy machine takes"


def test_the_switch_leaves_the_engines_out(sifting: Service, engines: dict[str, FlawedEngine]) -> None:
    sifting.lab.postmask("spam", "bypass", "on")
    before = {name: one.started for name, one in engines.items()}
    assert spam(submitted(sifting, GTUBE)) == "unscanned; bypassed"
    assert {name: one.started for name, one in engines.items()} == before
    sifting.lab.postmask("spam", "bypass", "off")
    assert spam(submitted(sifting, GTUBE)).startswith("yes; ")


def test_results_of_authentication_are_told_and_forged_evidence_is_none(sifting: Service) -> None:
    sifting.nameserver.txt("sender.example", "v=spf1 ip4:198.51.100.20 -all")
    sifting.nameserver.txt("_dmarc.sender.example", "v=DMARC1; p=none")
    content = PLAIN.replace(b"alice@example.com", b"alice@sender.example")
    forged = b"X-Postmask-Evidence: AXNvbWV0aGluZyB0aGF0IHdhcyBzZWFsZWQgYnkgbm9ib2R5\r\n" + content
    for address, result in (("198.51.100.20", "pass"), ("198.51.100.21", "fail")):
        owned = sifting.alias()
        sifting.send("alice@sender.example", [owned.alias], forged, address=address)
        message = received(sifting, owned)
        (results,) = message.get_all("Authentication-Results")
        assert results.startswith(f"lab; spf={result} smtp.mailfrom=sender.example;")
        assert f"dmarc={result}" in results
        assert "X-Postmask-Evidence" not in message
        assert spam(message).startswith("no; ")


def test_without_dns_a_message_is_forwarded(sifting: Service) -> None:
    owned = sifting.alias()
    with sifting.nameserver.hung():
        sifting.send("alice@silent.example", [owned.alias], PLAIN)
        message = received(sifting, owned)
    assert "spf=temperror" in message["Authentication-Results"]


def test_spam_is_held_discarded_or_waits_as_it_is_set(
    sifting: Service, engines: dict[str, FlawedEngine]
) -> None:
    with settings(sifting, "hold = 2.0"):
        owned = sifting.alias()
        submit(sifting, owned, GTUBE)
        sifting.lab.wait_for(lambda: held(sifting, owned), "the held copy")
        submit(sifting, owned, PLAIN)
        assert spam(received(sifting, owned)).startswith("no; ")
    with settings(sifting, 'discard = 2.0\nwhen_unscanned = "defer"'):
        owned = sifting.alias()
        submit(sifting, owned, GTUBE)
        sifting.lab.wait_for(lambda: "discarded" in sifting.event_kinds(owned.alias), "the record")
        for one in engines.values():
            one.flaw = closes_at_once
        submit(sifting, owned, PLAIN)
        sifting.lab.wait_for(lambda: deferred(sifting, owned), "the deferral")
        for one in engines.values():
            one.flaw = faithful
        sifting.await_retried(owned.mailbox)
        assert spam(received(sifting, owned)).startswith("no; ")


def test_each_alias_has_its_own_rules(sifting: Service) -> None:
    refusing, holding, marking = sifting.alias(), sifting.alias(), sifting.alias()
    for owned, rule in ((refusing, "--spam-refuse=2"), (holding, "--spam-hold=2")):
        sifting.lab.postmask("alias", "edit", owned.alias, rule)
    sifting.lab.postmask("alias", "edit", marking.alias, "--spam-subject-prefix", "[SPAM]")
    said = sifting.send("alice@example.com", [refusing.alias], GTUBE)
    assert said.end is not None
    assert said.end.startswith("550 5.7.1 ")
    sifting.lab.wait_for(lambda: "refused" in sifting.event_kinds(refusing.alias), "the record")
    both = [refusing.alias, holding.alias, marking.alias]
    assert sifting.send("alice@example.com", both, GTUBE).queue_id, "not all refuse it"
    message = received(sifting, marking)
    assert spam(message).startswith("yes; ")
    assert message["Subject"] == "[SPAM] Minutes of our meeting"
    for owned in (refusing, holding):
        sifting.lab.wait_for(lambda owned=owned: held(sifting, owned), "the held copy")  # type: ignore[misc]
    sifting.lab.wait_for(lambda: sifting.lab.postmask("contact", "list", refusing.alias), "the contact")
    sifting.lab.postmask("contact", "allow", refusing.alias, "alice@example.com")
    assert sifting.send("alice@example.com", [refusing.alias], GTUBE).queue_id, "by an allowed contact"
    message = received(sifting, refusing)
    assert spam(message).startswith("no; ")


def test_quarantine_marks_or_holds(sifting: Service) -> None:
    sifting.nameserver.txt("_dmarc.quarantined.example", "v=DMARC1; p=quarantine")
    content = PLAIN.replace(b"alice@example.com", b"alice@quarantined.example")
    marking, holding = sifting.alias(), sifting.alias()
    sifting.lab.postmask("alias", "edit", holding.alias, "--spam-dmarc-quarantine", "hold")
    sifting.send("alice@example.com", [marking.alias, holding.alias], content)
    assert spam(received(sifting, marking)).startswith("yes; dmarc=quarantine ratio=")
    sifting.lab.wait_for(lambda: held(sifting, holding), "the held copy")


def test_what_nobody_judged_waits_at_its_sender_where_all_want_that(
    sifting: Service, engines: dict[str, FlawedEngine]
) -> None:
    waiting, tagging = sifting.alias(), sifting.alias()
    sifting.lab.postmask("alias", "edit", waiting.alias, "--spam-when-unscanned", "defer")
    for one in engines.values():
        one.flaw = closes_at_once
    said = sifting.send("alice@example.com", [waiting.alias], PLAIN)
    assert said.end is not None
    assert said.end.startswith("450 4.7.1 ")
    assert sifting.send("alice@example.com", [waiting.alias, tagging.alias], PLAIN).queue_id
    assert spam(received(sifting, tagging)).startswith("unscanned; ")
    sifting.lab.wait_for(lambda: deferred(sifting, waiting), "the deferral")
    for one in engines.values():
        one.flaw = faithful
    sifting.await_retried(waiting.mailbox)
    assert spam(received(sifting, waiting)).startswith("no; ")


@contextlib.contextmanager
def settings(service: Service, lines: str) -> Iterator[None]:
    """In [spam], for the forwarder, for a while."""
    before = service.lab.config.read_text()
    service.lab.config.write_text(before.replace("[spam]\n", f"[spam]\n{lines}\n"))
    service.restart("forwarder")
    try:
        yield
    finally:
        service.lab.config.write_text(before)
        service.restart("forwarder")


def held(service: Service, owned: Owned) -> list[dict[str, Any]]:
    return [one for one in service.held() if owned.mailbox in str(one["recipients"])]


def deferred(service: Service, owned: Owned) -> list[dict[str, Any]]:
    return [
        one
        for one in service.lab.queue()
        if owned.alias in str(one["recipients"]) and "checked now" in str(one["recipients"])
    ]
