"""Our programs' clock jumps ahead by a day, and back by two: mail flows, replies and bounces come home,
nothing comes twice; the log and `postmask status` say what is wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from clocks import MovedClock
from conversation import OWNERS_HOST, answer, publish, signed, start
from faults import Watch, amiss, await_empty_outbox, await_flow, message
from lab import lab
from nameserver import Nameserver
from postgres import Cluster
from postmask.clock import DAY
from service import Service

UNKNOWN = "nobody-of-this-name@alias.test"

JUMPS = {
    "right at first": (0, ""),
    "ahead": (DAY, "node: lab was last heard of at .*, which is in the future"),
    "behind": (-DAY, "node: lab was last heard of at .*, and its clock right[?]"),
    "right again": (0, ""),
}


@dataclass(frozen=True, slots=True)
class Moved:
    """A service whose programs go by a clock of their own."""

    service: Service
    clock: MovedClock


@pytest.fixture
def moved(names: Nameserver, postgres: Cluster) -> Iterator[Moved]:
    with TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        clock = MovedClock(Path(folder) / "clock")
        database = postgres.fresh()
        with lab(door="lmtp", database=database, nameserver=names.text, programs=clock.programs()) as running:
            for program in ("milter-alias", "forwarder"):
                running.wait_for(lambda name=program: "ready" in running.program_log(name), program)
            service = Service("by another clock", running, names)
            publish(service)
            yield Moved(service, clock)


def test_a_clock_that_jumps(moved: Moved) -> None:
    service, watch = moved.service, Watch(moved.service.lab)
    talk = start(service)
    owned = service.alias()
    homeward: list[str] = []
    for number, (when, (seconds, finding)) in enumerate(JUMPS.items(), 1):
        moved.clock.move(seconds)
        service.lab.wait_for(
            lambda number=number: service.lab.program_log("agent").count("clock.jumped") == number - 1,
            "the agent to say that the clock jumped",
        )
        service.lab.wait_for(
            lambda finding=finding: bool(amiss(service, finding)) == bool(finding), f"the status {when}"
        )
        sender = f"bob-{number}@example.com"
        said = service.send(sender, [owned.alias, UNKNOWN], message(owned.alias, when))
        assert said.recipients[UNKNOWN].startswith("550 5.1.1")
        assert await_flow(service, owned.mailbox, number) == sorted(list(JUMPS)[:number])
        homeward = [mail.sender for mail in service.mail_for(owned.mailbox)]
        answers = service.send("", homeward, b"").recipients
        assert {answer[:3] for answer in answers.values()} == {"250"}, when
        content = signed(answer(talk), names=["from", "to", "date", "subject", "message-id"])
        service.send(talk.owned.mailbox, [talk.reverse], content, address=OWNERS_HOST)
        service.await_mail_for(talk.contact, number)
    await_empty_outbox(service)
    kinds = Counter(service.event_kinds(owned.alias))
    assert kinds.pop("forwarded") == len(JUMPS)
    assert [*kinds] == ["discarded"], "of what came home, which was no bounce"
    # Three days; two of them are one if midnight came in between.
    assert len(set(homeward)) in (2, 3), "an address of each day"
    assert len(service.mail_for(talk.contact)) == len(JUMPS)
    assert watch.bounced() == []
