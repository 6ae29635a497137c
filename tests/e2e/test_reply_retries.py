"""A proven reply whose first try fails after its proof was taken: the proof is still its own."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from conversation import OWNERS_HOST, Conversation, answer, publish, settled, signed, start
from faults import kill_daemons
from service import Service
from stand_ins import passage, put_aside


@pytest.fixture
def talk(faulty: Service) -> Conversation:
    publish(faulty)
    return start(faulty)


@pytest.mark.parametrize("form", ["usual", "Microsoft 365"])
def test_deferred_at_first_it_arrives_once(faulty: Service, talk: Conversation, form: str) -> None:
    content = owners_reply(talk, form)
    with put_aside(Path(faulty.lab.described["sockets"]["reinject"])):
        kill_daemons(faulty, "smtpd")
        said = faulty.send(talk.owned.mailbox, [talk.reverse], content, address=OWNERS_HOST)
        assert "verdict=defer" in settled(faulty, said.queue_id)
    arrives_once(faulty, talk, said.queue_id)


def test_crashed_after_the_mark_it_arrives_once(faulty: Service, talk: Conversation) -> None:
    with passage(faulty, "reinject") as passed:
        kill_daemons(faulty, "smtpd")
        passed.stop(after=600)
        content = owners_reply(talk, "usual", lines=40_000)
        said = faulty.send(talk.owned.mailbox, [talk.reverse], content, address=OWNERS_HOST)
        faulty.lab.wait_for(passed.paused.is_set, "the copy on its way")
        faulty.lab.send_signal("forwarder", signal.SIGKILL)
    faulty.lab.up()
    arrives_once(faulty, talk, said.queue_id)


def owners_reply(talk: Conversation, form: str, lines: int = 1) -> bytes:
    """The owner's reply as it is usually signed, or as Microsoft 365 does it (neither To nor Cc).

    lines: of the body; 2 MB and more don't fit between two sockets, so that a death shows.
    """
    names = ["from", "date", "subject", "message-id", "content-type", "mime-version"]
    return signed(answer(talk, ("x" * 60 + "\r\n") * lines), names=names if form != "usual" else None)


def arrives_once(service: Service, talk: Conversation, queue_id: str) -> None:
    """Let Postfix try again, until it has nothing more to do."""
    service.lab.wait_retrying(lambda: service.queued(queue_id) is None, "the end of the deferral")
    (mail,) = service.await_mail_for(talk.contact)
    assert talk.owned.mailbox.encode() not in mail.content
    assert len(service.mail_for(talk.contact)) == 1
