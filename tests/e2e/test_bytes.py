"""The body arrives byte for byte as Postfix's queue held it, through both doors, and DKIM verifies.

Everything is sent while our transports are deferred, looked at in the queue, and then let go.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator

import pytest

from dkim_judges import dkimpy, mail_dkim, opendkim
from lab import lab
from nameserver import Nameserver
from service import Service

_random = random.Random(1)

BODIES = {
    "7-bit": b"Plain text.\r\nTwo lines.\r\n",
    "8-bit": "Grüße, naïve façade — ñandú\r\n".encode() + b"\xff\xfe latin \xe9\r\n",
    "base64 of 20 MB": base64.encodebytes(_random.randbytes(15_000_000)).replace(b"\n", b"\r\n"),
    "lines of 998 octets": (b"x" * 998 + b"\r\n") * 20 + b"y" * 997 + b"\r\n",
    "dot lines": b".\r\n..\r\n...\r\n.hidden\r\n. \r\nend.\r\n",
    "no final newline": b"first\r\nlast without an end",
    "empty": b"",
    "blank lines at the end": b"text\r\n\r\n\r\n\r\n",
    "control characters": bytes(range(1, 10)) + b"\x0b\x0c" + bytes(range(14, 32)) + b"\x7f\r\n",
    "blanks at the ends": b"soft \t \r\n \r\n\t\r\n-- \r\nsignature\r\n",
    "From lines": b"From here on\r\n>From there\r\n",
    "looks like a header": b"Subject: no\r\nX-Postmask-Trace: no\r\n\r\nbody\r\n",
    "broken MIME": b"--b\r\nContent-Type: text/plain\r\n\r\nno closing boundary\r\n--b  \r\n",
}


@pytest.fixture(scope="module", params=["pipe", "lmtp"])
def service(request: pytest.FixtureRequest, names: Nameserver) -> Iterator[Service]:
    """A service of this module's own, since its transports are deferred meanwhile."""
    with lab(door=request.param, nameserver=names.text) as running:
        yield Service(request.param, running, names)


def test_every_body_arrives_as_the_queue_held_it(service: Service) -> None:
    service.lab.run(
        "postconf", "-c", str(service.lab.postfix), "-e", "defer_transports=postmask postmask-lmtp"
    )
    service.lab.run("postfix", "-c", str(service.lab.postfix), "reload")
    owned = {name: service.alias() for name in BODIES}
    held: dict[str, bytes] = {}
    for name, body in BODIES.items():
        head = f"From: bob@example.com\r\nTo: {owned[name].alias}\r\nSubject: {name}\r\n\r\n".encode()
        said = service.send("bob@example.com", [owned[name].alias], head + body, options=["BODY=8BITMIME"])
        content = service.lab.queued_content(said.queue_id)
        held[name] = content.partition(b"\n\n")[2]
    service.lab.run("postconf", "-c", str(service.lab.postfix), "-e", "defer_transports=")
    service.lab.run("postfix", "-c", str(service.lab.postfix), "reload")
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
