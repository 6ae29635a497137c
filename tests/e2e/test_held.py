"""`postmask held`: what we put on hold is shown, sent once, or discarded on record; no other is touched."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from account import Account, settled
from conversation import OWNERS_HOST, answer, publish, signed, start
from dkim_judges import dkimpy
from faults import Watch, await_empty_outbox, killed, message, postsuper, subjects
from held_steps import STEPS, killed_at
from postmask.cli.program import program
from service import DOMAIN, Owned, Service

HOUR = 3_600


def paused_copy(service: Service, mailbox: str = "", subject: str = "held") -> tuple[Owned, str]:
    """A message for two mailboxes of which one is paused: the alias with that one, and its copy on hold."""
    owned = service.alias()
    paused = mailbox or f"paused-{owned.mailbox}"
    service.share(owned, paused)
    service.lab.postmask("mailbox", "pause", paused)
    content = message(owned.alias, subject, b"One.\r\n.dot\r\n\x1b[2J\r\n")
    service.send("bob@example.com", [owned.alias], content)
    settled(service)
    return Owned(owned.alias, paused), on_hold(service, paused)


def on_hold(service: Service, recipient: str) -> str:
    """The queue id of the one message that is held for somebody."""
    (entry,) = (e for e in service.held() if recipient in {r["address"] for r in e["recipients"]})
    return str(entry["queue_id"])


def made_older(service: Service, queue_id: str, seconds: int) -> None:
    """As if it had come so much earlier: the two time records of its queue file are changed in place."""
    (path,) = (Path(service.lab.described["queue"]) / "hold").rglob(queue_id)
    content = path.read_bytes()
    changed, count = re.subn(
        rb"(?<=T.)\d{10}(?= )|(?<=create_time=)\d{10}",
        lambda m: b"%d" % (int(m[0]) - seconds),
        content,
        count=2,
        flags=re.S,
    )
    assert count == 2, content[:400]
    with path.open("r+b") as file:
        file.write(changed)


def refused(service: Service, *words: str) -> tuple[int, str]:
    """A call that fails: exit status and what it said."""
    done = service.lab.postmask("held", *words, check=False)
    assert done.exit_code != 0
    return done.exit_code, done.stderr


def ids(listed: list[dict[str, Any]]) -> set[str]:
    return {one["queue_id"] for one in listed}


def test_listed_shown_and_released(counted: Service) -> None:
    account = Account(counted)
    owned, held = paused_copy(counted)
    (listed,) = (one for one in counted.lab.postmask("held", "list") if one["queue_id"] == held)
    assert (listed["alias"], listed["recipient"], listed["why"]) == (
        owned.alias,
        owned.mailbox,
        "mailbox paused",
    )
    assert listed["until_at"] == listed["held_at"] + 48 * HOUR
    shown = counted.lab.postmask("held", "show", held)
    assert "Subject: held" in shown["header"]
    assert shown["text"] == ["One.", ".dot", "\x1b[2J", ""]
    raw = counted.lab.run("postcat", "-c", str(counted.lab.postfix), "-q", "-hb", held).stdout
    assert _for_people(counted, "show", held, "--raw").replace("\r\n", "\n") == raw
    assert "\x1b" not in _for_people(counted, "show", held)
    account.closes_with(delivered=1, held=1)
    assert counted.lab.postmask("held", "release", held, "--dry-run")[0]["what"] == "would be released"
    assert counted.queued(held)
    (done,) = counted.lab.postmask("held", "release", "--mailbox", owned.mailbox.upper())
    assert done["queue_id"] == held
    (mail,) = counted.await_mail_for(owned.mailbox)
    assert mail.sender == shown["sender"]
    assert mail.content.endswith(raw.replace("\n", "\r\n").encode()), "not the content that was held"
    assert dkimpy(mail.content, counted.dkim_records())
    settled(counted)
    told = account.closes_with(delivered=2)
    assert not [one for one in told["duplicates"] if one["recipient"] == owned.alias]
    assert held not in ids(counted.lab.postmask("held", "list"))
    assert refused(counted, "release", held)[0] == 67
    await_empty_outbox(counted)
    events = counted.events(owned.alias)
    (event,) = (one for one in events if one["mailbox"])
    why = "released from hold: mailbox paused"
    assert (event["kind"], event["mailbox"], event["reason"]) == ("forwarded", owned.mailbox, why)


def _for_people(service: Service, *words: str) -> str:
    done = CliRunner().invoke(program, ["--config", str(service.lab.config), "held", *words])
    assert done.exit_code == 0, done.stderr
    return done.stdout


def test_a_mailbox_outside_ascii(counted: Service) -> None:
    owned, held = paused_copy(counted, "jürgen@real.test")
    counted.lab.postmask("held", "release", "--alias", owned.alias)
    (mail,) = counted.await_mail_for("jürgen@real.test")
    assert "SMTPUTF8" in mail.mail_options
    assert counted.queued(held) is None


def test_mail_to_an_unknown_alias_past_the_gate(counted: Service) -> None:
    """Its sender can't be told. Released when the alias is there, it is forwarded."""
    account = Account(counted)
    unknown = f"nobody-{counted.name}@{DOMAIN}"
    counted.lab.submit("-i", "-f", "", unknown, content=message(unknown, "to nobody"))
    held = counted.lab.wait_for(lambda: _of(counted, unknown), "it to be held")
    assert held["why"]
    account.closes_with(held=1)
    mailbox = counted.alias().mailbox
    counted.lab.postmask("alias", "add", unknown, "--to", mailbox)
    counted.lab.postmask("held", "release", held["queue_id"])
    assert len(counted.await_mail_for(mailbox)) == 1
    settled(counted)
    account.closes_with(delivered=1)


