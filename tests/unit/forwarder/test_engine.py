"""What the forwarder's engine makes of messages, copies, ledger and directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import engine_rig
from directories import alias, mailbox
from engine_rig import FOREIGN, KEYS, LOGGED_IN, PLAIN, Rig
from postmask.address import parse_loose
from postmask.auth.proof import Undecided
from postmask.clock import DAY, Deadline
from postmask.directory.lookup import ABSENT, Lookup, Unavailable
from postmask.directory.records import (
    AliasState,
    BlockAction,
    Contact,
    ContactRule,
    Domain,
    MailboxState,
    ReverseAlias,
    SenderRule,
    WhenDisabled,
)
from postmask.keys import Keyring, Secret
from postmask.message import dates
from postmask.reinjection.submit import Outcome as Answer
from postmask.reinjection.submit import Refused, Submitted, Unknown
from postmask.spool import Outcome, SpoolError
from postmask.tokens import reverse_local_part, reverse_token
from postmask.verdict import Kind
from postmask_transport.lmtp import Client, Envelope
from postmask_transport.replying import Replying


def test_one_copy_a_mailbox_each_with_its_own_bounce_address(rig: Rig) -> None:
    boxes = (mailbox("a@real.test", id=1), mailbox("b@real.test", id=2))
    rig.directory.aliases["shop@alias.test"] = alias(mailboxes=boxes)
    assert rig.deliver().kind is Kind.DELIVER
    assert [recipient for _, recipient, _ in rig.out.sent] == ["a@real.test", "b@real.test"]
    assert len({sender for sender, _, _ in rig.out.sent}) == 2
    assert len({data for _, _, data in rig.out.sent}) == 1
    assert rig.events() == ["forwarded"]


def test_postfix_is_told_which_copy_it_is(rig: Rig) -> None:
    rig.deliver()
    (row,) = rig.spool.ledger()
    assert rig.out.how == [{"ident": row.key.hex(), "client": {}, "smtputf8": False}]
    assert row.new_queue_id == "OUT1"


def test_what_came_by_smtputf8_goes_by_it(rig: Rig) -> None:
    envelope = Envelope("bob@example.com", ("shop@alias.test",), True, None, FOREIGN)
    rig.engine.message(envelope, PLAIN, Deadline.after(rig.clock, 25))
    assert rig.out.how[-1]["smtputf8"] is True


@pytest.mark.parametrize(
    ("sender", "recipient", "needed"),
    [
        ("bob@example.com", "me@real.test", False),
        ("böb@example.com", "me@real.test", False),
        ("bob@example.com", "mé@real.test", True),
    ],
)
def test_an_address_outside_ascii_needs_smtputf8(rig: Rig, sender: str, recipient: str, needed: bool) -> None:
    rig.directory.aliases["shop@alias.test"] = alias(mailboxes=(mailbox(recipient),))
    rig.deliver(sender=sender)
    assert rig.out.how[-1]["smtputf8"] is needed


@pytest.mark.parametrize(
    ("client", "told"),
    [
        (
            FOREIGN,
            {"ADDR": "203.0.113.5", "NAME": "mx.example.com", "PORT": "1", "HELO": "mx.example.com"},
        ),
        (Client(address="2001:db8::1", queue_id="Q1"), {"ADDR": "IPV6:2001:db8::1"}),
    ],
)
def test_what_is_held_as_it_came_comes_again_as_from_its_client(
    rig: Rig, client: Client, told: dict[str, str]
) -> None:
    rig.deliver("unknown@alias.test", sender="böb@example.com", client=client)
    assert rig.held.how[-1]["client"] == told
    assert rig.held.how[-1]["smtputf8"] is True
    (row,) = rig.spool.ledger()
    assert row.reason == "unknown alias"


def test_a_retry_sends_only_what_the_ledger_lacks(rig: Rig) -> None:
    boxes = (mailbox("a@real.test", id=1), mailbox("b@real.test", id=2))
    rig.directory.aliases["shop@alias.test"] = alias(mailboxes=boxes)
    rig.out.answers = [Submitted("OUT1"), Refused(451, "4.3.0", "queue full")]
    verdict = rig.deliver()
    assert (verdict.kind, verdict.status) == (Kind.DEFER, "4.3.0")
    assert rig.events() == []
    assert rig.deliver().kind is Kind.DELIVER
    assert [recipient for _, recipient, _ in rig.out.sent] == ["a@real.test", "b@real.test"]
    assert rig.deliver().kind is Kind.DELIVER
    assert len(rig.out.sent) == 2
    assert rig.events() == ["forwarded"]


def test_what_went_to_one_mailbox_only_is_no_event_yet(rig: Rig) -> None:
    boxes = (mailbox("a@real.test", id=1), mailbox("b@real.test", id=2))
    rig.directory.aliases["shop@alias.test"] = alias(mailboxes=boxes)
    rig.out.answers = [Refused(451, "4.3.0", "queue full"), Submitted("OUT1")]
    assert rig.deliver().kind is Kind.DEFER
    assert rig.events() == []
    assert rig.deliver().kind is Kind.DELIVER
    assert rig.events() == ["forwarded"]


@pytest.mark.parametrize(
    "answer",
    [
        Refused(554, "5.7.1", "not here"),
        Refused(421, "4.3.2", "shutting down"),
        Unknown("lost after the dot"),
    ],
)
def test_what_postfix_does_not_take_waits_and_is_never_bounced(rig: Rig, answer: Answer) -> None:
    rig.out.answers = [answer]
    verdict = rig.deliver(client=LOGGED_IN)
    assert (verdict.kind, verdict.code) == (Kind.DEFER, 451)
    assert rig.outcomes() == ["pending"]


def test_only_a_copy_whose_outcome_was_never_learned_is_called_a_possible_duplicate(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.out.answers = [Refused(451, "4.3.0", "no"), Unknown("lost after the dot")]
    rig.deliver()
    rig.deliver()
    assert "duplicate" not in caplog.text
    rig.deliver()
    assert "may be a duplicate" in caplog.text


def test_that_a_copy_was_not_taken_is_known_though_it_could_not_be_recorded(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rig.out.answers = [Refused(451, "4.3.0", "queue full")]
    with monkeypatch.context() as full:
        full.setattr(rig.spool, "finish", failing)
        assert rig.deliver().kind is Kind.DEFER
    assert rig.deliver().kind is Kind.DELIVER
    assert "may be a duplicate" not in caplog.text


def test_that_a_copy_may_be_a_duplicate_is_not_forgotten(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """A refusal of the next attempt doesn't make the first one unsaid; the ledger says it in the end."""
    rig.out.answers = [Unknown("lost after the dot"), Refused(451, "4.3.0", "no")]
    for _ in range(3):
        rig.deliver()
    assert caplog.text.count("may be a duplicate") == 2
    (row,) = rig.spool.ledger()
    assert row.outcome is Outcome.DELIVERED
    assert row.reason == "sent again after re-injection: lost after the dot"


