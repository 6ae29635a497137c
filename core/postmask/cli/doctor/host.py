"""The doctor's group `host`: its name, reverse DNS, the way out, the clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from postmask.cli.doctor.surroundings import Surroundings
from postmask.cli.runtime import Runtime
from postmask.doctor.examination import Check, Group
from postmask.doctor.finding import Finding
from postmask.doctor.host import codes, names, outside, port25, routing, timekeeping

_SECONDS = 30.0
_MOST_PROBES = 3


def _names(around: Surroundings) -> Iterator[Finding]:
    if fault := around.silence():
        yield codes.UNANSWERED.at("DNS", f"the DNS doesn't answer: {fault}")
        return
    asked = around.inquiry(_SECONDS)
    yield from names.look(around.name, around.parameters()["smtp_helo_name"], around.way(asked), asked)


def _bound(around: Surroundings) -> Iterator[Finding]:
    return outside.misbound(around.parameters(), routing.has)


def _port25(around: Surroundings) -> Iterator[Finding]:
    if around.silence():
        return  # Told already, once.
    asked = around.inquiry(_SECONDS)
    way = around.way(asked)
    versions = outside.versions(around.parameters()["inet_protocols"])
    if way.relay:
        yield from port25.look(port25.relays(way.relay, asked), (), asked, versions=versions)
    else:
        domains = around.runtime.settings.doctor.probes or _mailbox_domains(around.runtime)
        yield from port25.look(port25.exchangers(domains, asked), way.senders, asked, versions=versions)


def _mailbox_domains(runtime: Runtime) -> list[str]:
    """Where most of the mail goes."""
    from postmask.store.admin import mailboxes

    with runtime.reading() as session:
        counted = Counter(box.address.rpartition("@")[2] for box in mailboxes.listing(session))
    return [domain for domain, _ in counted.most_common(_MOST_PROBES)]


def _clock(_around: Surroundings) -> Iterator[Finding]:
    return timekeeping.look(timekeeping.is_kept())


GROUP = Group(
    "host",
    "The host as others see it: name, forward and reverse DNS of the addresses that its mail comes from, "
    "whether mail gets out, and whether something sets the clock.",
    75.0,
    codes.CODES,
    (
        Check("names", _names),
        Check("bound addresses", _bound),
        Check("outbound port 25", _port25),
        Check("clock", _clock),
    ),
)
