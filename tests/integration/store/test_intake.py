"""The outbox applied: once or twice, whole or not, on both databases."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import SQLAlchemyError

from postmask.agent.contacts import Reminder
from postmask.agent.outbox import BATCH, OutboxCarrier
from postmask.clock import ManualClock
from postmask.directory.lookup import Found
from postmask.directory.records import MailboxState
from postmask.spool import Entry, LocalContact, Spool, SpoolError
from postmask.store import fitness, intake, schema
from postmask.store.admin import aliases, contacts, domains, events, mailboxes
from postmask.store.models import Bounce, Contact, Counter, Event, Generation, Node, ReplayMark, ReverseAlias
from postmask.tokens import reverse_token
from truth import KEYS, Truth, opened

SHOP = "shop@alias.test"


def alias_of(truth: Truth, address: str = SHOP) -> Any:
    found = truth.directory().alias(address)
    assert isinstance(found, Found)
    return found.value


def apply(truth: Truth, *entries: Entry, node: str = "mx1") -> tuple[intake.LeftOut, ...]:
    with truth.engine.begin() as connection:
        return intake.apply(connection, node, entries)


def event(truth: Truth, kind: str = "forwarded", at: float = 1.0, **more: Any) -> Entry:
    alias = alias_of(truth)
    return Entry.new("event", at=at, account_id=alias.account_id, alias_id=alias.id, kind=kind, **more)


def contact(truth: Truth, address: str = "C@Firm.test", replacement: int = 0, name: str = "C") -> Entry:
    alias = alias_of(truth)
    token = reverse_token(KEYS, alias.id, address.lower(), replacement)
    return Entry.new("contact", alias_id=alias.id, address=address, name=name, token=token, at=1.0)


def count(truth: Truth, model: type[Any]) -> int:
    with truth.engine.connect() as connection:
        return int(connection.scalar(select(func.count()).select_from(model)) or 0)


def test_everything_twice_is_everything_once(furnished: Truth) -> None:
    alias = alias_of(furnished)
    entries = [
        event(
            furnished, contact="c@firm.test", mailbox_id=alias.mailboxes[0].id, status="2.0.0", queue_id="Q"
        ),
        contact(furnished),
        Entry.new(
            "bounce", at=4.0, alias_id=alias.id, contact_token="00ff" * 4, mailbox_id=alias.mailboxes[0].id,
            kind="forward", action="failed", status="5.1.1", reason="gone",
        ),
        Entry.new("replay", mark="m", reverse_token="t" * 24, ledger_key="k", at=1.0),
    ]  # fmt: skip
    for _ in range(3):
        assert apply(furnished, *entries, *entries) == ()
    for model in (Event, Counter, Contact, ReverseAlias, Bounce, ReplayMark):
        assert count(furnished, model) == 1
    shown: Any = furnished.do(aliases.get, SHOP)
    assert (shown.counters, shown.last_at) == ({"forwarded": 1}, 1.0)
    listed: Any = furnished.do(events.listing, alias=SHOP, contact="C@firm.test", kind="forwarded", since=0.5)
    assert [(one.mailbox, one.account, one.queue_id) for one in listed] == [("bob@real.test", "default", "Q")]
    bounced: Any = furnished.do(events.bounces, alias=SHOP)
    assert [(one.kind, one.status, one.mailbox) for one in bounced] == [("forward", "5.1.1", "bob@real.test")]


def test_counters_add_up_over_batches_and_nodes(furnished: Truth) -> None:
    apply(furnished, *(event(furnished, at=float(at)) for at in (5, 9, 7)), event(furnished, "refused", 2.0))
    apply(furnished, event(furnished, at=6.0))
    apply(furnished, event(furnished, at=8.0), node="mx2")
    shown: Any = furnished.do(aliases.get, SHOP)
    assert shown.counters == {"forwarded": 5, "refused": 1}
    assert shown.last_at == 9.0
    assert count(furnished, Counter) == 3


def test_a_large_batch(furnished: Truth) -> None:
    """Of more than one statement's worth."""
    entries = [event(furnished, at=float(n)) for n in range(450)]
    entries += [contact(furnished, f"c{n}@firm.test") for n in range(450)]
    for _ in range(2):
        assert apply(furnished, *entries) == ()
    assert count(furnished, Event) == count(furnished, Contact) == count(furnished, ReverseAlias) == 450
    shown: Any = furnished.do(aliases.get, SHOP)
    assert shown.counters == {"forwarded": 450}


def test_what_the_truth_can_never_take_is_set_aside_and_blocks_nothing(
    furnished: Truth, tmp_path: Path
) -> None:
    gone = Entry.new("contact", alias_id=1, address="c@firm.test", name="C", token="t" * 24, at=1.0)
    with contextlib.closing(Spool(tmp_path / "spool.db", ManualClock())) as spool:
        carrier = OutboxCarrier(spool, furnished.engine, "mx1")
        spool.put([event(furnished, at=float(n)) for n in range(BATCH - 1)] + [gone, contact(furnished)])
        assert [carrier.carry() for _ in range(3)] == [True, False, False]
        assert spool.outbox_state() == (0, 1)
    assert (count(furnished, Event), count(furnished, Contact)) == (BATCH - 1, 1)


