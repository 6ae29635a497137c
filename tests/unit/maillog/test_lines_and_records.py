"""Lines of the log taken apart: their forms, and what strangers write into them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmask.clock import DAY
from postmask.maillog.lines import Line, LineReader
from postmask.maillog.records import (
    Active,
    Deleted,
    Delivery,
    Expired,
    MessageId,
    Notified,
    Other,
    Received,
    Rejected,
    Removed,
    Unreadable,
    at_our_door,
    parse,
)

NOW = time.mktime((2027, 1, 2, 12, 0, 0, 0, 0, -1))
KEY = "ab" * 32


def read(text: str, name: str = "postfix") -> Line | None:
    return LineReader(name, NOW).read(text)


@pytest.mark.parametrize(
    ("stamp", "at"),
    [
        ("Jan  2 11:00:01", NOW - 3599),
        ("Dec 31 12:00:00", NOW - 2 * DAY),
        ("2027-01-02T11:00:00+00:00", 1798887600),
        ("2027-01-02T11:00:00.250000Z", 1798887600.25),
        ("2027-01-02T12:00:00+0100", 1798887600),
    ],
)
def test_times(stamp: str, at: float) -> None:
    """A line without a year is of the latest year that has been."""
    line = read(f"{stamp} mx postfix/qmgr[12]: ABC123: removed\n")
    assert line == Line(at, "postfix", "qmgr", "ABC123: removed")


@pytest.fixture
def european(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is Central European, with summer time."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("european")
def test_the_hour_that_comes_twice_is_told_by_the_order_of_the_lines() -> None:
    """Summer time ends on 25 October 2026 at 01:00 UTC."""
    ends = 1792890000
    reader = LineReader("postfix", ends + 7200)
    for minutes in (-70, -50, -1, 0, 1, 30, 59, 61):
        at = ends + 60 * minutes
        stamp = time.strftime("%b %d %H:%M:%S", time.localtime(at))
        line = reader.read(f"{stamp} mx postfix/qmgr[1]: ABC123: removed")
        assert line is not None
        assert line.at == at, minutes


def test_the_29th_of_february_is_in_a_leap_year() -> None:
    reader = LineReader("postfix", time.mktime((2025, 3, 1, 0, 0, 0, 0, 0, -1)))
    line = reader.read("Feb 29 10:00:00 mx postfix/qmgr[1]: ABC123: removed")
    assert line is not None
    assert time.localtime(line.at)[:3] == (2024, 2, 29)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Jan  2 11:00:00 mx dovecot[3]: imap-login: Login: user=<postfix/qmgr[1]: ABC123: removed>",
        "Jan  2 11:00:00 mx postfix-out/qmgr[3]: ABC123: removed",
        "Jan 32 11:00:00 mx postfix/qmgr[3]: ABC123: removed",
        "2027-13-02T11:00:00Z mx postfix/qmgr[3]: ABC123: removed",
        "postfix/qmgr[3]: ABC123: removed",
    ],
)
def test_what_is_not_this_postfix_s(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize("name", ["postfix-out", "mta"])
def test_another_instance_has_its_own_name(name: str) -> None:
    line = read(f"Jan  2 11:00:00 mx {name}/submission/smtpd[3]: connect", name)
    assert line is not None
    assert (line.service, line.daemon) == (f"{name}/submission", "smtpd")


@pytest.mark.parametrize(
    "text",
    [
        "2027-01-02T11:00:00.123Z postmask-forwarder: message queue_id=ABC123",
        "2027-01-02T11:00:00+0000 mx postmask-forwarder[9]: postmask-forwarder: message queue_id=ABC123",
    ],
)
def test_lines_of_ours(text: str) -> None:
    line = read(text)
    assert line is not None
    assert (line.service, line.daemon, line.text) == ("", "postmask-forwarder", "message queue_id=ABC123")


def said(daemon: str, text: str, service: str = "postfix") -> object:
    return parse(Line(0.0, service, daemon, text))


SENT = "delay=1, delays=0.1/0/0.2/0.7, dsn=2.0.0, status=sent (250 ok)"


@pytest.mark.parametrize(
    ("daemon", "text", "record"),
    [
        ("smtpd", "ABC123: client=mx.test[192.0.2.1]", Received("ABC123", "mx.test[192.0.2.1]")),
        ("pickup", "ABC123: uid=0 from=<a@b> orig_id=DEF456", Received("ABC123", "uid 0", "", "DEF456")),
        ("pickup", 'ABC123: uid=0 from=<"a> orig_id=DEF456"@b>', Received("ABC123", "uid 0")),
        ("cleanup", "ABC123: message-id=<x>: removed", MessageId("ABC123", "<x>: removed")),
        ("qmgr", "ABC123: from=<>, size=1, nrcpt=1 (queue active)", Active("ABC123", "", 1)),
        (
            "qmgr",
            "ABC123: from=<a\u00a0b\u2028c@example.com>, size=1, nrcpt=1 (queue active)",
            Active("ABC123", "a\u00a0b\u2028c@example.com", 1),
        ),
        ("qmgr", "ABC123: from=<a@b>, status=expired, returned to sender", Expired("ABC123")),
        ("qmgr", "ABC123: removed", Removed("ABC123", "qmgr")),
        ("postsuper", "ABC123: removed", Removed("ABC123", "postsuper")),
        ("postsuper", "Deleted: 3 messages", Deleted(3)),
        ("bounce", "ABC123: sender non-delivery notification: DEF456", Notified("ABC123", "DEF456")),
        ("cleanup", "ABC123: milter-reject: END-OF-MESSAGE from x[1]: 5.7.1 no", None),
        ("smtpd", "connect from x[192.0.2.1]", None),
    ],
)
def test_records(daemon: str, text: str, record: object) -> None:
    found = said(daemon, text)
    if record is None and found is not None:
        assert isinstance(found, Rejected)
        assert found.recipient == ""
    else:
        assert found == record


def test_a_copy_of_ours_comes_through_our_listeners_alone() -> None:
    text = f"ABC123: client=localhost[127.0.0.1], orig_queue_id={KEY}"
    assert said("smtpd", text, "postfix/postmask-reinject") == Received("ABC123", "postmask-forwarder", KEY)
    assert said("smtpd", text) == Received("ABC123", "localhost[127.0.0.1]")


def test_a_refused_recipient() -> None:
    text = "NOQUEUE: reject: RCPT from x[1]: 550 5.1.1 <a@b>: Recipient address rejected: no; from=<c@d>"
    found = said("smtpd", text)
    assert isinstance(found, Rejected)
    assert (found.queue_id, found.recipient, found.whole) == ("", "a@b", False)


@pytest.mark.parametrize("sender", ["", "a@b> to=<x@y"])
def test_a_recipient_of_a_refused_message(sender: str) -> None:
    text = f"ABC123: milter-reject: END-OF-MESSAGE from x[1]: 5.7.26 no; from=<{sender}> to=<a@b> proto=ESMTP"
    found = said("cleanup", text)
    assert isinstance(found, Rejected)
    assert (found.queue_id, found.recipient, found.whole) == ("ABC123", "" if sender else "a@b", True)


def test_deliveries_and_whose_they_are() -> None:
    pipe = said("pipe", f"ABC123: to=<a@b>, orig_to=<c@d>, relay=postmask, {SENT}")
    lmtp = said("lmtp", f"ABC123: to=<a@b>, relay=mx[postmask/forwarder.sock], conn_use=2, {SENT}")
    smtp = said("smtp", f"ABC123: to=<a@b>, relay=forwarder.sock.test[192.0.2.1]:25, {SENT}")
    assert isinstance(pipe, Delivery)
    assert isinstance(lmtp, Delivery)
    assert isinstance(smtp, Delivery)
    assert [at_our_door(one) for one in (pipe, lmtp, smtp)] == [True, True, False]
    assert (pipe.recipient, pipe.status, pipe.text) == ("a@b", "sent", "250 ok")


def test_a_delivery_as_postfix_3_11_writes_it() -> None:
    """With how TLS was used (smtp_log_tls_feature_status)."""
    told = SENT.replace("dsn", "tls=may?, dsn")
    found = said("smtp", f"ABC123: to=<a@b>, relay=mx.test[192.0.2.1]:25, {told}")
    assert isinstance(found, Delivery)
    assert (found.dsn, found.status) == ("2.0.0", "sent")


DEFERRED = "relay=none, delay=1, delays=1/0/0/0, dsn=4.3.0, status=deferred (no)"


@pytest.mark.parametrize("local", [f"a>, relay=postmask, {SENT}", ">, status=sent (", 'q"', "b\\"])
def test_a_recipient_that_imitates_a_delivery(local: str) -> None:
    """Postfix quotes what isn't a dot-atom."""
    quoted = local.replace("\\", "\\\\").replace('"', '\\"')
    found = said("pipe", f'ABC123: to=<"{quoted}"@b.test>, {DEFERRED}')
    assert isinstance(found, Delivery)
    assert (found.recipient, found.status) == (f'"{quoted}"@b.test', "deferred")


