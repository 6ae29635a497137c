"""Local submission, with the site's milters also asked for it: nothing may stay in maildrop."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from faults import FOREIGN, await_flow, frozen, killed, message, untouched
from service import Service

SUBMITTER = "local-submitter@host.test"


@pytest.fixture
def asked(faulty: Service) -> Iterator[Service]:
    """A service whose Postfix asks the milters about local submissions too."""
    with faulty.lab.main_cf(non_smtpd_milters="$smtpd_milters"):
        yield faulty


def test_an_unknown_alias_and_a_foreign_address(asked: Service) -> None:
    """The foreign one gets it, the submitter hears of the other."""
    known = len(asked.mail_for(FOREIGN)), len(asked.mail_for(SUBMITTER))
    unknown = "nobody-here@alias.test"
    asked.lab.submit("-i", "-f", SUBMITTER, unknown, FOREIGN, content=message(unknown))
    asked.await_mail_for(FOREIGN, known[0] + 1)
    bounce = asked.await_mail_for(SUBMITTER, known[1] + 1)[-1]
    assert b"Status: 5.1.1\r\n" in bounce.content
    asked.lab.await_empty_queue()
    assert _maildrop(asked) == []


def test_an_alias_and_a_foreign_address(asked: Service) -> None:
    """Whatever state the milter is in."""
    owned = asked.alias()
    known = len(asked.mail_for(FOREIGN))
    recipients = (owned.alias, FOREIGN)
    states = {"running": untouched, "killed": killed, "frozen": frozen}
    for number, (name, state) in enumerate(states.items(), 1):
        with state(asked, "milter-alias"):
            asked.lab.submit("-i", "-f", SUBMITTER, *recipients, content=message(owned.alias, name))
            asked.await_mail_for(FOREIGN, known + number)
            asked.lab.wait_for(lambda: not _maildrop(asked), "an empty maildrop")
    assert await_flow(asked, owned.mailbox, len(states)) == sorted(states)


def _maildrop(service: Service) -> list[str]:
    return [entry["queue_id"] for entry in service.lab.queue() if entry["queue_name"] == "maildrop"]
