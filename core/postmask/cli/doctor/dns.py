"""The doctor's group `dns`: the records of every domain of ours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from postmask import dnsrecords
from postmask.cli.doctor.surroundings import Surroundings
from postmask.cli.runtime import Runtime
from postmask.doctor.domain import codes
from postmask.doctor.examination import Check, Group
from postmask.doctor.finding import Finding

_SECONDS = 120.0


def _domains(around: Surroundings) -> Iterator[Finding]:
    from postmask.doctor.domain import nodes
    from postmask.doctor.domain.fetching import Fetcher
    from postmask.doctor.domain.survey import Domain, Survey

    if fault := around.silence():
        yield codes.DEAD.at("DNS", fault)
        return
    runtime, own, asked = around.runtime, around.name, around.inquiry(_SECONDS)
    names = {own, *_other_nodes(runtime), *runtime.settings.doctor.exchangers}
    known = nodes.known(names, around.way(asked).senders, asked)
    yield from Survey(asked.dns, runtime.clock, known, Fetcher().fetch).look(
        [Domain(name, dnsrecords.wanted(name, [own], keys)) for name, keys in _keys(runtime)], asked.deadline
    )


def _other_nodes(runtime: Runtime) -> list[str]:
    from postmask.store import schema

    return [node.name for node in schema.status(runtime.settings.database.owner_url).nodes]


def _keys(runtime: Runtime) -> list[tuple[str, Sequence[tuple[str, str]]]]:
    """Every domain with the selectors and records of the keys that sign for it."""
    from postmask.store.admin import domains

    with runtime.reading() as session:
        return [(found.name, found.published_keys) for found in domains.listing(session)]


GROUP = Group(
    "dns",
    "The DNS records of every domain of ours: MX, SPF, DKIM, DMARC, and MTA-STS and TLS-RPT where there are "
    "any.",
    150.0,
    codes.CODES,
    (Check("domains", _domains),),
)
