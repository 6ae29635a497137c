"""A forwarder that answers nonsense: mail waits, nothing bounces, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faults import Watch, await_flow, message, subjects
from lmtp_service import lmtp_service
from postmask.clock import Deadline
from postmask.verdict import Verdict, deliver
from postmask_transport.lmtp import Envelope
from service import Service
from stand_ins import fake_forwarder, put_aside

NONSENSE: dict[str, dict[str, bytes]] = {
    "connect-500": {"CONNECT": b"500 no"},
    "connect-hangup": {"CONNECT": b""},
    "lhlo-500": {"LHLO": b"500 Error: command unrecognized"},
    "lhlo-550": {"LHLO": b"550 5.7.1 go away"},
    "xforward-503": {"XFORWARD": b"503 5.5.1 bad sequence", "MAIL": b"503 5.5.1 bad sequence"},
    "mail-550": {"MAIL": b"550 5.1.0 sender rejected"},
    "mail-552": {"MAIL": b"552 5.3.4 message too big"},
    "rcpt-550": {"RCPT": b"550 5.1.1 user unknown"},
    "rcpt-503": {"RCPT": b"503 Error: need MAIL command"},
    "data-554": {"DATA": b"554 5.5.1 no valid recipients"},
    "data-502": {"DATA": b"502 not implemented"},
    "dot-500": {".": b"500 Error: (KeyError) 'x'"},
    "dot-554": {".": b"554 5.6.0 content rejected"},
    "dot-other-mark": {".": b"550 5.1.1 postmark: no such address here"},
    "dot-mark-later": {".": b"550 5.1.1 they said postmask: no such address here"},
    "dot-mark-quoted": {".": b"554 5.6.0 host x said: 550 5.1.1 postmask: no such address here"},
    "dot-mark-without-status": {".": b"550 postmask: no such address here"},
    "dot-hangup": {".": b""},
}
SLOW_NONSENSE = {
    # What isn't SMTP at all lmtp(8) waits out, for up to 30 s after the dot.
    "connect-not-smtp": {"CONNECT": b"*** hello"},
    "dot-not-smtp": {".": b"thank you"},
}


def test_nonsense_at_every_verb_defers(faulty: Service) -> None:
    owned = faulty.alias()
    watch = Watch(faulty.lab)
    cases = NONSENSE | (SLOW_NONSENSE if faulty.lab.described["door"] == "pipe" else {})
    with fake_forwarder(faulty) as fake:
        for name, answers in cases.items():
            fake.answers = answers
            queue_id = _send(faulty, owned.alias, name)
            watch.await_lines(1, queue_id, "status=deferred")
    assert watch.bounced() == []
    assert await_flow(faulty, owned.mailbox, len(cases)) == sorted(cases)


def test_a_refusal_with_our_mark_bounces(faulty: Service) -> None:
    """The fence is no wall."""
    owned = faulty.alias()
    watch = Watch(faulty.lab)
    with fake_forwarder(faulty) as fake:
        fake.answers = {".": b"550 5.1.1 postmask: no such address here"}
        queue_id = _send(faulty, owned.alias, "refused")
        watch.await_lines(1, queue_id, "status=bounced")
    (bounce,) = faulty.await_mail_for("bob@example.com")
    assert b"Status: 5.1.1\r\n" in bounce.content
    assert b"postmask: no such address here" in b" ".join(bounce.content.split())
    assert subjects(faulty, owned.mailbox) == []


@dataclass(frozen=True)
class Broken:
    """A handler for the real server, with a fault."""

    fault: Callable[[Envelope], Any]

    def message(self, envelope: Envelope, data: bytes, deadline: Deadline) -> Sequence[Verdict]:
        return self.fault(envelope)  # type: ignore[no-any-return]


def _raise(error: BaseException) -> Callable[[Envelope], Any]:
    def fault(envelope: Envelope) -> Any:
        raise error

    return fault


BROKEN = {
    "raises": Broken(_raise(KeyError("me@real.test"))),
    "out-of-memory": Broken(_raise(MemoryError())),
    "returns-none": Broken(lambda envelope: None),
    "returns-nothing": Broken(lambda envelope: []),
    "returns-too-many": Broken(lambda envelope: [deliver()] * (len(envelope.recipients) + 1)),
    "returns-text": Broken(lambda envelope: ["250 2.0.0 ok"] * len(envelope.recipients)),
}


def test_a_broken_engine_defers(faulty: Service) -> None:
    owned = faulty.alias()
    watch = Watch(faulty.lab)
    path = Path(faulty.lab.described["sockets"]["forwarder"])
    for name, handler in BROKEN.items():
        with put_aside(path), lmtp_service(path, handler=handler):
            queue_id = _send(faulty, owned.alias, name)
            watch.await_lines(1, queue_id, "status=deferred")
    assert watch.bounced() == []
    assert await_flow(faulty, owned.mailbox, len(BROKEN)) == sorted(BROKEN)
    assert not watch.lines("me@real.test", "status=deferred")


def _send(faulty: Service, alias: str, name: str) -> str:
    return faulty.send("bob@example.com", [alias], message(alias, name)).queue_id
