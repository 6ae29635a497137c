"""Postgres stopped and frozen: our recipients hear 451 4.3.0 within the time-outs, nobody else waits."""

from __future__ import annotations

import smtplib

from faults import Watch, await_flow, killed, message, within
from postgres import Cluster
from service import Owned, Service

ANSWER_SECONDS = 3.0
"""The gate's time-out in Postfix; its own deadline lies below."""

SLACK = 4.0
UNKNOWN = "nobody-of-this-name@alias.test"
FOREIGN = "you@elsewhere.test"


def test_stopped(faulty_lmtp: Service, faulty_cluster: Cluster) -> None:
    owned = faulty_lmtp.alias()
    with _session(faulty_lmtp) as session:
        assert _codes(session, owned.alias, UNKNOWN, FOREIGN) == [250, 550, 250]
        with faulty_cluster.stopped():
            _ours_waits(faulty_lmtp, owned)
            assert _codes(session, FOREIGN, owned.alias, UNKNOWN) == [250, 451, 451]
        _await_return(faulty_lmtp, session, owned)
    _flows(faulty_lmtp, owned)


def test_frozen(faulty_lmtp: Service, faulty_cluster: Cluster) -> None:
    owned = faulty_lmtp.alias()
    with _session(faulty_lmtp) as session:
        assert _codes(session, owned.alias, UNKNOWN, FOREIGN) == [250, 550, 250]
        with faulty_cluster.frozen():
            _ours_waits(faulty_lmtp, owned)
            assert _codes(session, FOREIGN, owned.alias, UNKNOWN) == [250, 451, 451]
        _await_return(faulty_lmtp, session, owned)
    _flows(faulty_lmtp, owned)


def test_programs_start_without_it_and_queued_mail_waits(
    faulty_lmtp: Service, faulty_cluster: Cluster
) -> None:
    owned = faulty_lmtp.alias()
    watch = Watch(faulty_lmtp.lab)
    with killed(faulty_lmtp, "forwarder"):
        queue_id = faulty_lmtp.send("bob@example.com", [owned.alias], message(owned.alias, "queued")).queue_id
        watch.await_lines(1, queue_id, "status=deferred")
        faulty_lmtp.lab.send_signal("milter-alias", 9)
        faulty_lmtp.lab.send_signal("agent", 9)
        with faulty_cluster.stopped():
            faulty_lmtp.lab.up()
            faulty_lmtp.lab.flush()
            watch.await_lines(1, queue_id, "status=deferred", "451 4.3.0")
            _ours_waits(faulty_lmtp, owned)
    assert await_flow(faulty_lmtp, owned.mailbox, 1) == ["queued"]
    assert watch.bounced() == []

    def told() -> bool:
        events = faulty_lmtp.lab.postmask("event", "list", "--alias", owned.alias)
        return [event["kind"] for event in events] == ["forwarded"]

    faulty_lmtp.lab.wait_for(told, "the event in the database")


def _session(service: Service) -> smtplib.SMTP:
    session = service.lab.client("127.0.0.1", "localhost")
    assert session.mail("bob@example.com")[0] == 250
    return session


def _codes(session: smtplib.SMTP, *recipients: str) -> list[int]:
    return [session.rcpt(recipient)[0] for recipient in recipients]


def _ours_waits(service: Service, owned: Owned) -> None:
    """Ours gets 451 4.3.0 in time, other mail passes as ever."""
    known = len(service.mail_for(FOREIGN))
    with within(SLACK, "the host's other mail"):
        service.send("bob@example.com", [FOREIGN], message(FOREIGN), address="127.0.0.1")
        service.await_mail_for(FOREIGN, known + 1)
    for recipient in (owned.alias, UNKNOWN, "postmaster@alias.test"):
        with within(ANSWER_SECONDS + SLACK, recipient):
            said = service.send("bob@example.com", [recipient], b"")
        assert said.recipients[recipient].startswith("451 4.3.0 "), said


def _await_return(service: Service, session: smtplib.SMTP, owned: Owned) -> None:
    service.lab.wait_for(lambda: _codes(session, owned.alias, UNKNOWN) == [250, 550], "the database's return")


def _flows(service: Service, owned: Owned) -> None:
    service.send("bob@example.com", [owned.alias], message(owned.alias, "flows"))
    assert await_flow(service, owned.mailbox, 1) == ["flows"]