def test_a_restored_truth_is_reminded_of_what_it_lacks(furnished: Truth, tmp_path: Path) -> None:
    """Not of what it has, nor of an alias that is gone; once a generation."""
    clock = ManualClock()
    alias_id = alias_of(furnished).id
    met = [
        LocalContact(
            reverse_token(KEYS, alias, f"c{n}@firm.test"), alias, f"c{n}@firm.test", None, f"c{n}@firm.test"
        )
        for n, alias in enumerate([alias_id] * 450 + [1])
    ]
    with contextlib.closing(Spool(tmp_path / "spool.db", clock)) as spool:
        spool.begin([], met)
        reminder = Reminder(spool, furnished.engine, clock)
        carried = [entry for _, entry in spool.outbox(999)]
        spool.sent(number for number, _ in spool.outbox(999))
        apply(furnished, *carried[:300])

        reminder.look()
        told = [entry for _, entry in spool.outbox(999)]
        assert {entry.payload["token"] for entry in told} == {one.token for one in met[300:450]}
        assert apply(furnished, *told) == ()
        assert count(furnished, ReverseAlias) == 450
        spool.sent(number for number, _ in spool.outbox(999))

        with furnished.engine.begin() as connection:
            connection.execute(delete(Contact).where(Contact.address == "c7@firm.test"))
        reminder.look()
        assert spool.outbox(9) == []
        with furnished.engine.begin() as connection:
            connection.execute(update(Generation).values(number=Generation.number + 1))
        reminder.look()
        assert [entry.payload["address"] for _, entry in spool.outbox(9)] == ["c7@firm.test"]