def _of(service: Service, alias: str) -> dict[str, Any] | None:
    return next((one for one in service.lab.postmask("held", "list") if one["alias"] == alias), None)


def test_a_held_reply_goes_to_the_contact(counted: Service) -> None:
    """Held for a mailbox's address in an attachment; the operator has looked at it."""
    publish(counted)
    talk = start(counted)
    body = (
        "--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment\r\n\r\n"
        f"%PDF {talk.owned.mailbox}\r\n--b--\r\n"
    )
    content = signed(answer(talk, body, **{"Content-Type": 'multipart/mixed; boundary="b"'}))
    counted.send(talk.owned.mailbox, [talk.reverse], content, address=OWNERS_HOST)
    held = counted.lab.wait_for(lambda: _of(counted, talk.owned.alias), "it to be held")
    assert held["recipient"] == talk.contact
    counted.lab.postmask("held", "release", "--alias", talk.owned.alias)
    (mail,) = counted.await_mail_for(talk.contact)
    assert mail.content.count(b"%PDF") == 1
    await_empty_outbox(counted)
    events = counted.events(talk.owned.alias)
    assert [one["kind"] for one in events if "released" in (one["reason"] or "")] == ["replied"]


def test_released_however_late_it_is_not_returned_by_a_first_temporary_failure(counted: Service) -> None:
    """Beside one that is released by hand, which is."""
    owned, held = paused_copy(counted, subject="ours")
    other, by_hand = paused_copy(counted, subject="by hand")
    for queue_id in (held, by_hand):
        made_older(counted, queue_id, HOUR)
    watch = Watch(counted.lab)
    with counted.lab.main_cf(maximal_queue_lifetime="600s"), killed(counted, "sink"):
        postsuper(counted, "-H", by_hand)
        counted.lab.flush()
        watch.await_lines(1, f"{by_hand}: from=", "status=expired, returned to sender")
        (done,) = counted.lab.postmask("held", "release", held)
        new = done["what"].removeprefix("released as ")
        watch.await_lines(1, f"{new}: to=<{owned.mailbox}>", "status=deferred")
        assert watch.lines(f"{new}: from=", "expired") == []
    counted.await_retried(owned.mailbox)
    settled(counted)
    assert subjects(counted, owned.mailbox) == ["ours"]
    assert subjects(counted, other.mailbox) == []
    assert Account(counted).unaccounted() == []


def test_discarded_with_a_record(counted: Service) -> None:
    account = Account(counted)
    owned, held = paused_copy(counted)
    (done,) = counted.lab.postmask("held", "discard", held)
    assert done["what"] == "discarded"
    account.closes_with(delivered=1, discarded=1)
    assert counted.queued(held) is None
    await_empty_outbox(counted)
    events = counted.events(owned.alias)
    assert [one["kind"] for one in events if one["mailbox"]] == ["discarded"]


def test_what_expires_is_discarded_with_a_record_and_a_notice(counted: Service) -> None:
    account = Account(counted)
    owned, old = paused_copy(counted)
    _, young = paused_copy(counted)
    account.closes_with(delivered=2, held=2)
    made_older(counted, old, 49 * HOUR)
    (would,) = counted.lab.postmask("held", "expire", "--dry-run")
    assert would["queue_id"] == old
    assert counted.queued(old)
    (done,) = counted.lab.postmask("held", "expire")
    told = owned.mailbox.removeprefix("paused-")
    assert (done["queue_id"], done["told"], done["what"]) == (old, told, "discarded")
    (_, notice) = counted.await_mail_for(told, 2)
    assert b"Held mail was discarded" in notice.content
    assert owned.alias.encode() in notice.content
    assert b"mailbox paused" in notice.content
    assert counted.queued(old) is None
    assert counted.queued(young)
    settled(counted)
    account.closes_with(delivered=2, held=1, discarded=1)


