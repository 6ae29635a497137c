"""The spool on a real SQLite file: order, sharing, and what a failing disk leaves behind."""

from __future__ import annotations

import contextlib
import errno
import gc
import sqlite3
import subprocess
import sys
import threading
import tracemalloc
import weakref
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE

import pytest

from postmask.clock import Deadline, ManualClock
from postmask.spool import (
    LEDGER_KEPT,
    NOTICE_WAIT,
    Entry,
    LedgerRow,
    LocalContact,
    Notice,
    Outcome,
    ReplayMark,
    ReplayUsedError,
    Spool,
    SpoolError,
)
from postmask.spool import file as spool_file
from postmask.spool.writer import Writer


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def spool(tmp_path: Path, clock: ManualClock) -> Iterator[Spool]:
    opened = Spool(tmp_path / "spool.db", clock)
    yield opened
    opened.close()


def row(key: bytes = b"k" * 32, **changes: object) -> LedgerRow:
    return LedgerRow(**{"key": key, "recipient": "a@alias.test", "queue_id": "Q1", **changes})  # type: ignore[arg-type]


def test_begin_then_finish_leaves_one_outcome(spool: Spool) -> None:
    spool.begin([row()])
    pending = spool.row(b"k" * 32)
    assert pending is not None
    assert pending.outcome is Outcome.PENDING
    spool.finish([row(outcome=Outcome.DELIVERED, new_queue_id="Q2")], [Entry.new("event", kind="forwarded")])
    done = spool.row(b"k" * 32)
    assert done is not None
    assert (done.outcome, done.new_queue_id) == (Outcome.DELIVERED, "Q2")
    assert [entry.kind for _, entry in spool.outbox(10)] == ["event"]


def test_begin_again_does_not_undo_what_is_done(spool: Spool) -> None:
    spool.finish([row(outcome=Outcome.DELIVERED)])
    spool.begin([row()])
    done = spool.row(b"k" * 32)
    assert done is not None
    assert done.outcome is Outcome.DELIVERED


def test_what_is_concluded_is_told_once(spool: Spool) -> None:
    spool.begin([row()])
    notice = Notice("postmask@alias.test", "me@real.test", "bounce", "Undelivered", "text")
    for outcome in (Outcome.RECORDED, Outcome.DISCARDED):
        spool.conclude(row(outcome=outcome), [Entry.new("event", kind="bounced"), notice])
    found = spool.row(b"k" * 32)
    assert found is not None
    assert found.outcome is Outcome.RECORDED
    assert len(spool.outbox(10)) == 1
    assert len(spool.due_notices(10)) == 1


def test_a_new_contact_is_told_once(spool: Spool) -> None:
    contact = LocalContact("t" * 24, 7, "bob@example.com", "Bob", "Bob@example.com")
    spool.begin([row()], [contact])
    spool.begin([row(key=b"l" * 32)], [contact])
    assert spool.contact(7, "bob@example.com") == contact
    assert spool.contact_by_token("t" * 24) == contact
    ((_, entry),) = spool.outbox(10)
    assert (entry.kind, entry.payload["address"]) == ("contact", "Bob@example.com")


def test_a_proof_is_good_for_one_message_and_its_retries(spool: Spool) -> None:
    mark = ReplayMark("m", b"k" * 32, "t" * 24)
    spool.begin([row()], marks=[mark])
    spool.begin([row()], marks=[mark])
    other = ReplayMark("m", b"x" * 32, "t" * 24)
    with pytest.raises(ReplayUsedError):
        spool.begin(
            [row(key=b"x" * 32)],
            [LocalContact("u" * 24, 7, "eve@example.com", None, "eve@example.com")],
            [ReplayMark("n", b"x" * 32, "t" * 24), other],
        )
    assert spool.row(b"x" * 32) is None
    assert spool.replay_mark("n") is None
    assert spool.contact(7, "eve@example.com") is None


def test_a_used_proof_is_forgotten_after_six_days(spool: Spool, clock: ManualClock) -> None:
    spool.begin([row()], marks=[ReplayMark("m", b"k" * 32, "t" * 24)])
    clock.advance(6 * 86_400 - 60)
    spool.purge(ledger_kept=86_400.0)
    with pytest.raises(ReplayUsedError):
        spool.begin([], marks=[ReplayMark("m", b"x" * 32, "t" * 24)])
    clock.advance(120)
    spool.purge(ledger_kept=86_400.0)
    spool.begin([], marks=[ReplayMark("m", b"x" * 32, "t" * 24)])


