"""Delivery status notifications of several makes, and what only looks like one."""

from __future__ import annotations

import base64

import pytest

from message_cases import KEYS, TRACE
from postmask.message.dsn import Dsn, NotDsn, parse
from postmask.message.headers import split
from postmask.message.trace import open_trace

_ORIGINAL = f"X-Postmask-Trace: {TRACE.decode()}\nFrom: x@alias.test\nSubject: s\n"

_POSTFIX = f"""From: MAILER-DAEMON@mx.alias.test (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="4XyZ.1/mx.alias.test"

This is a MIME-encapsulated message.

--4XyZ.1/mx.alias.test
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

This is the mail system. 4.1.1 isn't the status.

--4XyZ.1/mx.alias.test
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.alias.test
X-Postfix-Queue-ID: 4XyZ
Arrival-Date: Mon,  4 Jan 2027 10:00:00 +0000 (UTC)

Final-Recipient: rfc822; owner@mailbox.test
Original-Recipient: rfc822;owner@mailbox.test
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.mailbox.test
Diagnostic-Code: smtp; 550 5.1.1 <owner@mailbox.test>: unknown
\tuser

--4XyZ.1/mx.alias.test
Content-Description: Undelivered Message Headers
Content-Type: text/rfc822-headers

{_ORIGINAL}
--4XyZ.1/mx.alias.test--
"""


def _parse(text: str) -> Dsn | NotDsn:
    headers, body = split(text.replace("\n", "\r\n").encode())
    return parse(headers, body)


def _dsn(text: str) -> Dsn:
    found = _parse(text)
    assert isinstance(found, Dsn)
    return found


def _report(status: str, returned: str = "") -> str:
    return (
        "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n"
        f"--b\nContent-Type: message/delivery-status\n\n{status}\n{returned}--b--\n"
    )


def test_postfix() -> None:
    dsn = _dsn(_POSTFIX)
    assert (dsn.action, dsn.status) == ("failed", "5.1.1")
    field = dsn.original_headers.get("x-postmask-trace") if dsn.original_headers else None
    assert field is not None
    assert open_trace(KEYS, field.value) is not None


def test_the_whole_message_returned() -> None:
    returned = f"--b\nContent-Type: message/rfc822\n\n{_ORIGINAL}\nbody\n"
    dsn = _dsn(_report("Reporting-MTA: dns; x\n\nAction: failed\nStatus: 5.2.2\n", returned))
    assert dsn.original_headers is not None
    assert [field.key for field in dsn.original_headers.fields] == [b"x-postmask-trace", b"from", b"subject"]


@pytest.mark.parametrize(
    "kind",
    ["text/rfc822-headers", "message/rfc822-headers", "message/global", "message/global-headers"],
)
def test_what_is_returned_has_several_names(kind: str) -> None:
    returned = f"--b\nContent-Type: {kind}\n\n{_ORIGINAL}\nbody\n"
    dsn = _dsn(_report("Reporting-MTA: dns; x\n\nAction: failed\nStatus: 5.2.2\n", returned))
    assert dsn.original_headers is not None
    assert dsn.original_headers.get("x-postmask-trace")


def test_headers_before_the_report_are_of_something_else() -> None:
    report = _report("Reporting-MTA: dns; x\n\nAction: failed\nStatus: 5.2.2\n")
    before = f"--b\nContent-Type: text/rfc822-headers\n\n{_ORIGINAL}\n"
    assert _dsn(report.replace("--b\n", f"{before}--b\n", 1)).original_headers is None


