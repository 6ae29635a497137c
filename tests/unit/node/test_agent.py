"""What the agent does when something goes wrong that nobody foresaw."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from postmask.agent.housekeeping import FORGET_EVERY, Housekeeping
from postmask.agent.nodestate import _synced_at
from postmask.agent.replica.copying import Copying
from postmask.agent.rounds import Rounds
from postmask.clock import ManualClock
from postmask.daemon import Stop
from postmask.spool import LEDGER_KEPT, Outcome, Spool
from postmask.spool.entries import LedgerRow
from postmask.store.engine import Use, make_engine
from postmask.store.replica.folder import Folder, State

SENT = LedgerRow(b"k" * 32, "a@alias.test", "Q", Outcome.DELIVERED)


class Broken:
    """Raises what no agent expects."""

    def __init__(self, stop: Stop | None = None) -> None:
        self.calls = 0
        self._stop = stop

    def carry(self) -> bool:
        self.attend()
        return False

    def attend(self) -> None:
        self.calls += 1
        if self._stop and self.calls == 2:
            self._stop.request()
        raise ValueError("odd")

    def has_changed(self) -> bool:
        return False


class Kept:
    """A house."""

    def __init__(self) -> None:
        self.calls = 0

    def do(self) -> None:
        self.calls += 1


def test_the_house_is_kept_whatever_becomes_of_the_outbox(caplog: pytest.LogCaptureFixture) -> None:
    stop, house = Stop(), Kept()
    carrier = Broken(stop)
    Rounds(carrier, house, stop).run()  # type: ignore[arg-type]  a played house
    assert (carrier.calls, house.calls) == (2, 2)
    (record,) = caplog.records
    assert "ValueError at test_agent.py:" in record.getMessage()
    assert "odd" not in record.getMessage(), "what is raised may name a mailbox"


def test_orders_are_heard_soon_while_the_outbox_waits() -> None:
    """As behind somebody's import of many minutes."""

    class Waits(Stop):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout or 0.0)
            if len(waited) == 8:
                self.request()
            return self.requested

    waited: list[float] = []
    Rounds(Broken(), Kept(), Waits()).run()  # type: ignore[arg-type]  a played house
    assert waited[0] == 1.0
    assert max(waited) == 10.0


def test_a_broken_duty_keeps_no_other_waiting(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock, state = ManualClock(), Broken()
    engine = make_engine(f"sqlite:///{tmp_path}/missing.db", Use.INTAKE)
    with contextlib.closing(Spool(tmp_path / "spool.db", clock)) as spool:
        spool.finish([SENT])
        house = Housekeeping(spool, engine, "mx1", 14, clock, state)  # type: ignore[arg-type]  a played state
        clock.advance(LEDGER_KEPT + 1)
        house.do()
        assert state.calls == 1
        assert not list(spool.ledger())
    assert any("ValueError at test_agent.py:" in record.getMessage() for record in caplog.records)
    assert "odd" not in caplog.text


def test_where_a_host_stood_still_what_postfix_has_is_tried_before_it_is_forgotten(tmp_path: Path) -> None:
    """A message that was half delivered would come twice to its first mailbox."""
    clock = ManualClock()
    engine = make_engine(f"sqlite:///{tmp_path}/missing.db", Use.INTAKE)
    with contextlib.closing(Spool(tmp_path / "spool.db", clock)) as spool:
        spool.finish([SENT])
        clock.at += LEDGER_KEPT + 1  # It was off.
        house = Housekeeping(spool, engine, "mx1", 14, clock, Broken())  # type: ignore[arg-type]  played
        for _ in range(2):
            house.do()
            clock.advance(FORGET_EVERY - 1)
            house.do()
            assert list(spool.ledger())
            clock.advance(1)
            house.do()
            assert not list(spool.ledger())
            spool.finish([SENT])
            clock.advance(FORGET_EVERY / 2)
            clock.at += LEDGER_KEPT + 1  # It slept.


def test_a_copy_that_fails_in_whatever_way_is_not_begun_again_at_once(tmp_path: Path) -> None:
    """The truth would be read in full, again and again."""
    begun: list[str] = []

    class Odd:
        def raw_connection(self) -> None:
            begun.append("")
            raise MemoryError

    clock = ManualClock()
    copying = Copying(Odd(), Folder(tmp_path), clock, Stop(), rest=10.0)  # type: ignore[arg-type]  played
    for tries, seconds in ((1, 9.0), (1, 1.0), (2, 0.0)):
        copying.start("there is none")
        if copying._thread:
            copying._thread.join(30.0)
        assert len(begun) == tries
        clock.advance(seconds)
    assert copying.trouble.startswith("the directory can't be copied: MemoryError at test_agent.py:")


def test_a_replica_that_was_never_whole_is_of_no_time(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write_state(State("", 0, 0.0, 0.0, "there is none"))
    assert _synced_at(folder) is None
    folder.write_state(State("directory.1.db", 7, 100.0, 200.0, ""))
    assert _synced_at(folder) == 200.0
