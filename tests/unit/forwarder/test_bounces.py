"""What comes home to a bounce address: recorded, and told to whoever may be told."""

from __future__ import annotations

from pathlib import Path

import pytest

import engine_rig
from directories import alias, mailbox
from engine_rig import FOREIGN, LOGGED_IN, PLAIN, Rig
from postmask.clock import DAY
from postmask.directory.lookup import Unavailable
from postmask.directory.records import AliasState, BlockAction, SenderRule
from postmask.message.headers import split
from postmask.spool import Notice
from postmask.verdict import Kind, Verdict
from postmask_transport.lmtp import Client

REPORT = """\
From: MAILER-DAEMON@mx.real.test
Subject: Undelivered Mail Returned to Sender
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.real.test

Final-Recipient: rfc822; me@real.test
Action: {action}
Status: {status}
Diagnostic-Code: smtp; 550 {status} no such user me@real.test

--b
Content-Type: text/rfc822-headers

{headers}
--b--
"""


def returned(rig: Rig, action: str = "failed", status: str = "5.1.1", number: int = 0) -> Verdict:
    """The last copy that went out comes back."""
    sender, _, content = rig.out.sent[-1]
    headers = split(content)[0].to_bytes().decode().replace("\r\n", "\n")
    report = REPORT.format(action=action, status=status, headers=headers) + f"{number}\n"
    return rig.deliver(sender, report.replace("\n", "\r\n").encode(), "", FOREIGN)


def notices(rig: Rig) -> list[Notice]:
    return rig.spool.due_notices(99)


def test_who_had_logged_in_is_told_and_not_of_the_mailbox(rig: Rig) -> None:
    rig.deliver(client=LOGGED_IN)
    assert returned(rig).kind is Kind.DELIVER
    (notice,) = notices(rig)
    assert (notice.recipient, notice.sender) == ("bob@example.com", "postmask@alias.test")
    assert "about your message to shop@alias.test:" in notice.text
    assert "status 5.1.1." in notice.text
    assert "real.test" not in notice.text + notice.subject
    assert rig.outcomes() == ["delivered", "recorded"]
    assert rig.events() == ["forwarded", "bounced"]
    (bounce,) = (entry.payload for _, entry in rig.spool.outbox(99) if entry.kind == "bounce")
    assert (bounce["alias_id"], bounce["mailbox_id"], bounce["kind"]) == (7, 5, "forward")
    assert (bounce["action"], bounce["status"]) == ("failed", "5.1.1")


def test_a_notice_comes_from_whom_the_settings_name(tmp_path: Path) -> None:
    with engine_rig.rig(tmp_path, notices_from="mail@host.test") as rig:
        rig.deliver(client=LOGGED_IN)
        returned(rig)
        assert [notice.sender for notice in notices(rig)] == ["mail@host.test"]


@pytest.mark.parametrize(
    ("client", "action", "events"),
    [
        (FOREIGN, "failed", ["forwarded", "bounced"]),
        (LOGGED_IN, "delayed", ["forwarded", "deferred"]),
        (LOGGED_IN, "relayed", ["forwarded"]),
    ],
    ids=["a sender who may be forged", "a delay", "it arrived"],
)
def test_nobody_is_told(rig: Rig, client: Client, action: str, events: list[str]) -> None:
    rig.deliver(client=client)
    assert returned(rig, action).kind is Kind.DELIVER
    assert notices(rig) == []
    assert rig.events() == events


def test_the_event_of_a_forward_that_failed_says_whose_message_it_was(rig: Rig) -> None:
    rig.deliver()
    returned(rig, status="4.2.2")
    assert [rig.last_event()[name] for name in ("kind", "contact", "status")] == [
        "bounced",
        "bob@example.com",
        "4.2.2",
    ]


def test_but_only_the_one_of_whom_the_bounce_address_speaks(rig: Rig) -> None:
    rig.deliver(content=PLAIN.replace(b"bob@example.com", b"eve@example.com"))
    _, _, another = rig.out.sent[-1]
    rig.deliver()
    sender, recipient, _ = rig.out.sent[-1]
    rig.out.sent[-1] = (sender, recipient, another)
    returned(rig)
    assert rig.last_event().get("contact") is None


def written_to_two(rig: Rig) -> None:
    """A first message to dave and carol; the copy for carol goes out last."""
    boxes = (mailbox("other@real.test", id=6), mailbox(login="me"))
    rig.directory.aliases["shop@alias.test"] = alias(mailboxes=boxes)
    both = [f"shop+{name}=example.org@alias.test" for name in ("dave", "carol")]
    content = f"From: me@real.test\r\nTo: {', '.join(both)}\r\n\r\nbody\r\n".encode()
    for one in both:
        rig.deliver(one, content, "me@real.test", LOGGED_IN)