def test_headers_returned_in_base64() -> None:
    encoded = base64.encodebytes(_ORIGINAL.encode()).decode()
    returned = f"--b\nContent-Type: text/rfc822-headers\nContent-Transfer-Encoding: base64\n\n{encoded}"
    dsn = _dsn(_report("\n\nAction: failed\nStatus: 5.2.2\n", returned))
    assert dsn.original_headers is not None
    assert dsn.original_headers.get("x-postmask-trace")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (
            "Reporting-MTA: dns; x\n\nFinal-Recipient: rfc822; a@b\nAction: delayed\nStatus: 4.4.1\n",
            ("delayed", "4.4.1"),
        ),
        ("Reporting-MTA: dns; x\n\nAction: Failed (bad)\nStatus: 5.7.1 (refused)\n", ("failed", "5.7.1")),
        ("Reporting-MTA: dns; x\n\nFinal-Recipient: rfc822; a@b\n", ("failed", "5.0.0")),
        (
            "Reporting-MTA: dns; x\n\nAction: failed\nDiagnostic-Code: smtp; 550 5.1.10 no\n",
            ("failed", "5.1.10"),
        ),
        ("Reporting-MTA: dns; x\n\nAction: exploded\nStatus: 4.2.2\n", ("delayed", "4.2.2")),
        ("Reporting-MTA: dns; x\n\nAction: delivered\nStatus: 2.0.0\n", ("delivered", "2.0.0")),
        ("Reporting-MTA: dns; x\n\nAction: delivered\n", ("delivered", "2.0.0")),
        ("Reporting-MTA: dns; x\n\nAction: Delivered (to a file)\nStatus: 2.0.0\n", ("delivered", "2.0.0")),
        ("Action: failed\nStatus: 5.1.1\n", ("failed", "5.1.1")),
        ("", ("failed", "5.0.0")),
        ("garbage\n", ("failed", "5.0.0")),
    ],
)
def test_status_fields(status: str, expected: tuple[str, str]) -> None:
    dsn = _dsn(_report(status))
    assert (dsn.action, dsn.status) == expected


def test_of_several_recipients_one_that_failed_counts() -> None:
    """Sendmail writes one notification for all that an address stands for."""
    groups = "".join(
        f"\nFinal-Recipient: rfc822; u@x.y\nAction: {action}\nStatus: {status}\n"
        for action, status in (("delayed", "4.4.1"), ("failed", "5.1.1"), ("failed", "5.2.2"))
    )
    dsn = _dsn(_report("Reporting-MTA: dns; x\n" + groups))
    assert (dsn.action, dsn.status) == ("failed", "5.1.1")


def test_a_status_part_without_a_report_around_it() -> None:
    text = _report("Reporting-MTA: dns; x\n\nAction: failed\nStatus: 5.1.1\n").replace(
        "multipart/report", "multipart/mixed"
    )
    assert _dsn(text).status == "5.1.1"


def test_a_report_without_a_status_part() -> None:
    head = "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n"
    assert _dsn(head + "--b\n\nfailed: 550 5.4.6 loop\n--b--\n") == Dsn("failed", "5.4.6", None)
    shouted = head.replace("=delivery-status", "=DELIVERY-STATUS")
    assert _dsn(shouted + "--b\n\nfailed: 550 5.4.6 loop\n--b--\n") == Dsn("failed", "5.4.6", None)


def test_exim_without_mime() -> None:
    dsn = _dsn(
        "X-Failed-Recipients: owner@mailbox.test\nAuto-Submitted: auto-replied\n\nThis message was 5.1.1\n\n"
        f"------ This is a copy of the message, including all the headers. ------\n\n{_ORIGINAL}\nbody\n"
    )
    assert (dsn.action, dsn.status) == ("failed", "5.1.1")
    assert dsn.original_headers is not None
    assert dsn.original_headers.get("x-postmask-trace")


