"""Mail to a reverse alias: what is proven goes out once, everything else to nobody."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from directories import alias, mailbox
from dkim_mail import published, rsa_key, stranger_signs
from engine_rig import FOREIGN, KEYS, LOGGED_IN, Rig
from postmask.directory.lookup import GONE, Found, Lookup, Unavailable
from postmask.directory.records import MailboxState
from postmask.message import dates
from postmask.reinjection.submit import Refused
from postmask.spool import ReplayUsedError
from postmask.tokens import reverse_token
from postmask.verdict import Kind
from postmask_transport.lmtp import Client

REFUSED = Refused(451, "4.3.0", "no")


def start(rig: Rig) -> str:
    """Bob has written to the alias; his reverse alias. The owner's provider is in the DNS."""
    rig.clock.at = time.time()  # as strangers' signatures are dated
    rig.directory.aliases["shop@alias.test"] = alias(mailboxes=(mailbox(login="me"),))
    published(rig.dns, rsa_key(), "real.test")
    rig.deliver()
    rig.out.sent.clear()
    known = rig.spool.contact(7, "bob@example.com")
    assert known is not None
    return f"bob-at-example-com.{known.token}@alias.test"


def written(rig: Rig, reverse: str, header: str = "") -> bytes:
    date = dates.format(rig.clock.now())
    return f"{header}From: me@real.test\r\nTo: {reverse}\r\nDate: {date}\r\n\r\nYes.\r\n".encode()


def signed(rig: Rig, reverse: str) -> bytes:
    return stranger_signs(written(rig, reverse), rsa_key(), domain="real.test")


def test_a_signature_is_good_for_one_message_and_its_retries(rig: Rig) -> None:
    reverse = start(rig)
    content = signed(rig, reverse)
    rig.out.answers = [REFUSED]
    assert rig.deliver(reverse, content, "me@real.test").kind is Kind.DEFER
    assert rig.deliver(reverse, content, "me@real.test").kind is Kind.DELIVER
    another = rig.deliver(reverse, b"X-Another: message\r\n" + content, "me@real.test")
    assert (another.kind, another.reason) == (
        Kind.DISCARD,
        "reply: the signature was used by another message",
    )
    assert [recipient for _, recipient, _ in rig.out.sent] == ["bob@example.com"]
    assert rig.held.sent == []
    assert rig.outcomes() == ["delivered", "delivered", "discarded"]
    assert rig.events() == ["forwarded", "replied", "discarded"]
    assert rig.spool.due_notices(9) == []


