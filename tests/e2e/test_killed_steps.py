"""The forwarder and the agent killed at each step of their work, and Postfix's own processes with mail
flowing: each message comes to each mailbox exactly once, but for the one window that nobody can close.

The steps are the same behind either door, so the second door gets those at which it was told least.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

import fatal_steps
from faults import (
    PATIENT_MASTER,
    Watch,
    await_empty_outbox,
    await_flow,
    frozen,
    kill_daemons,
    message,
    subjects,
    taken_as,
)
from lab import lab
from nameserver import Nameserver
from postgres import Cluster
from service import Service

FLOWING = 60
FORWARDER = [
    *(("pipe", step) for step in fatal_steps.FORWARDER_STEPS),
    *(("lmtp", step) for step in ("before-the-dot", "after-the-250", "before-the-answer")),
]
AGENT = [("pipe", "before-forgetting"), *(("lmtp", step) for step in fatal_steps.AGENT_STEPS)]
POSTFIX = [
    *(("pipe", victim) for victim in ("client", "door", "smtpd", "master")),
    *(("lmtp", victim) for victim in ("door", "qmgr", "cleanup")),
]
DELIVERERS = ("qmgr", "master")
"""Killed, they may let Postfix deliver one and the same copy again: its own doing."""

ALL_AT_ONCE = "master"
"""What is killed once: the others begin anew by themselves."""


@dataclass(frozen=True, slots=True)
class Shared:
    """An alias with two mailboxes."""

    alias: str
    mailboxes: tuple[str, str]


@pytest.fixture(scope="module")
def fatal_pipe(names: Nameserver) -> Iterator[Service]:
    """A service whose forwarder and agent can be told where to die; the pipe door, on SQLite."""
    with lab(door="pipe", nameserver=names.text, programs=fatal_steps.COMMANDS) as running:
        running.await_forwarder()
        made = Service("fatal-pipe", running, names)
        with made.lab.main_cf(**PATIENT_MASTER):
            yield made


@pytest.fixture(scope="module")
def fatal_lmtp(names: Nameserver, postgres: Cluster) -> Iterator[Service]:
    """The same by the lmtp door, on Postgres."""
    database = postgres.fresh()
    with lab(door="lmtp", database=database, nameserver=names.text, programs=fatal_steps.COMMANDS) as running:
        running.await_forwarder()
        made = Service("fatal-lmtp", running, names)
        with made.lab.main_cf(**PATIENT_MASTER):
            yield made


@pytest.fixture
def fatal(request: pytest.FixtureRequest) -> Service:
    """One of them, by its door."""
    made = request.getfixturevalue(f"fatal_{request.param}")
    assert isinstance(made, Service)
    return made


@pytest.mark.parametrize(("fatal", "step"), FORWARDER, indirect=["fatal"])
def test_the_forwarder(fatal: Service, step: str) -> None:
    """Every step but those between the dot and the ledger's row: once. There: once or twice, and told."""
    shared, watch = _shared(fatal), Watch(fatal.lab)
    logged = len(fatal.lab.program_log("forwarder"))
    with fatal_steps.dying(fatal.lab, "forwarder", step):
        fatal.send("bob@example.com", [shared.alias], message(shared.alias, step))
    for mailbox in shared.mailboxes:
        await_flow(fatal, mailbox, 1)
    resent = fatal.lab.program_log("forwarder")[logged:].count(" resend ")
    arrived = [len(subjects(fatal, mailbox)) for mailbox in shared.mailboxes]
    twice = sum(arrived) - len(shared.mailboxes)
    assert twice <= (resent if step in fatal_steps.UNKNOWABLE else 0), arrived
    if step == "after-the-250":
        assert twice == 1, "the step isn't where it should be"
    assert watch.bounced() == []
    _await_events(fatal, shared.alias, 1)


@pytest.mark.parametrize(("fatal", "step"), AGENT, indirect=["fatal"])
def test_the_agent(fatal: Service, step: str) -> None:
    """What it was about comes to the truth exactly once."""
    owned = fatal.alias()
    names = [f"{number:02d}" for number in range(5)]
    with fatal_steps.dying(fatal.lab, "agent", step):
        for name in names:
            fatal.send("bob@example.com", [owned.alias], message(owned.alias, name))
    assert await_flow(fatal, owned.mailbox, len(names)) == names
    _await_events(fatal, owned.alias, len(names))
    (contact,) = fatal.lab.postmask("contact", "list", owned.alias)
    assert contact["address"] == "bob@example.com"


@pytest.mark.parametrize(("fatal", "victim"), POSTFIX, indirect=["fatal"])
def test_postfix_with_mail_flowing(fatal: Service, victim: str) -> None:
    """Its processes of that kind, and our client, again and again."""
    owned, watch = fatal.alias(), Watch(fatal.lab)
    logged = len(fatal.lab.program_log("forwarder"))
    names = [f"{number:03d}" for number in range(FLOWING)]
    with frozen(fatal, "forwarder"), fatal.lab.client() as session:
        for name in names:
            session.sendmail("bob@example.com", [owned.alias], message(owned.alias, name))
        # With mail flowing a client lives for some milliseconds, which is hard to hit.
        hit = _kill_waiting(fatal, victim) if victim == "client" else 0
    for share in (5, 15, 30)[: 1 if victim == ALL_AT_ONCE else None]:
        fatal.await_retried(owned.mailbox, share)
        hit += kill_daemons(fatal, victim)
        fatal.lab.up()
    assert hit, "nobody was killed"
    assert sorted(set(await_flow(fatal, owned.mailbox, len(names)))) == names
    resent = fatal.lab.program_log("forwarder")[logged:].count(" resend ")
    arrived = fatal.mail_for(owned.mailbox)
    copies = Counter(map(taken_as, arrived))
    assert len(copies) - len(names) <= resent, "a copy was made again, and the log doesn't say so"
    if victim not in DELIVERERS:
        assert len(arrived) == len(copies), copies.most_common(3)
    assert watch.bounced() == []
    _await_events(fatal, owned.alias, len(names))


def _kill_waiting(service: Service, victim: str) -> int:
    """Those that wait for the frozen forwarder; how many."""

    def hit() -> int:
        service.lab.flush()
        return kill_daemons(service, victim)

    return int(service.lab.wait_for(hit, f"a {victim} to kill"))


def _shared(service: Service) -> Shared:
    owned = service.alias()
    second = f"second-{owned.mailbox}"
    service.share(owned, second)
    return Shared(owned.alias, (owned.mailbox, second))


def _await_events(service: Service, alias: str, count: int) -> None:
    """The truth knows of each message once: so many events, and no more when the outbox is empty."""

    service.lab.wait_for(lambda: len(service.events(alias)) >= count, f"{count} events")
    await_empty_outbox(service)
    assert len(service.events(alias)) == count
