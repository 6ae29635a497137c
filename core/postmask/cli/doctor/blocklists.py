"""The doctor's group `blocklists`: whether this host's addresses are on one."""

from __future__ import annotations

from collections.abc import Iterator

from postmask.cli.doctor.surroundings import Surroundings
from postmask.doctor import blocklists
from postmask.doctor.examination import Check, Group
from postmask.doctor.finding import Finding
from postmask.doctor.inquiry import Inquiry

_SECONDS = 40.0


def _lists(around: Surroundings) -> Iterator[Finding]:
    zones = around.runtime.settings.doctor.blocklists
    if not zones:
        return
    if fault := around.silence():
        yield blocklists.UNANSWERED.at("DNS", f"the DNS doesn't answer: {fault}")
        return
    asked = around.inquiry(_SECONDS)
    addresses = around.way(asked).senders
    for zone in zones if addresses else ():
        yield from blocklists.look(zone, addresses, Inquiry(asked.dns, asked.deadline))


GROUP = Group(
    "blocklists",
    "Whether an address from which this host's mail comes is on a block list (doctor.blocklists). An error "
    "code of a list isn't taken for a listing.",
    60.0,
    blocklists.CODES,
    (Check("lists", _lists),),
)