def test_the_owner_is_told_which_reply_it_was(rig: Rig) -> None:
    written_to_two(rig)
    returned(rig, status="5.7.1")
    (notice,) = notices(rig)
    assert notice.recipient == "me@real.test"
    assert "a message that you sent to carol@example.org through shop@alias.test:" in notice.text
    assert "status 5.7.1." in notice.text
    event = rig.last_event()
    assert (event["kind"], event["contact"]) == ("bounced", "carol@example.org")


@pytest.mark.parametrize("said", ["dave@example.org", "evil@example.org", ""])
def test_it_names_nobody_else_whatever_came_back(rig: Rig, said: str) -> None:
    """The bounce address says whom the reply was for; the rest is anybody's word."""
    written_to_two(rig)
    report = REPORT.format(action="failed", status="5.1.1", headers=f"To: {said}\n" if said else "")
    rig.deliver(rig.out.sent[-1][0], report.replace("\n", "\r\n").encode(), "", FOREIGN)
    (notice,) = notices(rig)
    assert "about a message that you sent through shop@alias.test:" in notice.text


def test_the_directory_is_not_asked_for_each_of_thousands_of_addresses(rig: Rig) -> None:
    written_to_two(rig)
    before = len(rig.directory.asked)
    strangers = ",\n ".join(f"u{number}@example.org" for number in range(1000))
    report = REPORT.format(action="failed", status="5.1.1", headers=f"To: {strangers}\n")
    rig.deliver(rig.out.sent[-1][0], report.replace("\n", "\r\n").encode(), "", FOREIGN)
    assert len(rig.directory.asked) - before < 100


