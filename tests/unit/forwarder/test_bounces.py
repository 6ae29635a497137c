"""What comes home to a bounce address: recorded, and told to whoever may be told."""

from __future__ import annotations

import pytest

from directories import alias, mailbox
from engine_rig import FOREIGN, LOGGED_IN, PLAIN, Rig
from postmask.clock import DAY
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


@pytest.mark.parametrize(
    ("client", "action"),
    [(FOREIGN, "failed"), (LOGGED_IN, "delayed")],
    ids=["a sender who may be forged", "a delay"],
)
def test_nobody_is_told(rig: Rig, client: Client, action: str) -> None:
    rig.deliver(client=client)
    assert returned(rig, action).kind is Kind.DELIVER
    assert notices(rig) == []
    assert rig.events() == ["forwarded", "bounced"]


def test_the_owner_is_told_of_a_reply(rig: Rig) -> None:
    boxes = (mailbox("other@real.test", id=6), mailbox(login="me"))
    rig.directory.aliases["shop@alias.test"] = alias(mailboxes=boxes)
    first = "shop+carol=example.org@alias.test"
    content = f"From: me@real.test\r\nTo: {first}\r\n\r\nbody\r\n".encode()
    rig.deliver(first, content, "me@real.test", LOGGED_IN)
    returned(rig, status="5.7.1")
    (notice,) = notices(rig)
    assert notice.recipient == "me@real.test"
    assert "about a message that you sent through shop@alias.test:" in notice.text
    assert "status 5.7.1." in notice.text


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
    assert rig.events() == ["forwarded"]