def test_a_forwarder_that_ends_in_an_attempt_knows_nothing_of_it(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """What the ledger knew of the attempt before is no answer to that."""
    rig.out.answers = [Refused(451, "4.3.0", "no"), KeyboardInterrupt()]
    rig.deliver()
    with pytest.raises(KeyboardInterrupt):
        rig.deliver()
    rig.deliver()
    assert caplog.text.count("may be a duplicate") == 1
    (row,) = rig.spool.ledger()
    assert row.reason == "sent again after the forwarder was ended"


def test_nor_does_it_forget_what_it_knew_of_an_earlier_one(rig: Rig) -> None:
    rig.out.answers = [Unknown("lost after the dot"), KeyboardInterrupt()]
    rig.deliver()
    with pytest.raises(KeyboardInterrupt):
        rig.deliver()
    rig.deliver()
    (row,) = rig.spool.ledger()
    assert row.reason == "sent again after re-injection: lost after the dot"


def test_what_is_raised_is_logged_without_its_text(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It may name a mailbox, and goes to the ledger and to the events with what is held for it."""
    monkeypatch.setattr(rig.directory, "alias", lambda key: {}["me@real.test"])
    verdict = rig.deliver()
    assert verdict.kind is Kind.DEFER
    assert verdict.reason.startswith("KeyError at test_engine.py:")
    assert "KeyError" in caplog.text
    assert "real.test" not in caplog.text


# ---- about to be returned by Postfix -------------------------------------------------------------


def old(rig: Rig, content: bytes = PLAIN, days: float = 4.95) -> bytes:
    """The message as it was received so long ago, of Postfix's five days."""
    received = dates.format(rig.clock.now() - days * DAY)
    field = f"Received: from mx.example.com (mx.example.com [203.0.113.5])\r\n\tby h id Q1; {received}\r\n"
    return field.encode() + content


TAKEN = "taken over before Postfix returns it"


def test_a_copy_that_cannot_be_sent_is_held_in_the_end(rig: Rig) -> None:
    boxes = (mailbox("a@real.test", id=1), mailbox("b@real.test", id=2))
    rig.directory.aliases["shop@alias.test"] = alias(mailboxes=boxes)
    content = old(rig, days=4)
    rig.out.answers = [
        Submitted("OUT1"),
        Refused(451, "4.3.0", "no"),
        Refused(451, "4.3.0", "no"),
    ]
    assert rig.deliver(content=content).kind is Kind.DEFER
    rig.clock.advance(0.95 * DAY)
    verdict = rig.deliver(content=content)
    assert (verdict.kind, verdict.reason) == (Kind.HOLD, f"{TAKEN}: re-injection refused: 451 4.3.0 no")
    assert [recipient for _, recipient, _ in rig.out.sent] == ["a@real.test"]
    assert [recipient for _, recipient, _ in rig.held.sent] == ["b@real.test"]
    assert rig.outcomes() == ["delivered", "held"]
    assert rig.events() == ["held"]


def test_a_copy_that_can_be_sent_in_the_end_is_sent_and_not_held(rig: Rig) -> None:
    assert rig.deliver(content=old(rig)).kind is Kind.DELIVER
    assert (len(rig.out.sent), rig.held.sent) == (1, [])
    assert (rig.outcomes(), rig.events()) == (["delivered"], ["forwarded"])


@pytest.mark.parametrize("state", [MailboxState.ACTIVE, MailboxState.PAUSED])
def test_nothing_can_be_held_either(rig: Rig, state: MailboxState) -> None:
    """Then it waits on, and Postfix returns it."""
    rig.directory.aliases["shop@alias.test"] = alias(mailboxes=(mailbox(state=state),))
    rig.out.answers = [Refused(451, "4.3.0", "no")]
    rig.held.answers = [Refused(451, "4.4.1", "nobody listens")] * 2
    assert rig.deliver(content=old(rig)).kind is Kind.DEFER
    assert [row.reason.partition(":")[0] for row in rig.spool.ledger()] == ["re-injection refused"] * 2


def test_that_a_copy_may_have_been_sent_is_not_forgotten_when_it_cannot_be_held(rig: Rig) -> None:
    """Else whoever releases what is held as it came knows nothing of that."""
    rig.out.answers = [Unknown("lost after the dot")]
    rig.held.answers = [Refused(451, "4.4.1", "nobody listens")]
    verdict = rig.deliver(content=old(rig))
    assert verdict.kind is Kind.HOLD
    assert "lost after the dot" in verdict.reason
    assert sorted(rig.outcomes()) == ["held", "pending"]


def test_the_spool_cannot_be_written_in_the_end(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rig.spool, "begin", failing)
    assert rig.deliver(content=old(rig)).kind is Kind.DEFER
    assert (rig.out.sent, rig.held.sent) == ([], [])


@pytest.mark.parametrize(
    ("client", "header", "kind"),
    [
        (LOGGED_IN, b"", Kind.DEFER),
        (LOGGED_IN, b"Precedence: bulk\r\n", Kind.HOLD),
        (FOREIGN, b"", Kind.HOLD),
    ],
    ids=["a known sender", "a machine", "anybody"],
)
def test_who_may_be_bounced_to_is(rig: Rig, client: Client, header: bytes, kind: Kind) -> None:
    rig.directory.aliases["shop@alias.test"] = alias(mailboxes=(mailbox(state=MailboxState.PAUSED),))
    assert rig.deliver(content=old(rig, header + PLAIN), client=client).kind is kind
    assert [to for _, to, _ in rig.held.sent] == (["me@real.test"] if kind is Kind.HOLD else [])
    if kind is Kind.HOLD:
        event = rig.last_event()
        assert (event["kind"], event["reason"]) == ("held", "mailbox paused")


def test_without_a_finished_copy_it_is_held_as_it_came(rig: Rig) -> None:
    """What was begun for a mailbox and never sent is forgotten: the message as a whole has its outcome."""
    content = old(rig, days=4)
    rig.out.answers = [Refused(451, "4.3.0", "no")]
    rig.deliver(content=content)
    rig.clock.advance(0.95 * DAY)
    rig.directory.aliases["shop@alias.test"] = alias(
        state=AliasState.DISABLED, when_disabled=WhenDisabled.DEFER
    )
    verdict = rig.deliver(content=content)
    assert (verdict.kind, verdict.reason) == (Kind.HOLD, f"{TAKEN}: alias disabled")
    assert rig.held.sent == [("bob@example.com", "shop@alias.test", content)]
    assert rig.outcomes() == ["held"]
    assert rig.deliver(content=content).kind is Kind.HOLD
    assert len(rig.held.sent) == 1
    assert rig.events() == ["held"]
    assert rig.last_event()["contact"] == "bob@example.com"
    (row,) = rig.spool.ledger()
    assert row.alias_id == alias().id, "whose owner is told when it ends"


def test_what_nobody_can_say_in_the_end_is_held_as_it_came(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be from one who is blocked."""
    monkeypatch.setattr(rig.directory, "sender_rule", lambda *_: Unavailable("gone"))
    content = old(rig)
    assert rig.deliver(content=content).kind is Kind.HOLD
    assert (rig.out.sent, rig.held.sent) == ([], [("bob@example.com", "shop@alias.test", content)])


def test_what_can_not_be_held_says_why_it_waits(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rig.directory, "sender_rule", lambda *_: Unavailable("gone"))
    rig.held.answers = [Refused(451, "4.4.1", "nobody listens")]
    verdict = rig.deliver(content=old(rig))
    assert (verdict.kind, verdict.reason) == (Kind.DEFER, "gone")


def test_an_alias_without_any_mailbox_is_held_as_it_came(rig: Rig) -> None:
    rig.directory.aliases["shop@alias.test"] = alias(mailboxes=())
    content = old(rig)
    assert rig.deliver(content=content).kind is Kind.HOLD
    assert rig.held.sent == [("bob@example.com", "shop@alias.test", content)]
    assert rig.outcomes() == ["held"]


def reverse_alias(rig: Rig) -> str:
    """Bob's, who is known."""
    token = reverse_token(KEYS, 7, "bob@example.com")
    rig.directory.reverse_aliases[token] = ReverseAlias(
        token, alias(), "bob@example.com", None, "bob@example.com"
    )
    return f"{reverse_local_part(parse_loose('bob@example.com'), None, token)}@alias.test"


def test_a_reply_that_cannot_be_judged_for_so_long_is_held_as_unproven(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Replying, "_proof", lambda *_: Undecided("no DNS server answers"))
    recipient = reverse_alias(rig)
    for days, kind in ((4.0, Kind.DEFER), (4.95, Kind.HOLD)):
        verdict = rig.deliver(recipient, old(rig, days=days), "me@real.test")
        assert verdict.kind is kind, verdict
    assert TAKEN in verdict.reason
    assert rig.deliver(recipient, old(rig), "me@real.test").kind is Kind.HOLD
    assert [recipient for _, recipient, _ in rig.held.sent] == ["bob@example.com"]
    assert rig.events() == ["held"]
    assert [notice.kind for notice in rig.spool.due_notices(9)] == ["unproven"]


def test_to_whom_such_a_reply_wrote_first_can_answer_when_it_is_released(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Replying, "_proof", lambda *_: Undecided("no DNS server answers"))
    assert rig.deliver(FIRST, old(rig, OWN), "me@real.test").kind is Kind.HOLD
    assert [recipient for _, recipient, _ in rig.held.sent] == ["carol@example.org"]
    assert told(rig) == ["carol@example.org"]


def test_a_reply_that_is_held_as_it_came_is_its_aliass(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    recipient = reverse_alias(rig)
    monkeypatch.setattr(Replying, "handle", failing)
    assert rig.deliver(recipient, old(rig), "me@real.test").kind is Kind.HOLD
    assert [recipient for _, recipient, _ in rig.held.sent] == [recipient]
    assert rig.events() == ["held"]
    assert rig.last_event()["contact"] == "bob@example.com"
    (row,) = rig.spool.ledger()
    assert row.alias_id == alias().id, "whose owner is told when it ends"


def test_a_message_that_says_nothing_of_its_age_waits(rig: Rig) -> None:
    rig.directory.aliases["shop@alias.test"] = alias(mailboxes=(mailbox(state=MailboxState.PAUSED),))
    assert rig.deliver().kind is Kind.DEFER


def test_a_spool_that_cannot_be_written_defers_before_anything_is_sent(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rig.spool, "begin", failing)
    assert rig.deliver().code == 451
    assert rig.out.sent == []


def test_a_spool_that_fails_after_the_250_changes_no_answer(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rig.spool, "finish", failing)
    assert rig.deliver().kind is Kind.DELIVER
    assert len(rig.out.sent) == 1


def test_what_was_sent_while_the_disk_was_full_is_recorded_later(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr(rig.spool, "finish", failing)
        full.setattr(rig.spool, "conclude", failing)
        rig.deliver()
        assert rig.deliver(content=PLAIN + b"more\r\n").kind is Kind.DEFER, "the disk is still full"
    assert rig.outcomes() == ["pending"]
    assert rig.deliver().kind is Kind.DELIVER, "the same message, tried again"
    assert len(rig.out.sent) == 1
    assert (rig.outcomes(), rig.events()) == (["delivered"], ["forwarded"])


def test_it_is_recorded_before_what_is_not_sent_too(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as full:
        full.setattr(rig.spool, "finish", failing)
        rig.deliver()
    assert rig.deliver("unknown@alias.test", client=LOGGED_IN).kind is Kind.REJECT
    assert rig.outcomes() == ["delivered", "refused"]


def test_the_spool_is_waited_for_no_longer_than_leaves_time_to_send(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []
    begin = rig.spool.begin

    def beginning(rows: object, contacts: object, marks: object, deadline: Deadline) -> None:
        given.append(deadline.left())
        begin(rows, contacts, marks, deadline)  # type: ignore[arg-type]

    monkeypatch.setattr(rig.spool, "begin", beginning)
    assert rig.deliver().kind is Kind.DELIVER
    assert given == [20.0]


def test_nobody_waits_beyond_his_deadline_for_another_who_records_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    courier = rig.engine._courier
    with monkeypatch.context() as full:
        full.setattr(rig.spool, "finish", failing)
        rig.deliver()
    with courier._recording, pytest.raises(SpoolError, match="still to be recorded"):
        courier.record_late(Deadline.after(rig.clock, 0.05))
    assert rig.deliver().kind is Kind.DELIVER
    assert len(rig.out.sent) == 1


def test_what_was_recorded_too_late_for_the_answer_is_told_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipient = reverse_alias(rig)
    finish = rig.spool.finish

    def late(*what: object) -> None:
        finish(*what)  # type: ignore[arg-type]
        raise SpoolError("the spool did not take a change within 10 s")

    with monkeypatch.context() as slow:
        slow.setattr(rig.spool, "finish", late)
        assert rig.deliver(recipient, sender="me@real.test").kind is Kind.HOLD
    rig.deliver()
    assert rig.events() == ["held", "forwarded"]
    assert [notice.kind for notice in rig.spool.due_notices(9)] == ["unproven"]


def test_at_the_end_it_is_recorded_or_said_to_be_lost(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    courier = rig.engine._courier
    with monkeypatch.context() as full:
        full.setattr(rig.spool, "finish", failing)
        full.setattr(rig.spool, "conclude", failing)
        rig.deliver()
        courier.close()
        assert "ledger.lost queue_id=" in caplog.text
    assert rig.outcomes() == ["pending"]
    courier.close()
    assert (rig.outcomes(), rig.events()) == (["delivered"], ["forwarded"])


def failing(*_: object, **__: object) -> None:
    raise SpoolError("disk full")


def test_an_unknown_exception_is_a_deferral_and_says_nothing_to_the_peer(rig: Rig) -> None:
    rig.out.answers = [RuntimeError("secret detail")]
    verdict = rig.deliver()
    assert (verdict.kind, verdict.code) == (Kind.DEFER, 451)
    assert "secret" not in verdict.text


def test_one_bad_recipient_does_not_touch_the_others(rig: Rig) -> None:
    envelope = Envelope(
        "bob@example.com", ("x@foreign.test", "shop@alias.test", "no address"), False, None, FOREIGN
    )
    verdicts = rig.engine.message(envelope, PLAIN, Deadline.after(rig.clock, 25))
    assert [verdict.kind for verdict in verdicts] == [Kind.DEFER, Kind.DELIVER, Kind.DEFER]


def test_an_unknown_alias_is_refused_to_a_known_sender_and_held_from_others(rig: Rig) -> None:
    assert rig.deliver("unknown@alias.test", client=LOGGED_IN).code == 550
    assert (rig.out.sent, rig.held.sent) == ([], [])
    assert rig.deliver("unknown@alias.test", PLAIN + b"another\r\n").kind is Kind.DELIVER
    assert [recipient for _, recipient, _ in rig.held.sent] == ["unknown@alias.test"]


@pytest.mark.parametrize("recipient", ["shop@sub.alias.test", "shop@deep.sub.alias.test"])
def test_what_lies_below_a_domain_of_ours_is_refused_likewise(rig: Rig, recipient: str) -> None:
    verdict = rig.deliver(recipient, client=LOGGED_IN)
    assert (verdict.code, verdict.status) == (550, "5.1.2")
    assert rig.deliver(recipient, PLAIN + b"another\r\n").kind is Kind.DELIVER
    assert [to for _, to, _ in rig.held.sent] == [recipient]


def test_whether_it_lies_below_one_must_be_known(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def domain(name: str) -> Lookup[Domain]:
        return ABSENT if name.startswith("sub.") else Unavailable("gone")

    monkeypatch.setattr(rig.directory, "domain", domain)
    assert rig.deliver("shop@sub.alias.test", client=LOGGED_IN).kind is Kind.DEFER


@pytest.mark.parametrize("name", ["postmaster", "Abuse+spam"])
def test_postmaster_and_abuse_go_where_the_domain_says(rig: Rig, name: str) -> None:
    rig.directory.rules["bob@example.com"] = SenderRule(BlockAction.REJECT, "global", "bob@example.com")
    assert rig.deliver(f"{name}@alias.test").kind is Kind.DELIVER
    ((_, recipient, content),) = rig.out.sent
    assert recipient == "postmaster@real.test"
    assert content.startswith(b"X-Postmask-Trace: ")
    assert content.endswith(b"\r\n" + PLAIN)


@pytest.mark.parametrize(
    ("sender", "content"),
    [
        ("", PLAIN),
        ("bob@example.com", b"Auto-Submitted: auto-replied\r\n" + PLAIN),
        ("bob@example.com", b"Precedence: bulk\r\n" + PLAIN),
        ("bob@example.com", b"List-Id: <l.example.com>\r\n" + PLAIN),
    ],
)
def test_a_machine_is_never_sent_a_bounce(rig: Rig, sender: str, content: bytes) -> None:
    assert rig.deliver("unknown@alias.test", content, sender, LOGGED_IN).kind is Kind.DELIVER
    assert len(rig.held.sent) == 1


def test_a_local_submission_counts_as_a_known_sender(rig: Rig) -> None:
    for client in (Client(queue_id="Q1"), Client(address="127.0.0.1", port="0", queue_id="Q1")):
        assert rig.deliver("unknown@alias.test", client=client).code == 550


def test_discarding_by_the_owners_rule_leaves_a_record(rig: Rig) -> None:
    rig.directory.aliases["shop@alias.test"] = alias(
        state=AliasState.DISABLED, when_disabled=WhenDisabled.DISCARD
    )
    assert rig.deliver().kind is Kind.DISCARD
    assert rig.deliver().kind is Kind.DISCARD, "Postfix didn't hear it"
    assert rig.outcomes() == [Outcome.DISCARDED]
    assert rig.events() == ["discarded"]
    rig.directory.aliases["shop@alias.test"] = alias()
    rig.directory.rules["bob@example.com"] = SenderRule(BlockAction.DISCARD, "alias", "bob@example.com")
    assert rig.deliver(content=PLAIN + b"another\r\n").kind is Kind.DISCARD
    assert rig.out.sent == []


def test_what_could_not_be_held_is_discarded_when_its_owner_wants_that(rig: Rig) -> None:
    rig.held.answers = [Refused(451, "4.3.0", "no")]
    assert rig.deliver().kind is Kind.DELIVER
    assert rig.deliver("late@alias.test").kind is Kind.DEFER
    rig.directory.aliases["late@alias.test"] = alias(
        "late@alias.test", state=AliasState.DISABLED, when_disabled=WhenDisabled.DISCARD
    )
    assert rig.deliver("late@alias.test").kind is Kind.DISCARD
    assert rig.outcomes() == ["delivered", "discarded"]
    assert rig.events() == ["forwarded", "discarded"]


def test_a_blocked_author_is_discarded_whatever_the_envelope_says(rig: Rig) -> None:
    token = reverse_token(KEYS, 7, "bob@example.com")
    rig.directory.contacts[7, "bob@example.com"] = Contact(
        7, "bob@example.com", None, ContactRule.BLOCK, token
    )
    assert rig.deliver(sender="bounce@list.example").kind is Kind.DISCARD
    assert rig.last_event()["contact"] == "bob@example.com"


def test_a_contact_that_the_truth_has_forgotten_is_told_again(rig: Rig) -> None:
    """By a restore of an older copy, or when its alias was purged and made again."""
    rig.deliver()
    for number, entry in rig.spool.outbox(9):
        if entry.kind == "contact":
            rig.spool.sent([number])
    rig.deliver(content=PLAIN + b"at once: it may be on its way still\r\n")
    assert [entry.kind for _, entry in rig.spool.outbox(9) if entry.kind == "contact"] == []
    rig.clock.advance(7_200)
    rig.deliver(content=PLAIN + b"two hours later\r\n")
    (told,) = (entry for _, entry in rig.spool.outbox(9) if entry.kind == "contact")
    assert told.payload["token"] == reverse_token(KEYS, 7, "bob@example.com")


def test_a_paused_mailbox_gets_its_copy_held(rig: Rig) -> None:
    boxes = (mailbox("a@real.test", id=1), mailbox("b@real.test", id=2, state=MailboxState.PAUSED))
    rig.directory.aliases["shop@alias.test"] = alias(mailboxes=boxes)
    assert rig.deliver().kind is Kind.DELIVER
    assert [recipient for _, recipient, _ in rig.out.sent] == ["a@real.test"]
    assert [recipient for _, recipient, _ in rig.held.sent] == ["b@real.test"]
    assert rig.events() == ["forwarded"]
    assert rig.last_event()["reason"] == "held for 1 of 2 mailboxes: mailbox paused"


def test_a_copy_that_is_held_does_not_speak_for_the_others(rig: Rig) -> None:
    boxes = (mailbox("a@real.test", id=1, state=MailboxState.PAUSED), mailbox("b@real.test", id=2))
    rig.directory.aliases["shop@alias.test"] = alias(mailboxes=boxes)
    rig.out.answers = [Refused(451, "4.3.0", "queue full")]
    assert rig.deliver().kind is Kind.DEFER
    assert rig.deliver().kind is Kind.DELIVER
    assert [recipient for _, recipient, _ in rig.out.sent] == ["b@real.test"]
    assert len(rig.held.sent) == 1


def test_what_went_out_and_comes_in_again_is_held_as_a_loop(rig: Rig) -> None:
    rig.deliver()
    (_, _, data) = rig.out.sent[0]
    assert rig.deliver(content=b"Received: from the mailbox's server\r\n" + data).kind is Kind.DELIVER
    assert len(rig.out.sent) == 1
    assert len(rig.held.sent) == 1


def test_what_went_through_another_alias_before_is_no_loop(rig: Rig) -> None:
    rig.directory.aliases["second@alias.test"] = alias("second@alias.test", id=8)
    rig.deliver()
    (_, _, data) = rig.out.sent[0]
    assert rig.deliver("second@alias.test", data).kind is Kind.DELIVER
    assert (len(rig.out.sent), rig.held.sent) == (2, [])


def test_what_comes_round_through_another_alias_is_held_as_a_loop(rig: Rig) -> None:
    rig.directory.aliases["second@alias.test"] = alias("second@alias.test", id=8)
    rig.deliver()
    rig.deliver("second@alias.test", rig.out.sent[0][2])
    assert rig.deliver(content=rig.out.sent[1][2]).kind is Kind.DELIVER
    assert (len(rig.out.sent), len(rig.held.sent)) == (2, 1)


def test_what_comes_round_through_another_service_is_held_as_a_loop(rig: Rig, tmp_path: Path) -> None:
    keys = Keyring([Secret(1, "2026-01-01", b"o" * 32)])
    (tmp_path / "other").mkdir()
    with engine_rig.rig(tmp_path / "other", keys=keys) as other:
        rig.deliver()
        other.deliver(content=rig.out.sent[0][2])
        assert rig.deliver(content=other.out.sent[0][2]).kind is Kind.DELIVER
    assert (len(rig.out.sent), len(rig.held.sent)) == (1, 1)


@pytest.mark.parametrize("method", ["domain", "alias", "contact", "dkim_keys", "sender_rule"])
def test_a_directory_that_cannot_say_defers(rig: Rig, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    unavailable: Callable[..., Unavailable] = lambda *_: Unavailable("gone")  # noqa: E731
    monkeypatch.setattr(rig.directory, method, unavailable)
    verdict = rig.deliver(client=LOGGED_IN)
    assert (verdict.kind, verdict.code) == (Kind.DEFER, 451)
    assert rig.out.sent == []
    assert verdict.reason.endswith("gone")


def test_a_first_contact_is_known_to_the_next_message_before_the_truth_has_it(rig: Rig) -> None:
    rig.deliver()
    known = rig.spool.contact(7, "bob@example.com")
    assert known is not None
    verdict = rig.deliver(f"bob.{known.token}@alias.test")
    assert verdict.kind is Kind.HOLD
    assert [recipient for _, recipient, _ in rig.held.sent] == ["bob@example.com"]


def test_a_name_that_nobody_could_write_down_keeps_no_mail_back(rig: Rig) -> None:
    """Half a surrogate pair, in UTF-7."""
    content = PLAIN.replace(b"Bob", b"=?utf-7?q?half+2AA-?=")
    assert rig.deliver(content=content).kind is Kind.DELIVER


def test_reverse_aliases_quoted_in_a_reply_are_replaced_in_every_domain_of_the_account(rig: Rig) -> None:
    """Those of another account say nothing about this one, and whom they stand for is nobody's to know."""
    rig.directory.with_domain("second.test").with_domain("neighbour.test")
    rig.directory.aliases["shop@alias.test"] = alias(mailboxes=(mailbox(login="me"),))
    rig.directory.aliases["post@second.test"] = alias("post@second.test", id=8)
    rig.directory.aliases["its@neighbour.test"] = alias("its@neighbour.test", id=9, account_id=2)
    known = {}
    for name, number in (("shop@alias.test", 7), ("post@second.test", 8), ("its@neighbour.test", 9)):
        rig.deliver(name)
        known[number] = f"bob-at-example-com.{rig.spool.contact(number, 'bob@example.com').token}"  # type: ignore[union-attr]
    quoted = f"{known[8]}@second.test, {known[8]}@alias.test, {known[9]}@neighbour.test"
    content = f"From: me@real.test\r\nTo: {known[7]}@alias.test\r\n\r\n{quoted}\r\n".encode()
    assert rig.deliver(f"{known[7]}@alias.test", content, "me@real.test", LOGGED_IN).kind is Kind.DELIVER
    body = rig.out.sent[-1][2].partition(b"\r\n\r\n")[2]
    assert body.decode() == f"bob@example.com, {known[8]}@alias.test, {known[9]}@neighbour.test\r\n"


@pytest.mark.parametrize("domain", ["a..b", "...", "-a.example.com", "alias.test"])
def test_what_only_looks_like_a_reverse_alias_stays_in_a_reply(rig: Rig, domain: str) -> None:
    rig.directory.aliases["shop@alias.test"] = alias(mailboxes=(mailbox(login="me"),))
    rig.deliver()
    known = f"bob-at-example-com.{rig.spool.contact(7, 'bob@example.com').token}"  # type: ignore[union-attr]
    text = f"see x.abcdefghijklmnopqrstuvwx@{domain}\r\n"
    content = f"From: me@real.test\r\nTo: {known}@alias.test\r\n\r\n{text}".encode()
    assert rig.deliver(f"{known}@alias.test", content, "me@real.test", LOGGED_IN).kind is Kind.DELIVER
    assert rig.out.sent[-1][2].partition(b"\r\n\r\n")[2].decode() == text


@pytest.mark.parametrize(
    ("client", "kind", "event"),
    [(LOGGED_IN, Kind.REJECT, "refused"), (FOREIGN, Kind.HOLD, "held")],
)
def test_a_disabled_alias_writes_to_nobody(rig: Rig, client: Client, kind: Kind, event: str) -> None:
    """Nor do those of a disabled account, which read as disabled."""
    mailboxes = (mailbox(login="me"),)
    rig.directory.aliases["shop@alias.test"] = alias(mailboxes=mailboxes)
    rig.deliver()
    known = f"bob-at-example-com.{rig.spool.contact(7, 'bob@example.com').token}@alias.test"  # type: ignore[union-attr]
    rig.directory.aliases["shop@alias.test"] = alias(state=AliasState.DISABLED, mailboxes=mailboxes)
    content = f"From: me@real.test\r\nTo: {known}\r\n\r\nbody\r\n".encode()
    verdict = rig.deliver(known, content, "me@real.test", client)
    assert (verdict.kind, verdict.reason) == (kind, "reply: the alias is disabled")
    assert len(rig.out.sent) == 1
    assert rig.events() == ["forwarded", event]


FIRST = "shop+carol=example.org@alias.test"
OWN = f"From: me@real.test\r\nTo: {FIRST}\r\n\r\nbody\r\n".encode()


def test_the_owner_writes_first(rig: Rig) -> None:
    rig.directory.aliases["shop@alias.test"] = alias(mailboxes=(mailbox(login="me"),))
    assert rig.deliver(FIRST, OWN, "me@real.test", LOGGED_IN).kind is Kind.DELIVER
    ((sender, recipient, sent),) = rig.out.sent
    assert (recipient, sender.rpartition("@")[2]) == ("carol@example.org", "alias.test")
    assert b"\r\nTo: carol@example.org\r\n" in sent
    assert b"real.test" not in sent
    assert told(rig) == ["carol@example.org"]
    assert rig.events() == ["replied"]


def test_to_whom_the_owner_wrote_first_is_told_again_where_the_truth_has_forgotten_it(rig: Rig) -> None:
    rig.directory.aliases["shop@alias.test"] = alias(mailboxes=(mailbox(login="me"),))
    rig.deliver(FIRST, OWN, "me@real.test", LOGGED_IN)
    rig.spool.sent([number for number, _ in rig.spool.outbox(9)])
    rig.clock.advance(7_200)
    rig.deliver(FIRST, OWN + b"two hours later\r\n", "me@real.test", LOGGED_IN)
    assert told(rig) == ["carol@example.org"]


def told(rig: Rig) -> list[object]:
    """The contacts that the truth is to learn."""
    return [entry.payload["address"] for _, entry in rig.spool.outbox(9) if entry.kind == "contact"]


@pytest.mark.parametrize(
    ("recipient", "content", "client"),
    [
        (FIRST, OWN, FOREIGN),
        (FIRST, PLAIN, LOGGED_IN),
        ("shop+carol=@alias.test", OWN, LOGGED_IN),
        ("shop+carol@alias.test", OWN, LOGGED_IN),
    ],
    ids=["unproven", "another author", "no host", "ordinary detail"],
)
def test_whatever_else_looks_like_it_goes_to_the_owner(
    rig: Rig, recipient: str, content: bytes, client: Client
) -> None:
    rig.directory.aliases["shop@alias.test"] = alias(mailboxes=(mailbox(login="me"),))
    assert rig.deliver(recipient, content, "me@real.test", client).kind is Kind.DELIVER
    assert [to for _, to, _ in rig.out.sent] == ["me@real.test"]
    assert rig.events() == ["forwarded"]


def test_the_directory_is_not_asked_for_each_of_thousands_of_addresses(rig: Rig) -> None:
    rig.directory.aliases["second@alias.test"] = alias("second@alias.test", id=8)
    strangers = ",\r\n ".join(f"u{number}@alias.test" for number in range(5000))
    content = f"From: bob@example.com\r\nTo: second@alias.test,\r\n {strangers}\r\n\r\n".encode()
    assert rig.deliver(content=content).kind is Kind.DELIVER
    assert len(rig.directory.asked) < 1500
    assert b"To: second@alias.test" in rig.out.sent[0][2]