def test_it_waits_while_nobody_can_say_whose_it_is(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.deliver(client=LOGGED_IN)
    with monkeypatch.context() as away:
        away.setattr(rig.directory, "alias_by_id", lambda *_: Unavailable("no database"))
        assert returned(rig).kind is Kind.DEFER
    assert returned(rig).kind is Kind.DELIVER
    assert len(notices(rig)) == 1


def test_one_that_is_handed_over_again_counts_once(rig: Rig) -> None:
    """Postfix was restarted before it heard the answer."""
    rig.deliver(client=LOGGED_IN)
    for _ in range(2):
        assert returned(rig).kind is Kind.DELIVER
    assert len(notices(rig)) == 1
    assert rig.outcomes() == ["delivered", "recorded"]
    assert rig.events() == ["forwarded", "bounced"]


def test_so_many_a_day(rig: Rig) -> None:
    rig.deliver(client=LOGGED_IN)
    for number in range(21):
        returned(rig, number=number)
        rig.clock.advance(60)
    assert len(notices(rig)) == 20
    rig.clock.advance(DAY + 1)
    returned(rig, number=21)
    assert len(notices(rig)) == 21


def test_an_answer_by_a_machine_is_no_bounce(rig: Rig) -> None:
    rig.deliver(client=LOGGED_IN)
    away = b"Auto-Submitted: auto-replied\r\n" + PLAIN
    assert rig.deliver(rig.out.sent[-1][0], away, "", FOREIGN).kind is Kind.DISCARD
    assert notices(rig) == []
    assert rig.outcomes() == ["delivered", "recorded"]
    assert rig.events() == ["forwarded", "discarded"]
    told = rig.last_event()
    assert (told["mailbox_id"], told["reason"]) == (5, "not a bounce: auto-reply")


REFUSAL = """\
Auto-Submitted: auto-replied (rejected)
Content-Type: multipart/report; report-type=disposition-notification; boundary="b"

--b

Your message to <me@real.test> was automatically rejected: no thanks.
--b
Content-Type: message/disposition-notification

Final-Recipient: rfc822; me@real.test
Disposition: automatic-action/MDN-sent-automatically; deleted

--b
Content-Type: message/rfc822

"""


def test_a_mailbox_s_filter_that_refuses_is_one(rig: Rig) -> None:
    """Sieve's reject (RFC 5429 §2.1.1)."""
    rig.deliver(client=LOGGED_IN)
    sender, _, content = rig.out.sent[-1]
    refusal = REFUSAL.replace("\n", "\r\n").encode() + content + b"\r\n--b--\r\n"
    assert rig.deliver(sender, refusal, "", FOREIGN).kind is Kind.DELIVER
    assert rig.events() == ["forwarded", "bounced"]
    told = rig.last_event()
    assert (told["mailbox_id"], told["status"], told["contact"]) == (5, "5.7.1", "bob@example.com")
    (notice,) = notices(rig)
    assert (notice.recipient, "5.7.1" in notice.text) == ("bob@example.com", True)
    assert "real.test" not in notice.text


AWAY = (
    b"From: Carol <carol@example.org>\r\nTo: <%s>\r\nSubject: Away\r\nIn-Reply-To: %s\r\n"
    b"Auto-Submitted: auto-replied\r\n\r\nBack on Monday.\r\n"
)


def replied(rig: Rig) -> tuple[str, bytes]:
    """A reply has gone out; its envelope sender, and its Message-ID."""
    rig.directory.aliases["shop@alias.test"] = alias(mailboxes=(mailbox(login="me"),))
    first = "shop+carol=example.org@alias.test"
    content = f"From: me@real.test\r\nTo: {first}\r\nMessage-ID: <asked@real.test>\r\n\r\nbody\r\n".encode()
    rig.deliver(first, content, "me@real.test", LOGGED_IN)
    sender, _, sent = rig.out.sent[-1]
    seen = split(sent)[0].get("message-id")
    assert seen is not None
    return sender, seen.value


def test_what_a_machine_answers_to_a_reply_reaches_its_owner(rig: Rig) -> None:
    """A vacation message goes to the envelope sender (RFC 5230 §4.6)."""
    sender, seen = replied(rig)
    assert rig.deliver(sender, AWAY % (sender.encode(), seen), "", FOREIGN).kind is Kind.DELIVER
    _, recipient, content = rig.out.sent[-1]
    headers, body = split(content)
    shown = {key: field.text for key in ("from", "to", "in-reply-to") if (field := headers.get(key))}
    assert recipient == "me@real.test"
    assert shown["from"].startswith('"Carol (carol at example.org)" <carol-at-example-org.')
    assert (shown["to"], shown["in-reply-to"]) == ("shop@alias.test", "<asked@real.test>")
    assert body == b"Back on Monday.\r\n"
    assert rig.events() == ["replied", "forwarded"]


def test_what_a_contact_s_filter_says_to_a_reply_reaches_him_as_it_is(rig: Rig) -> None:
    sender, _ = replied(rig)
    refusal = f"From: carol@example.org\n{REFUSAL}Subject: hello\n\n--b--\n".replace("\n", "\r\n").encode()
    assert rig.deliver(sender, refusal, "", FOREIGN).kind is Kind.DELIVER
    assert rig.out.sent[-1][1] == "me@real.test"
    assert b"no thanks" in rig.out.sent[-1][2]
    assert rig.events() == ["replied", "forwarded"]


@pytest.mark.parametrize("by", [b"Auto-Submitted: auto-replied", b"Comments: by hand"])
def test_an_answer_with_an_envelope_sender_of_its_own_reaches_him_too(rig: Rig, by: bytes) -> None:
    """Some autoresponders have one, and some people's programs answer to the Return-Path."""
    sender, seen = replied(rig)
    content = (AWAY % (sender.encode(), seen)).replace(b"Auto-Submitted: auto-replied", by)
    assert rig.deliver(sender, content, "carol@example.org", FOREIGN).kind is Kind.DELIVER
    assert rig.out.sent[-1][1] == "me@real.test"
    assert rig.events() == ["replied", "forwarded"]


@pytest.mark.parametrize("action", list(BlockAction))
def test_from_a_blocked_envelope_sender_it_reaches_nobody(rig: Rig, action: BlockAction) -> None:
    """Who was blocked has no other way to the owner, nor to the one who looks after what is held."""
    sender, seen = replied(rig)
    other = "away@example.net"
    rig.directory.rules[other] = SenderRule(action, "account", other)
    verdict = rig.deliver(sender, AWAY % (sender.encode(), seen), other, FOREIGN)
    assert verdict.kind is Kind.DISCARD
    assert (len(rig.out.sent), rig.held.sent) == (1, [])
    assert rig.events() == ["replied", "discarded"]
    event = rig.last_event()
    assert event["contact"] == "carol@example.org"
    assert f"sender blocked by rule account:{other}" in str(event["reason"])


def test_nobody_answers_through_an_alias_that_was_taken_away(rig: Rig) -> None:
    sender, seen = replied(rig)
    rig.directory.aliases["shop@alias.test"] = alias(
        mailboxes=(mailbox(login="me"),), state=AliasState.DISABLED
    )
    verdict = rig.deliver(sender, AWAY % (sender.encode(), seen), "", FOREIGN)
    assert verdict.kind is Kind.DISCARD
    assert len(rig.out.sent) == 1
    assert rig.events() == ["replied", "discarded"]


def test_it_waits_while_nobody_can_say_whose_alias_it_is(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    sender, seen = replied(rig)
    monkeypatch.setattr(rig.directory, "alias_by_id", lambda _: Unavailable("gone"))
    assert rig.deliver(sender, AWAY % (sender.encode(), seen), "", FOREIGN).kind is Kind.DEFER


def test_a_contact_that_is_blocked_answers_by_no_machine_either(rig: Rig) -> None:
    sender, seen = replied(rig)
    rig.directory.rules["carol@example.org"] = SenderRule(BlockAction.DISCARD, "alias", "carol@example.org")
    verdict = rig.deliver(sender, AWAY % (sender.encode(), seen), "", FOREIGN)
    assert verdict.kind is Kind.DISCARD
    assert len(rig.out.sent) == 1
