"""A re-injection listener that refuses, hangs up and stalls at every verb: mail waits, nothing bounces,
nothing is lost, and a copy comes twice only where nobody could know whether it was taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from faults import Watch, await_flow, kill_daemons, message
from service import Service
from stand_ins import FakeReinjection, fake_reinjection

VERBS = ("CONNECT", "EHLO", "XFORWARD", "MAIL", "RCPT", "DATA", ".")
REFUSALS = {
    **{f"{verb}-421": {verb: b"421 4.3.2 shutting down"} for verb in VERBS},
    **{f"{verb}-452": {verb: b"452 4.3.1 insufficient system storage"} for verb in VERBS},
    **{f"{verb}-554": {verb: b"554 5.7.1 refused"} for verb in VERBS if verb != "XFORWARD"},
    **{f"{verb}-hangup": {verb: b""} for verb in VERBS[:-1]},
    "RCPT-250-DATA-250": {"DATA": b"250 2.0.0 out of step"},
    "EHLO-not-smtp": {"EHLO": b"*** hello"},
}
"""After these the listener has no copy, and we know it."""

UNKNOWN = {
    ".-hangup": {".": b""},
    ".-not-smtp": {".": b"thank you"},
    ".-451": {".": b"451 4.3.0 Error: queue file write error"},
}
"""After these nobody knows: smtpd says the last also when cleanup(8) died with the copy in the queue."""

STALL = 2.0
TIMEOUT = 10.0
"""reinject.timeout, as it is by default."""


def test_refused_at_every_verb(faulty: Service) -> None:
    owned, watch = faulty.alias(), Watch(faulty.lab)
    resent = _resent(faulty)
    with _stands_in(faulty) as fake:
        for name, answers in REFUSALS.items():
            fake.answers = answers
            queue_id = _send(faulty, owned.alias, name)
            watch.await_lines(1, queue_id, "status=deferred")
        assert fake.taken == []
    assert await_flow(faulty, owned.mailbox, len(REFUSALS)) == sorted(REFUSALS)
    assert watch.bounced() == []
    assert _resent(faulty) == resent, "a copy that was refused is no duplicate"


def test_xforward_refused(faulty: Service) -> None:
    """It is there for the log alone: the copy is handed over without it."""
    owned = faulty.alias()
    with _stands_in(faulty) as fake:
        fake.answers = {"XFORWARD": b"550 5.7.1 not for you"}
        faulty.await_done(_send(faulty, owned.alias, "without XFORWARD"))
        assert len(fake.taken) == 1


def test_closed_after_the_final_dot(faulty: Service) -> None:
    """The listener may have it: sent again, with a word about it in the log, and never bounced."""
    owned, watch = faulty.alias(), Watch(faulty.lab)
    resent = _resent(faulty)
    with _stands_in(faulty) as fake:
        for name, answers in UNKNOWN.items():
            fake.answers = answers
            connections = fake.connections
            queue_id = _send(faulty, owned.alias, name)
            watch.await_lines(1, queue_id, "status=deferred")
            assert fake.connections == connections + 1, "after the dot no second connection is tried"
    assert await_flow(faulty, owned.mailbox, len(UNKNOWN)) == sorted(UNKNOWN)
    assert watch.bounced() == []
    assert _resent(faulty) == resent + len(UNKNOWN)


def test_a_stall_that_ends_in_time_is_no_duplicate(faulty: Service) -> None:
    """At every verb, one after the other in one message, and once more after the dot."""
    owned, watch = faulty.alias(), Watch(faulty.lab)
    with _stands_in(faulty) as fake:
        fake.stalled = {verb: STALL if verb == "." else STALL / len(VERBS) for verb in VERBS}
        faulty.await_done(_send(faulty, owned.alias, "slow"))
        assert len(fake.taken) == 1
    assert await_flow(faulty, owned.mailbox, 0) == []
    assert watch.lines("status=deferred") == []


def test_a_stall_beyond_the_time_limit(faulty_lmtp: Service) -> None:
    """Its 250 comes when nobody listens any more: the copy is sent again, and the log says so."""
    owned, watch = faulty_lmtp.alias(), Watch(faulty_lmtp.lab)
    resent = _resent(faulty_lmtp)
    with _stands_in(faulty_lmtp) as fake:
        fake.stalled = {".": TIMEOUT + STALL}
        queue_id = _send(faulty_lmtp, owned.alias, "late")
        watch.await_lines(1, queue_id, "status=deferred")
    assert await_flow(faulty_lmtp, owned.mailbox, 1) == ["late"]
    assert _resent(faulty_lmtp) == resent + 1
    assert watch.bounced() == []


@contextmanager
def _stands_in(service: Service) -> Iterator[FakeReinjection]:
    """The forwarder has no connection left to the listener that the other one takes the place of."""
    with fake_reinjection(service) as fake:
        kill_daemons(service, "smtpd")
        yield fake


def _resent(service: Service) -> int:
    return service.lab.program_log("forwarder").count(" resend ")


def _send(service: Service, alias: str, name: str) -> str:
    return service.send("bob@example.com", [alias], message(alias, name)).queue_id