def test_notices_of_one_day_are_few_and_without_one_nothing_expires(counted: Service) -> None:
    owned, _ = paused_copy(counted)
    for _ in range(5):
        _expired(counted, owned)
    made_older(counted, on_hold(counted, owned.mailbox), 49 * HOUR)
    done = counted.lab.postmask("held", "expire", check=False)
    assert done.exit_code == 75
    (kept,) = json.loads(done.stdout)
    assert kept["what"].startswith("kept")
    assert counted.queued(kept["queue_id"])
    counted.lab.postmask("held", "discard", kept["queue_id"])


def _expired(service: Service, owned: Owned) -> None:
    """What is held for it expires, and the next message takes its place."""
    made_older(service, on_hold(service, owned.mailbox), 49 * HOUR)
    (done,) = service.lab.postmask("held", "expire")
    assert done["what"] == "discarded"
    service.send("bob@example.com", [owned.alias], message(owned.alias))
    settled(service)


def test_a_time_that_does_not_fit_this_postfix_is_refused(counted: Service) -> None:
    settings = counted.lab.config.read_text()
    counted.lab.config.write_text(f"{settings}\n[hold]\nkeep = 216000\n")
    try:
        status, said = refused(counted, "expire")
    finally:
        counted.lab.config.write_text(settings)
    assert status == 78
    assert "maximal_queue_lifetime" in said


def test_other_held_mail_is_left_alone(counted: Service) -> None:
    """A stranger's, one without a key through the hold listener, and a copy that the operator put on hold."""
    owned = counted.alias()
    with killed(counted, "sink"):
        counted.lab.submit("-i", "-f", "bob@host.test", "else@foreign.test", content=message("else"))
        counted.send("bob@example.com", [owned.alias], message(owned.alias))
        watch = Watch(counted.lab)
        stranger = counted.lab.wait_for(lambda: _deferred(counted, "else@foreign.test"), "one that waits")
        copy = counted.lab.wait_for(lambda: _deferred(counted, owned.mailbox), "a copy that waits")
        postsuper(counted, "-h", stranger, "-h", copy)
    with counted.lab.reinjection("hold") as session:
        session.sendmail("me@host.test", ["you@host.test"], message("you"))
    foreign = {stranger, copy, on_hold(counted, "you@host.test")}
    for queue_id in foreign:
        made_older(counted, queue_id, 99 * HOUR)
    assert not ids(counted.lab.postmask("held", "list")) & foreign
    assert not ids(counted.lab.postmask("held", "expire")) & foreign
    for queue_id in foreign:
        for verb in ("show", "release", "discard"):
            status, said = refused(counted, verb, queue_id)
            assert status == 65
            assert "left alone" in said
    assert foreign <= {entry["queue_id"] for entry in counted.held()}
    assert watch.lines("postsuper", ": removed") == []
    postsuper(counted, *(word for queue_id in foreign for word in ("-d", queue_id)))


def _deferred(service: Service, recipient: str) -> str | None:
    entries = service.lab.queue()
    waits = (e for e in entries for r in e["recipients"] if r["address"] == recipient and "delay_reason" in r)
    return next((entry["queue_id"] for entry in waits if entry["queue_name"] == "deferred"), None)


@pytest.mark.parametrize("step", STEPS)
def test_killed_in_the_middle_of_a_release(counted: Service, step: str) -> None:
    """Never lost; twice only where nobody could know, and then it is told."""
    account = Account(counted)
    owned, held = paused_copy(counted)
    killed_at(step, counted.lab.config, "held", "release", held)
    sent = step != "before-sending"
    if sent:
        counted.await_mail_for(owned.mailbox)
        settled(counted)
    listed = [one for one in counted.lab.postmask("held", "list") if one["queue_id"] == held]
    unsure = step in ("before-sending", "after-the-250")
    assert [("may have been sent" in one["why"]) for one in listed] == [True] * unsure
    account.closes_with(**({"delivered": 1, "held": 1} if unsure else {"delivered": 2}))
    if step == "after-the-deletion":
        assert counted.queued(held) is None
    else:
        counted.lab.postmask("held", "release", held)
    settled(counted)
    twice = step == "after-the-250"
    assert len(counted.await_mail_for(owned.mailbox, 1 + twice)) == 1 + twice
    told = account.closes_with(delivered=2)
    assert len([one for one in told["duplicates"] if one["recipient"] == owned.alias]) == twice
    assert counted.queued(held) is None


def test_what_postfix_does_not_take_stays_on_hold(counted: Service) -> None:
    owned, held = paused_copy(counted)
    settings = counted.lab.config.read_text()
    nowhere = re.sub(r'(?m)^socket = ".*"$', f'socket = "{counted.lab.directory}/nowhere"', settings)
    counted.lab.config.write_text(nowhere)
    try:
        status, said = refused(counted, "release", held)
    finally:
        counted.lab.config.write_text(settings)
    assert status == 75
    assert "451 4.4.1" in said
    (listed,) = (one for one in counted.lab.postmask("held", "list") if one["queue_id"] == held)
    assert listed["why"] == "mailbox paused"
    counted.lab.postmask("held", "release", held)
    assert len(counted.await_mail_for(owned.mailbox)) == 1
