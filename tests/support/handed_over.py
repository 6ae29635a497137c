"""What Postfix hands to the forwarder, looked at in the forwarder's place."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lmtp_service import Recorder, lmtp_service
from postmask.keys import load
from postmask.message.evidence import Evidence, open_evidence
from postmask.message.headers import split
from postmask_transport.lmtp import Envelope
from service import Service
from stand_ins import put_aside


@dataclass
class HandedOver(Recorder):
    """Takes all that comes, and keeps it."""

    service: Service | None = field(default=None)

    def await_for(self, recipient: str) -> tuple[Envelope, bytes]:
        """The first message for a recipient."""
        assert self.service is not None

        def found() -> tuple[Envelope, bytes] | None:
            return next((one for one in self.messages if recipient in one[0].recipients), None)

        envelope, data = self.service.lab.wait_for(found, f"a message handed over for {recipient}")
        return envelope, data

    def evidence_for(self, recipient: str) -> Evidence | None:
        """The evidence in it, as the forwarder opens it."""
        envelope, data = self.await_for(recipient)
        return self.evidence_in(envelope, data)

    def evidence_in(self, envelope: Envelope, data: bytes) -> Evidence | None:
        assert self.service is not None
        keys = load(self.service.lab.directory / "keys")
        headers, body = split(data)
        return open_evidence(keys, headers, body, envelope.recipients, now=time.time(), oldest=3600)


@contextlib.contextmanager
def handed_over(service: Service) -> Iterator[HandedOver]:
    """The forwarder is put aside; what is for it comes here, and is gone."""
    path = Path(service.lab.described["sockets"]["forwarder"])
    recorder = HandedOver(service=service)
    with put_aside(path), lmtp_service(path, recorder):
        yield recorder
