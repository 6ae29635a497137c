"""The body arrives byte for byte as Postfix's queue held it, through both doors, and DKIM verifies.

Everything is sent while our transports are deferred, looked at in the queue, and then let go.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bodies import BODIES
from dkim_judges import dkimpy, mail_dkim, opendkim
from lab import lab
from nameserver import Nameserver
from service import Service


@pytest.fixture(scope="module", params=["pipe", "lmtp"])
def service(request: pytest.FixtureRequest, names: Nameserver) -> Iterator[Service]:
    """A service of this module's own, since its transports are deferred meanwhile."""
    with lab(door=request.param, nameserver=names.text) as running:
        yield Service(request.param, running, names)


def test_every_body_arrives_as_the_queue_held_it(service: Service) -> None:
    owned = {name: service.alias() for name in BODIES}
    held: dict[str, bytes] = {}
    with service.lab.main_cf(defer_transports="postmask postmask-lmtp"):
        for name, body in BODIES.items():
            to = owned[name].alias
            head = f"From: bob@example.com\r\nTo: {to}\r\nSubject: {name}\r\n\r\n".encode()
            said = service.send("bob@example.com", [to], head + body, options=["BODY=8BITMIME"])
            held[name] = service.lab.queued_content(said.queue_id).partition(b"\n\n")[2]
    service.lab.flush()
    records = service.dkim_records()
    for name in BODIES:
        (mail,) = service.await_mail_for(owned[name].mailbox, seconds=120)
        body = mail.content.partition(b"\r\n\r\n")[2]
        assert body.replace(b"\r\n", b"\n") == held[name], name
        assert body == held[name].replace(b"\n", b"\r\n"), name
        assert dkimpy(mail.content, records), name
        assert mail_dkim(mail.content, records), name
        assert opendkim(mail.content, records), name
