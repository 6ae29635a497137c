"""`postmask trace`: one story, wherever one begins, and no stranger's message in it."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from faults import message, taken_as
from lab import Delivered
from service import Service


def told(service: Service, wanted: str) -> list[dict[str, Any]]:
    steps = service.lab.postmask("trace", wanted)
    assert isinstance(steps, list)
    return steps


def arrived(service: Service, mailbox: str, taken: str) -> Delivered:
    """A message at its mailbox, with nothing left for Postfix to say of it, nor of the copy."""
    (mail,) = service.await_mail_for(mailbox)
    service.await_done(taken)
    service.await_done(taken_as(mail))
    return mail


def test_the_same_story_from_each_of_its_ends(service: Service) -> None:
    owned = service.alias()
    content = message(owned.alias)
    taken = service.send("bob@example.com", [owned.alias, "nobody@alias.test"], content).queue_id
    mail = arrived(service, owned.mailbox, taken)
    wrapped = re.search(rb"^Message-ID: (<[^>]+>)", mail.content, re.M | re.I)
    original = re.search(rb"^Message-ID: (<[^>]+>)", content, re.M)
    assert wrapped
    assert original
    story = told(service, taken)
    (copy,) = {step["queue_id"] for step in story} - {taken, ""}
    words = "\n".join(f"{step['by']} {step['what']}" for step in story)
    for part in (
        "smtpd reject: RCPT from mail.example.com[198.51.100.7]: 550 5.1.1 <nobody@alias.test>",
        f"postmask-milter rcpt by=gate recipient={owned.alias}",
        f"postmask-forwarder message queue_id={taken} recipient={owned.alias} verdict=deliver",
        f"ledger {owned.alias}: delivered as {copy}",
        f"smtp to=<{owned.mailbox}>",
        "status=sent (250 2.0.0 kept as",
    ):
        assert part in words, words
    for end in (copy, owned.alias, wrapped[1].decode(), original[1].decode()):
        again = {step["queue_id"] for step in told(service, end)}
        assert {taken, copy} <= again, end
        assert again <= {taken, copy, ""}, end


def test_what_a_stranger_writes_brings_nothing_into_anothers_story(service: Service) -> None:
    """A Message-ID that imitates the key, the queue id and the lines of another message."""
    owned, other = service.alias(), service.alias()
    taken = service.send("bob@example.com", [owned.alias], message(owned.alias)).queue_id
    arrived(service, owned.mailbox, taken)
    before = told(service, taken)
    key = re.search(r"orig_queue_id=([0-9a-f]{64})", str(before))
    assert key
    forged = (
        f"client=localhost[127.0.0.1], orig_queue_id={key[1]} {taken}: to=<{owned.alias}> queue_id={taken}"
    )
    content = message(other.alias).replace(b"Message-ID: <", f"Message-ID: {forged} <".encode())
    stranger = service.send(
        f'"x> orig_id={taken}"@example.com', [other.alias], content, name="h.test"
    ).queue_id
    service.await_mail_for(other.mailbox)
    service.await_done(stranger)
    assert told(service, taken) == before
    assert stranger not in str(told(service, owned.alias))


def test_an_operator_s_time_zone_is_not_the_log_s(service: Service) -> None:
    owned = service.alias()
    taken = service.send("bob@example.com", [owned.alias], message(owned.alias)).queue_id
    arrived(service, owned.mailbox, taken)
    config = str(service.lab.config)
    done = service.lab.run(
        *("env", "TZ=ABC-5", sys.executable, "-m", "postmask.cli"),
        *("trace", taken, "--json", "--config", config),
    )
    assert json.loads(done.stdout) == told(service, taken)


def test_nothing_known(service: Service) -> None:
    done = service.lab.postmask("trace", "0123456789AB", check=False)
    assert done.exit_code == 67
    assert "nothing is known of 0123456789AB" in done.stderr