def test_a_server_that_answers_with_another_delivery() -> None:
    found = said("smtp", f"ABC123: to=<a@b>, {DEFERRED[:-4]}(host x said: 450 no), {SENT})")
    assert isinstance(found, Delivery)
    assert found.status == "deferred"


@pytest.mark.parametrize(
    "text",
    [
        f"to=<a>, relay=postmask, {SENT}@b>, {DEFERRED}x",
        "to=<a@b>, relay=x, status=sent",
        "to=<a b@c>, " + DEFERRED,
    ],
)
def test_what_has_not_its_form_is_neither_delivered_nor_not(text: str) -> None:
    assert said("smtp", f"ABC123: {text}") == Unreadable("ABC123")


@given(st.text(), st.sampled_from(["smtpd", "pickup", "cleanup", "qmgr", "bounce", "pipe", "postsuper"]))
def test_any_text_is_read(text: str, daemon: str) -> None:
    found = said(daemon, f"ABC123: {text}")
    assert not isinstance(found, Delivery)
    said(daemon, text)


@given(st.text())
def test_free_text_stays_free_text(text: str) -> None:
    assert said("cleanup", f"ABC123: message-id={text}") == MessageId("ABC123", text)
    assert not isinstance(said("smtpd", f"ABC123: {text}"), Delivery | Removed)


def test_other_words_of_postfix() -> None:
    assert said("smtp", "ABC123: host x[1] said: 450 busy (in reply to RCPT TO command)") == Other("ABC123")
