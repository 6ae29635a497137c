"""Postgres stopped and frozen: mail to known aliases flows by the node's replica; who can't be looked up
hears 451 4.3.0 in time, nobody else waits.
"""

from __future__ import annotations

import itertools
import signal
import smtplib
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import pytest

from faults import FOREIGN, Watch, await_flow, killed, message, pass_foreign, within
from postgres import Cluster
from service import Owned, Service

ANSWER_SECONDS = 3.0
"""Twice the gate's own deadline."""

SLACK = 4.0

_numbers = itertools.count(1)


@pytest.mark.parametrize("out", [Cluster.stopped, Cluster.frozen])
def test_out(
    faulty_lmtp: Service, faulty_cluster: Cluster, out: Callable[[Cluster], AbstractContextManager[None]]
) -> None:
    owned = faulty_lmtp.alias()
    with _session(faulty_lmtp) as session:
        _await_answers(faulty_lmtp, session, owned)
        with out(faulty_cluster):
            _unknown_waits(faulty_lmtp, owned)
            _flows(faulty_lmtp, owned, "meanwhile", 1)
            assert _codes(session, FOREIGN, owned.alias, _unknown()) == [250, 250, 451]
        _await_answers(faulty_lmtp, session, owned)
    _flows(faulty_lmtp, owned, "afterwards", 2)


def test_programs_start_without_it(faulty_lmtp: Service, faulty_cluster: Cluster) -> None:
    """A message that was queued before is looked at, and arrives once, at the latest when it is back."""
    owned = faulty_lmtp.alias()
    watch = Watch(faulty_lmtp.lab)
    with killed(faulty_lmtp, "forwarder"):
        queue_id = faulty_lmtp.send("bob@example.com", [owned.alias], message(owned.alias, "queued")).queue_id
        watch.await_lines(1, queue_id, "status=deferred")
        for program in ("milter-alias", "milter-scan", "agent"):
            faulty_lmtp.lab.send_signal(program, signal.SIGKILL)
        with faulty_cluster.stopped():
            faulty_lmtp.lab.up()
            faulty_lmtp.lab.flush()
            watch.await_lines(1, queue_id, "status=sent")
            _unknown_waits(faulty_lmtp, owned)
    assert await_flow(faulty_lmtp, owned.mailbox, 1) == ["queued"]
    assert watch.bounced() == []
    told = partial(faulty_lmtp.event_kinds, owned.alias)
    faulty_lmtp.lab.wait_for(lambda: told() == ["forwarded"], "the event in the database", 90.0)


def _unknown() -> str:
    """An address that nobody has asked for, so that nobody remembers the answer."""
    return f"nobody-{next(_numbers)}@alias.test"


def _session(service: Service) -> smtplib.SMTP:
    session = service.lab.client("127.0.0.1", "localhost")
    assert session.mail("bob@example.com")[0] == 250
    return session


def _codes(session: smtplib.SMTP, *recipients: str) -> list[int]:
    return [session.rcpt(recipient)[0] for recipient in recipients]


def _unknown_waits(service: Service, owned: Owned) -> None:
    """What nobody knows here gets 451 4.3.0 in time, a known alias 250, other mail passes as ever."""
    pass_foreign(service, SLACK)
    with within(ANSWER_SECONDS + SLACK, "an unknown recipient"):
        assert service.rcpt(_unknown()).startswith("451 4.3.0 ")
    with within(ANSWER_SECONDS + SLACK, "an alias"), _session(service) as session:
        assert _codes(session, owned.alias) == [250]


def _await_answers(service: Service, session: smtplib.SMTP, owned: Owned) -> None:
    """With the truth there, also after an earlier outage."""
    answers = [250, 550, 250]
    service.lab.wait_for(lambda: _codes(session, owned.alias, _unknown(), FOREIGN) == answers, "the answers")


def _flows(service: Service, owned: Owned, subject: str, count: int) -> None:
    """From a sender whom the alias has never met before: a new contact."""
    service.send(f"{subject}@example.com", [owned.alias], message(owned.alias, subject))
    assert subject in await_flow(service, owned.mailbox, count)