def test_what_is_held_is_remembered_longer(spool: Spool, clock: ManualClock) -> None:
    spool.finish([row(outcome=Outcome.HELD), row(key=b"d" * 32, outcome=Outcome.DELIVERED)])
    clock.advance(7 * 86_400)
    spool.purge(ledger_kept=6 * 86_400.0)
    assert [one.outcome for one in spool.ledger()] == [Outcome.HELD]
    clock.advance(24 * 86_400)
    spool.purge(ledger_kept=6 * 86_400.0)
    assert not list(spool.ledger())


def test_it_forgets_a_piece_at_a_time(spool: Spool, clock: ManualClock) -> None:
    """While one program writes, all others wait."""
    for start in (0, 400):
        keys = (number.to_bytes(32) for number in range(start, start + 400))
        spool.finish([row(key, outcome=Outcome.DELIVERED) for key in keys])
    clock.advance(LEDGER_KEPT + 1)
    assert spool.purge(LEDGER_KEPT)
    assert len(list(spool.ledger())) == 300
    assert not spool.purge(LEDGER_KEPT)
    assert not list(spool.ledger())


def test_the_ledger_is_read_row_by_row(spool: Spool) -> None:
    rows = [row(number.to_bytes(32), outcome=Outcome.DELIVERED) for number in range(5_000)]
    spool.finish(rows)
    tracemalloc.start()
    try:
        assert sum(1 for _ in spool.ledger()) == len(rows)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_a_ledger_that_breaks_while_it_is_read(spool: Spool) -> None:
    spool.finish([row()])
    rows = spool._readers.stream("SELECT json(recipient) FROM ledger")
    with pytest.raises(SpoolError):
        next(rows)