def test_qmail() -> None:
    dsn = _dsn(
        "From: MAILER-DAEMON@qmail.test\nSubject: failure notice\n\n"
        "Hi. This is the qmail-send program at qmail.test.\nI'm afraid I wasn't able to deliver.\n\n"
        "<owner@mailbox.test>:\n1.2.3.4 does not like recipient.\nRemote host said: 550 no. (#5.1.1)\n\n"
        f"--- Below this line is a copy of the message.\n\n{_ORIGINAL}\nbody\n"
    )
    assert (dsn.action, dsn.status) == ("failed", "5.1.1")
    assert dsn.original_headers is not None
    assert dsn.original_headers.get("x-postmask-trace")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Auto-Submitted: auto-replied\nSubject: Out of office\n\nI am away\n", "auto-reply"),
        ("Auto-Submitted: auto-replied (vacation); owner\n\nI am away\n", "auto-reply"),
        ("X-Autoreply: yes\n\nI am away\n", "auto-reply"),
        ("Precedence: auto_reply\n\nI am away\n", "auto-reply"),
        ("Precedence: Auto_Reply\n\nI am away\n", "auto-reply"),
        ("Auto-Submitted: no\nSubject: hello\n\nhello\n", "other"),
        ("Subject: hello\n\nhello 5.1.1\n", "other"),
        ("", "other"),
        ("Content-Type: multipart/report; report-type=disposition-notification; boundary=b\n\n", "other"),
    ],
)
def test_what_is_no_dsn(text: str, kind: str) -> None:
    assert _parse(text) == NotDsn(kind)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("disposition", "refused"),
    [
        ("automatic-action/MDN-sent-automatically; deleted", True),
        ("Automatic-Action / mdn-sent-automatically;\n deleted/error", True),
        ("automatic-action/MDN-sent-automatically; displayed", False),
        ("manual-action/MDN-sent-manually; deleted", False),
        ("", False),
    ],
)
def test_a_receipt_is_one_where_a_filter_refuses_by_it(disposition: str, refused: bool) -> None:
    text = (
        "Auto-Submitted: auto-replied\n"
        "Content-Type: multipart/report; report-type=disposition-notification; boundary=b\n\n"
        "--b\n\nno\n--b\nContent-Type: message/disposition-notification\n\n"
        f"Final-Recipient: rfc822; x@y.test\nDisposition: {disposition}\n\n--b--\n"
    )
    headers, body = split(text.replace("\n", "\r\n").encode())
    assert parse(headers, body) == NotDsn("auto-reply")
    found = parse(headers, body, refusals=True)
    assert found == (Dsn("failed", "5.7.1", None) if refused else NotDsn("auto-reply"))


def test_a_vacation_message_that_quotes_a_bounce() -> None:
    text = "Auto-Submitted: auto-replied\nSubject: away\n\nI am away. > 550 5.1.1 user unknown\n"
    assert _parse(text) == NotDsn("auto-reply")


def test_a_vacation_message_that_begins_like_qmail_names_no_recipient() -> None:
    text = "Auto-Submitted: auto-replied\nSubject: away\n\nHi. This is the answering machine of X.\n\nBye\n"
    assert _parse(text) == NotDsn("auto-reply")


def test_a_notification_in_an_attached_message_was_for_somebody_else() -> None:
    attached = _report("Reporting-MTA: dns; x\n\nAction: failed\nStatus: 5.1.1\n")
    text = (
        "Auto-Submitted: auto-replied\nContent-Type: multipart/mixed; boundary=outer\n\n"
        "--outer\n\nI am away; you wrote:\n"
        f"--outer\nContent-Type: message/rfc822\n\n{attached}\n--outer--\n"
    )
    assert _parse(text) == NotDsn("auto-reply")


@pytest.mark.parametrize(
    ("action", "expected"), [("", ("delayed", "4.0.0")), ("Action: failed\n", ("failed", "4.0.0"))]
)
def test_without_a_status_the_reply_code_says_what_it_was(action: str, expected: tuple[str, str]) -> None:
    group = f"Final-Recipient: rfc822; a@b\n{action}Diagnostic-Code: smtp; 452 mailbox full\n"
    dsn = _dsn(_report(f"Reporting-MTA: dns; x\n\n{group}"))
    assert (dsn.action, dsn.status) == expected