def test_a_reminder_that_was_cut_off_is_given_anew(
    furnished: Truth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock()
    token = reverse_token(KEYS, alias_of(furnished).id, "c@firm.test")
    with contextlib.closing(Spool(tmp_path / "spool.db", clock)) as spool:
        spool.begin([], [LocalContact(token, alias_of(furnished).id, "c@firm.test", None, "c@firm.test")])
        spool.sent(number for number, _ in spool.outbox(9))
        reminder = Reminder(spool, furnished.engine, clock)
        with monkeypatch.context() as patched:
            patched.setattr(spool, "put", _full)
            with pytest.raises(SpoolError):
                reminder.look()
        reminder.look()
        assert [entry.payload["token"] for _, entry in spool.outbox(9)] == [token]


def _full(_news: object) -> None:
    raise SpoolError("the disk is full")


def test_a_truth_made_anew_is_reminded(tmp_path: Path) -> None:
    clock = ManualClock()
    url = f"sqlite:///{tmp_path}/truth.db"
    with contextlib.closing(Spool(tmp_path / "spool.db", clock)) as spool:
        for _ in range(2):
            schema.init(url, clock)
            with opened(url) as truth:
                truth.furnish()
                token = reverse_token(KEYS, alias_of(truth).id, "c@firm.test")
                spool.begin([], [LocalContact(token, alias_of(truth).id, "c@firm.test", None, "c@firm.test")])
                spool.sent(number for number, _ in spool.outbox(9))
                Reminder(spool, truth.engine, clock).look()
                assert [entry.payload["token"] for _, entry in spool.outbox(9)] == [token]
            for file in tmp_path.glob("truth.db*"):
                file.unlink()
            clock.advance(60.0)


def test_a_contact_met_by_two_nodes(furnished: Truth) -> None:
    """With another token each, as around a rotation of the keys: both stay good, the first is current."""
    first, second = contact(furnished), contact(furnished, "c@FIRM.test", 1, "Other")
    apply(furnished, first)
    apply(furnished, second, node="mx2")
    directory = furnished.directory()
    for entry in (first, second):
        found = directory.reverse_alias(str(entry.payload["token"]))
        assert isinstance(found, Found)
        assert (found.value.contact, found.value.contact_name) == ("c@firm.test", "C")
        assert found.value.deliver_to == "C@firm.test"
    current = directory.contact(alias_of(furnished).id, "c@firm.test")
    assert isinstance(current, Found)
    assert current.value.token == first.payload["token"]
    replaced: Any = furnished.do(contacts.replace, KEYS, SHOP, "c@firm.test", now=2.0)
    assert replaced.token == second.payload["token"]


def test_the_same_contact_twice_in_one_batch(furnished: Truth) -> None:
    assert apply(furnished, contact(furnished), contact(furnished, replacement=1)) == ()
    assert (count(furnished, Contact), count(furnished, ReverseAlias)) == (1, 2)


def test_what_can_never_be_applied_keeps_nothing_waiting(furnished: Truth) -> None:
    alias = alias_of(furnished)
    bad = [
        Entry.new("novelty", at=1.0),
        Entry.new("contact", alias_id=99, address="c@firm.test", name=None, token="a" * 24, at=1.0),
        Entry.new("contact", alias_id=alias.id, address="nobody", name=None, token="a" * 24, at=1.0),
        Entry.new("contact", alias_id=alias.id, address="c@firm.test", name=None, token="short", at=1.0),
        Entry.new("event", at=1.0, kind="odd"),
        Entry.new("event", at=float("nan"), kind="forwarded"),
        Entry.new("event", kind="forwarded"),
        Entry.new("event", at=1.0, alias_id=2**60, kind="forwarded"),
        Entry.new("bounce", at=1.0, alias_id=1, contact_token="0" * 99, mailbox_id=1, kind="forward"),
        Entry.new("mailbox_pause", mailbox_id="x", at=1.0, reason=""),
        Entry.new("replay", mark="", reverse_token="t", ledger_key="k", at=1.0),
    ]
    left_out = apply(furnished, *bad, event(furnished))
    assert {one.entry.id for one in left_out} == {entry.id for entry in bad}
    assert all(one.reason for one in left_out)
    assert count(furnished, Event) == 1


@pytest.mark.parametrize("text", ["nul\0inside", "half \ud83d pair", "x" * 5000, "new\nline", "\u202e bidi"])
def test_words_from_mail_are_always_taken(furnished: Truth, text: str) -> None:
    words = event(furnished, reason=text, status=text, queue_id=text)
    assert apply(furnished, words, contact(furnished, name=text)) == ()
    listed: Any = furnished.do(events.listing)
    assert len(listed) == 1


def test_events_of_what_is_gone_are_kept(furnished: Truth) -> None:
    late = event(furnished)
    apply(furnished, event(furnished, "refused"))
    furnished.do(domains.remove, KEYS, "alias.test", with_aliases=True, now=2.0)
    assert count(furnished, Counter) == 0
    assert apply(furnished, late) == ()
    listed: Any = furnished.do(events.listing, kind="forwarded")
    assert [(one.kind, one.alias, one.account) for one in listed] == [("forwarded", None, "default")]


def test_a_pause_keeps_its_first_reason(furnished: Truth) -> None:
    box = alias_of(furnished).mailboxes[0].id
    for reason in ("5 hard bounces", "again"):
        apply(furnished, Entry.new("mailbox_pause", mailbox_id=box, at=1.0, reason=reason))
    assert alias_of(furnished).mailboxes[0].state is MailboxState.PAUSED
    shown: Any = furnished.do(mailboxes.get, "bob@real.test")
    assert (shown.paused_at, shown.pause_reason) == (1.0, "5 hard bounces")


def test_a_replay_mark_stays_with_its_first_message(furnished: Truth) -> None:
    for key in ("first", "second"):
        apply(furnished, Entry.new("replay", mark="m", reverse_token="t", ledger_key=key, at=1.0))
    with furnished.engine.connect() as connection:
        assert connection.scalars(select(ReplayMark.ledger_key)).all() == ["first"]


def test_a_batch_is_whole_or_nothing(furnished: Truth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "_pause", lambda *a, **k: 1 / 0)
    box = alias_of(furnished).mailboxes[0].id
    with pytest.raises(ZeroDivisionError):
        apply(furnished, event(furnished), Entry.new("mailbox_pause", mailbox_id=box, at=1.0, reason=""))
    assert (count(furnished, Event), count(furnished, Counter)) == (0, 0)


def test_two_nodes_at_once_with_the_same_contacts(furnished: Truth) -> None:
    """In opposite order: they must wait for each other, not in a circle."""
    entries = [contact(furnished, f"c{n}@firm.test") for n in range(40)]
    entries += [
        Entry.new("replay", mark=f"m{n}", reverse_token="t", ledger_key="k", at=1.0) for n in range(40)
    ]
    faults: list[Exception] = []

    def carry(node: str, mine: list[Entry]) -> None:
        try:
            for _ in range(5):
                apply(furnished, *mine, node=node)
        except SQLAlchemyError as error:
            faults.append(error)

    threads = [
        threading.Thread(target=carry, args=(node, mine))
        for node, mine in (("mx1", entries), ("mx2", entries[::-1]), ("mx3", entries))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert (count(furnished, Contact), count(furnished, ReplayMark)) == (40, 40)


def test_a_node_tells_the_schema_of_the_program_that_runs(
    furnished: Truth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an upgrade its files are a newer version's, or half of them, until it is restarted."""
    written_for = fitness.OURS
    newer = tmp_path / "versions" / "9999_newer.py"
    newer.parent.mkdir()
    newer.write_text("raise ImportError\n")
    monkeypatch.setattr(schema, "_MIGRATIONS", tmp_path)
    with furnished.engine.begin() as connection:
        intake.seen(connection, "mx1", 1.0)
        assert connection.scalar(select(Node.schema).where(Node.name == "mx1")) == written_for
