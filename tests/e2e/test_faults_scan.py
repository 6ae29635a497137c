"""The scan milter killed and frozen, also in the middle of a session: mail goes on as if it weren't there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from faults import FOREIGN, Watch, await_flow, frozen, killed, message, within
from service import Service

MILTER_SECONDS = 2.0
CONTENT_SECONDS = 15.0
SLACK = 4.0

State = Callable[[Service, str], contextlib.AbstractContextManager[None]]


@pytest.mark.parametrize(("state", "seconds"), [(killed, 0.0), (frozen, MILTER_SECONDS)])
def test_before_the_session(faulty_pipe: Service, state: State, seconds: float) -> None:
    """It costs one time-out at most, and nobody's mail is deferred."""
    owned = faulty_pipe.alias()
    watch = Watch(faulty_pipe.lab)
    known = len(faulty_pipe.mail_for(FOREIGN))
    with state(faulty_pipe, "milter-scan"):
        for recipient, address in ((owned.alias, "198.51.100.7"), (FOREIGN, "127.0.0.1")):
            with within(seconds + SLACK, f"a message to {recipient}"):
                said = faulty_pipe.send("bob@example.com", [recipient], message(recipient), address=address)
            assert said.queue_id
        faulty_pipe.await_mail_for(FOREIGN, known + 1)
        faulty_pipe.await_mail_for(owned.mailbox)
    assert watch.lines("status=deferred") == []


@pytest.mark.parametrize(("state", "seconds"), [(killed, 0.0), (frozen, CONTENT_SECONDS)])
def test_between_recipient_and_message(faulty_pipe: Service, state: State, seconds: float) -> None:
    owned = faulty_pipe.alias()
    with faulty_pipe.lab.client() as session:
        session.mail("bob@example.com")
        assert session.rcpt(owned.alias)[0] == 250
        with state(faulty_pipe, "milter-scan"), within(seconds + SLACK, "the message"):
            assert session.data(message(owned.alias, "first"))[0] == 250
        # The rest of the session goes without it.
        session.sendmail("bob@example.com", [owned.alias], message(owned.alias, "second"))
    assert await_flow(faulty_pipe, owned.mailbox, 2) == ["first", "second"]


def test_a_foreign_message_in_a_session_with_a_frozen_one(faulty_pipe: Service) -> None:
    known = len(faulty_pipe.mail_for(FOREIGN))
    with faulty_pipe.lab.client("127.0.0.1", "localhost") as session:
        session.mail("bob@example.com")
        assert session.rcpt(FOREIGN)[0] == 250
        with frozen(faulty_pipe, "milter-scan"), within(MILTER_SECONDS + SLACK, "the message"):
            assert session.data(message(FOREIGN))[0] == 250
    faulty_pipe.await_mail_for(FOREIGN, known + 1)


def test_without_dns_nobody_waits_long(faulty_pipe: Service) -> None:
    """Its share of the budget, and once the breaker is open next to nothing."""
    owned = faulty_pipe.alias()
    with faulty_pipe.nameserver.hung(), within(3.0 + SLACK, "a message without DNS"):
        assert faulty_pipe.send("bob@example.com", [owned.alias], message(owned.alias)).queue_id
    faulty_pipe.await_mail_for(owned.mailbox)
