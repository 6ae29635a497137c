"""`postmask doctor --send`: a message all the way through a real service, and nothing of it left behind."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable

import pytest

from postmask.clock import SystemClock
from postmask.config import load
from postmask.spool import Outcome, Spool
from service import Service

pytestmark = pytest.mark.parametrize("service", ["sqlite-pipe"], indirect=True)
"""One form is enough: what stops a message on its way is played in tests/unit/doctor."""

MARK = "postmask-doctor-"


def sent(service: Service, alias: str = "") -> list[str]:
    """The codes of what was found; and that nothing is left behind."""
    words = ["--send", alias] if alias else ["--send"]
    done = service.lab.postmask("doctor", "--only", "send", *words, check=False)
    assert done.stderr == ""
    told = json.loads(done.stdout)
    assert told["groups"] == ["send"]
    service.lab.wait_for(lambda: MARK not in left(service), "nothing of the message to be left")
    return [one["code"] for one in told["findings"]]


def left(service: Service) -> str:
    """All that there is of aliases, mailboxes, contacts, and messages in the queue."""
    show: Callable[..., object] = service.lab.postmask
    nouns = (("alias", "list", "--state", "all"), ("mailbox", "list"), ("contact", "list"))
    return json.dumps([*(show(*words) for words in nouns), service.lab.queue()])


def recorded(service: Service) -> list[Outcome]:
    """What the ledger says of messages of the doctor's own, in the order of time."""
    clock = SystemClock()
    with contextlib.closing(Spool(load(service.lab.config, {}).spool.path, clock)) as spool:
        rows = [row for row in spool.ledger() if row.recipient.startswith(MARK)]
    return [row.outcome for row in sorted(rows, key=lambda row: row.at)]


def test_a_message_to_nobody(service: Service) -> None:
    before = len(recorded(service))
    assert sent(service) == []
    assert recorded(service)[before:] == [Outcome.DELIVERED, Outcome.DISCARDED]


def test_a_message_to_an_alias_comes_to_its_mailbox(service: Service) -> None:
    owned = service.alias()
    assert sent(service, owned.alias) == []
    (mail,) = service.mail_for(owned.mailbox)
    assert b"\nSubject: A test of the way of the mail\r\n" in mail.content
    assert service.lab.postmask("contact", "list", owned.alias) == []
    assert sent(service, f"no-{owned.alias}") == ["PM601"]