def test_what_has_happened_meanwhile_is_not_forgotten(
    spool: Spool, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.begin([row()])
    clock.advance(LEDGER_KEPT + 1)
    look = spool._readers.fetch

    def look_and_then(statement: str, values: tuple[object, ...]) -> list[tuple[object, ...]]:
        found = look(statement, values)
        if "FROM ledger" in statement:
            spool.finish([row(outcome=Outcome.DELIVERED)])
        return found

    with monkeypatch.context() as busy:
        busy.setattr(spool._readers, "fetch", look_and_then)
        spool.purge(LEDGER_KEPT)
    assert [one.outcome for one in spool.ledger()] == [Outcome.DELIVERED]


def test_what_was_begun_is_found_without_a_look_at_all_the_rest(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger may hold millions of rows."""
    asked = ["DELETE FROM ledger WHERE queue_id = 'Q1' AND recipient = 'a@b' AND outcome = 'pending'"]
    with monkeypatch.context() as listening:
        listening.setattr(spool._readers, "fetch", lambda statement, _: asked.append(statement) or [])
        spool.unsent()
    for statement in asked:
        assert "ledger_pending" in str(spool._readers.fetch(f"EXPLAIN QUERY PLAN {statement}", ()))


def test_notices_are_found_without_a_look_at_all_the_rest(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some 200,000 lie there where much comes that is held; also in a file of the version before."""
    path = tmp_path / "spool.db"
    Spool(path, clock).close()
    with contextlib.closing(sqlite3.connect(path)) as before:
        before.executescript("DROP INDEX notice_recipient; DROP INDEX notice_waiting")
    asked: list[tuple[str, tuple[object, ...]]] = []
    with contextlib.closing(Spool(path, clock)) as spool:
        with monkeypatch.context() as listening:
            listening.setattr(spool._readers, "fetch", lambda *asks: asked.append(asks) or [(0,)])
            spool.notices_since("me@real.test", "code", 0.0)
            listening.setattr(spool._readers, "fetch", lambda *asks: asked.append(asks) or [])
            spool.due_notices(10)
        for (statement, values), index in zip(asked, ("notice_recipient", "notice_waiting"), strict=True):
            assert index in str(spool._readers.fetch(f"EXPLAIN QUERY PLAN {statement}", values))


def test_many_threads_share_commits_and_each_gets_its_own_answer(spool: Spool) -> None:
    errors: list[Exception] = []

    def deliver(number: int) -> None:
        try:
            key = number.to_bytes(32)
            mark = ReplayMark("one proof", key, "t" * 24)
            try:
                spool.begin([row(key=key)], marks=[mark])
            except ReplayUsedError:
                spool.finish([row(key=key, outcome=Outcome.DISCARDED)])
        except Exception as error:  # noqa: BLE001  reported by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=deliver, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    outcomes = [spool.row(number.to_bytes(32)) for number in range(40)]
    assert [r.outcome for r in outcomes if r].count(Outcome.PENDING) == 1
    assert [r.outcome for r in outcomes if r].count(Outcome.DISCARDED) == 39


def test_outbox_keeps_order_and_sets_poison_aside(spool: Spool) -> None:
    spool.put([Entry.new("event", n=n) for n in range(3)])
    entries = spool.outbox(10)
    spool.set_aside(entries[1][0], "no such alias")
    spool.sent([entries[0][0]])
    assert [entry.payload["n"] for _, entry in spool.outbox(10)] == [2]
    assert spool.outbox_state() == (1, 1)


def test_a_notice_is_tried_later_and_forgets_its_text_once_sent(spool: Spool, clock: ManualClock) -> None:
    spool.put([Notice("postmask@alias.test", "me@real.test", "code", "Your code", "123456")])
    (notice,) = spool.due_notices(10)
    spool.notice_failed(notice.id, 60.0)
    assert spool.due_notices(10) == []
    clock.advance(61)
    (again,) = spool.due_notices(10)
    assert (again.text, again.tries) == ("123456", 1)
    spool.notice_sent(notice.id)
    assert spool.due_notices(10) == []
    assert spool.notices_since("me@real.test", "code", 0.0) == 1


def test_a_second_process_sees_what_was_committed(spool: Spool, tmp_path: Path, clock: ManualClock) -> None:
    spool.begin([row()])
    other = Spool(tmp_path / "spool.db", clock)
    assert other.row(b"k" * 32) is not None
    other.close()


def test_a_file_that_went_away_is_made_again(spool: Spool, tmp_path: Path) -> None:
    for file in tmp_path.glob("spool.db*"):
        file.unlink()
    assert spool.row(b"k" * 32) is None
    spool.begin([row()])
    assert spool.row(b"k" * 32) is not None


def test_a_place_that_cannot_be_written_is_said_clearly(tmp_path: Path, clock: ManualClock) -> None:
    with pytest.raises(SpoolError, match=r"can't open the spool .* may this user read and write it\?"):
        Spool(tmp_path / "nowhere" / "spool.db", clock)


def test_one_that_no_thread_is_to_be_had_for(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(thread: threading.Thread) -> None:
        raise OSError(errno.EAGAIN, "no thread is to be had")

    monkeypatch.setattr("postmask.spool.writer.begin", none_left)
    with pytest.raises(SpoolError, match=r"can't open the spool .*: no thread is to be had"):
        Spool(tmp_path / "spool.db", clock)


def test_a_locked_spool_is_an_error_not_a_wait_for_ever(tmp_path: Path, clock: ManualClock) -> None:
    spool = Spool(tmp_path / "spool.db", clock, timeout=0.2)
    blocker = sqlite3.connect(tmp_path / "spool.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(SpoolError, match=r"within 0\.2 s"):
        spool.begin([row()])
    blocker.execute("ROLLBACK")
    blocker.close()
    spool.close()


def test_a_disk_that_hangs_is_waited_for_until_the_deadline(
    spool: Spool, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_file, "_LEAST", 0.05)
    begun, go_on = threading.Event(), threading.Event()

    def hang(_: sqlite3.Connection) -> None:
        begun.set()
        go_on.wait(60)

    other = threading.Thread(target=spool._write, args=(hang,))
    other.start()
    try:
        assert begun.wait(60)
        passed = Deadline.after(clock, 0.0)
        with pytest.raises(SpoolError, match=r"within 0\.05 s"):
            spool.begin([row()], deadline=passed)
        with pytest.raises(SpoolError, match=r"within 0\.05 s"):
            spool.finish([row()], deadline=passed)
        with pytest.raises(SpoolError, match=r"within 0\.2 s"):
            spool.conclude(row(), deadline=Deadline.after(clock, 0.2))
    finally:
        go_on.set()
        other.join()
    spool.finish([row(outcome=Outcome.DELIVERED)], deadline=passed)


_PROGRAM = """
import sys
from pathlib import Path
from postmask.clock import ManualClock
from postmask.spool import Spool

print("ready", flush=True)
for path in sys.stdin:
    Spool(Path(path.strip()), ManualClock()).close()
    print("made", flush=True)
"""


def test_a_fault_that_nobody_foresaw_does_not_end_the_writer(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_memory(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as short:
        short.setattr(Writer, "_commit", out_of_memory)
        with pytest.raises(SpoolError, match="MemoryError"):
            spool.begin([row()])
    spool.begin([row()])
    assert spool.row(b"k" * 32) is not None


def test_damage_that_a_change_meets_is_the_spools_error(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other may come back from finish(): after Postfix's 250 it would be a deferral, and a duplicate."""

    def malformed(*_: object) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    with monkeypatch.context() as damaged:
        damaged.setattr(spool_file, "put", malformed)
        with pytest.raises(SpoolError, match="malformed"):
            spool.finish([row(outcome=Outcome.DELIVERED)], [Entry.new("event", kind="forwarded")])
    assert spool.row(b"k" * 32) is None


def test_programs_that_start_at_once_make_one_file(tmp_path: Path) -> None:
    """SQLite refuses the change to WAL at once while another makes it."""
    with contextlib.ExitStack() as running:
        programs = [
            running.enter_context(
                subprocess.Popen([sys.executable, "-c", _PROGRAM], stdin=PIPE, stdout=PIPE, text=True)
            )
            for _ in range(4)
        ]
        assert [_said(program) for program in programs] == ["ready"] * 4
        for number in range(60):
            for program in programs:
                assert program.stdin
                print(tmp_path / f"{number}.db", file=program.stdin, flush=True)
            assert [_said(program) for program in programs] == ["made"] * 4


def _said(program: subprocess.Popen[str]) -> str:
    assert program.stdout
    return program.stdout.readline().strip()


def test_a_notice_does_not_wait_for_a_clock_that_was_ahead(spool: Spool, clock: ManualClock) -> None:
    clock.at += 86_400.0
    spool.put([Notice("postmask@alias.test", "me@real.test", "code", "Your code", "123456")])
    clock.at -= 86_400.0
    (notice,) = spool.due_notices(10)
    spool.notice_failed(notice.id, NOTICE_WAIT)
    assert spool.due_notices(10) == []
    clock.advance(NOTICE_WAIT)
    assert len(spool.due_notices(10)) == 1


def test_everything_is_forgotten_in_its_time(spool: Spool, clock: ManualClock) -> None:
    """Ledger, marks, notices and what the truth refused after six days; contacts, and what it isn't told yet,
    stay."""
    spool.put([Entry.new("contact", at=clock.now()), Entry.new("novelty")])
    for number, _ in spool.outbox(2):
        spool.set_aside(number, "no such alias")
    spool.finish([row(outcome=Outcome.DELIVERED)], [Entry.new("event", at=clock.now())])
    spool.begin([row(b"m" * 32)], marks=[ReplayMark("mark", b"m" * 32, "token")])
    spool.begin([], contacts=[LocalContact("t" * 24, 7, "bob@example.com", None, "bob@example.com")])
    spool.put([Notice("postmask@alias.test", "me@real.test", "code", "Your code", "123456")])
    clock.advance(LEDGER_KEPT - 1)
    spool.purge(LEDGER_KEPT)
    assert len(list(spool.ledger())) == 2
    assert spool.replay_mark("mark") == b"m" * 32
    assert len(spool.due_notices(10)) == 1
    assert spool.outbox_state() == (3, 1)
    clock.advance(2)
    spool.purge(LEDGER_KEPT)
    assert not list(spool.ledger())
    assert spool.replay_mark("mark") is None
    assert spool.due_notices(10) == []
    assert spool.notices_since("me@real.test", "code", 0.0) == 0
    assert spool.outbox_state() == (3, 0)
    assert spool.contact_by_token("t" * 24) is not None


def test_what_failed_keeps_nothing_of_its_callers_alive(tmp_path: Path) -> None:
    """A message that was in hand when the disk was full stayed in memory."""

    class Message:
        """Stands for what a caller has in hand."""

    def deliver(message: Message) -> None:
        assert message
        spool.put([Entry("x", "event", {"of": object()})])  # type: ignore[dict-item]

    spool = Spool(tmp_path / "spool.db", ManualClock())
    message = Message()
    kept = weakref.ref(message)
    gc.collect()
    gc.disable()
    try:
        with contextlib.suppress(TypeError):
            deliver(message)
        del message
        assert kept() is None
    finally:
        gc.enable()
        spool.close()