@pytest.mark.parametrize(
    ("found", "kind"),
    [(Found(b"another message's key"), Kind.DISCARD), (Unavailable("gone"), Kind.DEFER)],
    ids=["used", "nobody can say"],
)
def test_a_signature_that_was_used_on_another_node(
    rig: Rig, found: Lookup[bytes], kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    reverse = start(rig)
    monkeypatch.setattr(rig.directory, "replay_mark", lambda *_: found)
    assert rig.deliver(reverse, signed(rig, reverse), "me@real.test").kind is kind
    assert (rig.out.sent, rig.held.sent) == ([], [])


def test_a_signature_that_was_used_meanwhile(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    reverse = start(rig)
    with monkeypatch.context() as looked:
        looked.setattr(rig.spool, "begin", used)
        assert rig.deliver(reverse, signed(rig, reverse), "me@real.test").kind is Kind.DISCARD
    assert (rig.out.sent, rig.held.sent) == ([], [])
    assert rig.events() == ["forwarded", "discarded"]


def used(*_: object) -> None:
    raise ReplayUsedError("mark")


def test_the_same_message_may_go_on_at_another_node(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    reverse = start(rig)
    content = signed(rig, reverse)
    rig.out.answers = [REFUSED]
    rig.deliver(reverse, content, "me@real.test")
    (row,) = (row for row in rig.spool.ledger() if row.recipient == reverse)
    monkeypatch.setattr(rig.directory, "replay_mark", lambda *_: Found(row.key))
    assert rig.deliver(reverse, content, "me@real.test").kind is Kind.DELIVER
    assert len(rig.out.sent) == 1


@pytest.mark.parametrize(
    ("client", "header", "kind"),
    [
        (replace(FOREIGN, login="another"), "", Kind.REJECT),
        (replace(FOREIGN, login="another"), "Precedence: bulk\r\n", Kind.HOLD),
        (Client(queue_id="Q1"), "", Kind.HOLD),
        (FOREIGN, "", Kind.HOLD),
    ],
    ids=["another's login", "a machine with it", "a local submission", "anybody"],
)
def test_what_is_not_proven_reaches_nobody(rig: Rig, client: Client, header: str, kind: Kind) -> None:
    reverse = start(rig)
    assert rig.deliver(reverse, written(rig, reverse, header), "me@real.test", client).kind is kind
    assert rig.out.sent == []
    is_held = kind is Kind.HOLD
    assert [recipient for _, recipient, _ in rig.held.sent] == ["bob@example.com"] * is_held
    assert [notice.recipient for notice in rig.spool.due_notices(9)] == ["me@real.test"] * is_held
    assert rig.events() == ["forwarded", "held" if is_held else "refused"]


@pytest.mark.parametrize(("address", "kind"), [("203.0.113.5", Kind.DELIVER), ("127.0.0.1", Kind.HOLD)])
def test_spf_speaks_for_no_client_of_our_own(rig: Rig, address: str, kind: Kind) -> None:
    """Whatever this host passes on would be the owner's."""
    reverse = start(rig)
    rig.directory.aliases["shop@alias.test"] = alias(mailboxes=(mailbox(allow_spf=True),))
    rig.dns.txts["real.test"] = [b"v=spf1 +all"]
    client = replace(FOREIGN, address=address)
    assert rig.deliver(reverse, written(rig, reverse), "me@real.test", client).kind is kind


def test_the_owner_is_told_a_few_times_a_day(rig: Rig) -> None:
    reverse = start(rig)
    for number in range(6):
        content = written(rig, reverse) + b"%d\r\n" % number
        assert rig.deliver(reverse, content, "me@real.test").kind is Kind.HOLD
    notices = rig.spool.due_notices(9)
    assert len(notices) == 5
    assert "through shop@alias.test was not sent" in notices[0].subject


def test_the_notice_of_an_unproven_reply_says_whom_it_was_for_and_how_to_prove_one(rig: Rig) -> None:
    reverse = start(rig)
    rig.deliver(reverse, written(rig, reverse), "me@real.test")
    (notice,) = rig.spool.due_notices(9)
    assert "sent to bob@example.com through your alias shop@alias.test,\n" in notice.text
    assert "send it from the mailbox's own provider" in notice.text


def test_the_notice_of_a_reply_that_names_the_mailbox_says_so_and_its_event_why(rig: Rig) -> None:
    """Its own provider has sent it already: to send it from there again changes nothing."""
    reverse = start(rig)
    header = "Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n"
    header, _, _ = written(rig, reverse, header).decode().partition("\r\n\r\n")
    attached = base64.b64encode(b"%PDF-1.4 (me@real.test)\n").decode()
    content = f"{header}\r\n\r\n{attached}\r\n".encode()
    proven = stranger_signs(content, rsa_key(), domain="real.test")
    assert rig.deliver(reverse, proven, "me@real.test").kind is Kind.DELIVER
    (notice,) = rig.spool.due_notices(9)
    why = "part 0 (application/pdf): an address in something that isn't edited"
    assert f"it was put on hold: {why}." in notice.text
    assert "sent to bob@example.com through" in notice.text
    assert "Take it out, and send the message" in notice.text
    assert "own provider" not in notice.text
    event = rig.last_event()
    assert (event["kind"], event["reason"]) == ("held", why)


def test_told_is_a_mailbox_that_takes_mail(rig: Rig) -> None:
    reverse = start(rig)
    boxes = (mailbox(state=MailboxState.PAUSED), mailbox("b@real.test", id=6))
    rig.directory.aliases["shop@alias.test"] = alias(mailboxes=boxes)
    rig.deliver(reverse, written(rig, reverse), "me@real.test")
    assert [notice.recipient for notice in rig.spool.due_notices(9)] == ["b@real.test"]


def test_what_can_not_be_held_waits_and_nobody_is_told(rig: Rig) -> None:
    reverse = start(rig)
    rig.held.answers = [REFUSED]
    assert rig.deliver(reverse, written(rig, reverse), "me@real.test").kind is Kind.DEFER
    assert rig.spool.due_notices(9) == []


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        (lambda rig: None, "450 4.2.1"),
        (lambda rig: setattr(rig.directory, "reverse_alias", lambda _: Unavailable("gone")), "451 4.3.0"),
    ],
    ids=["not known yet", "nobody can say"],
)
def test_a_reverse_alias_that_is_not_known_here_waits(
    rig: Rig, change: Callable[[Rig], None], answer: str
) -> None:
    start(rig)
    change(rig)
    reverse = f"carol.{reverse_token(KEYS, 7, 'carol@example.org')}@alias.test"
    verdict = rig.deliver(reverse, written(rig, reverse), "me@real.test", LOGGED_IN)
    assert f"{verdict.code} {verdict.status}" == answer
    assert (rig.out.sent, rig.held.sent) == ([], [])


@pytest.mark.parametrize(
    ("client", "outcome"), [(LOGGED_IN, "refused"), (FOREIGN, "held")], ids=["by login", "anybody"]
)
def test_what_is_for_a_removed_alias_is_refused_to_whom_that_may_be_said(
    rig: Rig, client: Client, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else held as it came, for nobody knows any more whom it was for."""
    reverse = start(rig)
    monkeypatch.setattr(rig.directory, "reverse_alias", lambda _: GONE)
    verdict = rig.deliver(reverse, written(rig, reverse), "me@real.test", client)
    assert verdict.accepted is (outcome == "held")
    assert rig.out.sent == []
    assert [recipient for _, recipient, _ in rig.held.sent] == [reverse] * verdict.accepted
    assert rig.outcomes() == ["delivered", outcome]


def test_without_an_answer_of_the_dns_it_waits(rig: Rig) -> None:
    reverse = start(rig)
    rig.dns.failing.add("s1._domainkey.real.test")
    verdict = rig.deliver(reverse, signed(rig, reverse), "me@real.test")
    assert f"{verdict.code} {verdict.status}" == "450 4.4.3"
    assert (rig.out.sent, rig.held.sent) == ([], [])
    rig.dns.failing.clear()
    assert rig.deliver(reverse, signed(rig, reverse), "me@real.test").kind is Kind.DELIVER


def test_the_owner_writes_first_to_several_at_once(rig: Rig) -> None:
    start(rig)
    both = ["shop+carol=one.example@alias.test", "shop+dave=two.example@alias.test"]
    content = signed(rig, ", ".join(both))
    assert [rig.deliver(one, content, "me@real.test").kind for one in both] == [Kind.DELIVER] * 2
    assert [recipient for _, recipient, _ in rig.out.sent] == ["carol@one.example", "dave@two.example"]
    for _, _, sent in rig.out.sent:
        assert b"\r\nTo: carol@one.example, dave@two.example\r\n" in sent


def test_a_signature_is_used_up_for_a_contact_by_whatever_address(rig: Rig) -> None:
    reverse = start(rig)
    _, _, token = reverse.partition("@")[0].rpartition(".")
    ways = [reverse, f"another-hint.{token}@alias.test", "shop+bob=example.com@alias.test"]
    content = signed(rig, ", ".join(ways))
    kinds = [rig.deliver(way, content, "me@real.test").kind for way in ways]
    assert kinds == [Kind.DELIVER, Kind.DISCARD, Kind.DISCARD]


def test_an_attached_forward_does_not_show_the_address_by_which_bounces_come(rig: Rig) -> None:
    reverse = start(rig)
    rig.deliver(content=b"From: bob@example.com\r\n\r\nOne more.\r\n")
    ((bounce, _, forwarded),) = rig.out.sent
    rig.out.sent.clear()
    fields = b"Content-Type: message/rfc822\r\n"
    header, _, _ = written(rig, reverse).partition(b"\r\n\r\n")
    content = header + b"\r\n" + fields + b"\r\nReturn-Path: <" + bounce.encode() + b">\r\n" + forwarded
    proven = stranger_signs(content, rsa_key(), domain="real.test")
    assert rig.deliver(reverse, proven, "me@real.test").kind is Kind.DELIVER
    ((_, recipient, sent),) = rig.out.sent
    assert recipient == "bob@example.com"
    assert b"\r\nReturn-Path: <shop@alias.test>\r\n" in sent
    assert bounce.partition("@")[0].encode() not in sent
