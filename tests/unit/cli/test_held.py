"""`postmask held` without root, wrong calls of it, and what the alias's events say of what has ended."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli_site import Site
from directories import MemoryDirectory, alias
from engine_rig import KEYS, Played
from postmask.cli import holding
from postmask.cli.expiry import Expiry, concerned
from postmask.cli.holding import Desk, Keeper
from postmask.cli.program import program
from postmask.clock import DAY, ManualClock
from postmask.holding import Envelope, Held
from postmask.spool import LedgerRow, Outcome, Spool

VERBS = (
    ["list"],
    ["show", "4C68C2F27C1"],
    ["release", "4C68C2F27C1"],
    ["discard", "--alias", "shop@alias.example.com"],
    ["expire", "--dry-run"],
)


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_only_root_may(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    told = CliRunner().invoke(program, ["held", *words])
    assert told.exit_code == os.EX_NOPERM
    assert "only root may look into Postfix's hold queue" in told.stderr
    assert told.stdout == ""


def test_octets_are_no_json() -> None:
    told = CliRunner().invoke(program, ["held", "show", "4C68C2F27C1", "--raw", "--json"])
    assert told.exit_code == os.EX_USAGE


class Queue:
    """A hold queue in which every message says the same. deleted: what each call took away."""

    def __init__(self, there: Iterable[Envelope] = ()) -> None:
        self.there = tuple(there)
        self.deleted: list[list[str]] = []

    def content(self, queue_id: str) -> bytes:
        return b"Subject: s\r\n\r\nbody\r\n"

    def envelopes(self) -> list[Envelope]:
        return list(self.there)

    def lifetime(self) -> float:
        return 5 * DAY

    def delete(self, queue_ids: Iterable[str]) -> None:
        """They go."""
        self.deleted.append(list(queue_ids))


@pytest.mark.parametrize(
    ("recipient", "released"),
    [("me@real.test", ["forwarded"]), ("Shop@alias.test", [])],
    ids=["a finished copy", "as it came, which comes to us once more"],
)
def test_the_events_of_the_alias_tell_how_it_ended(
    tmp_path: Path, recipient: str, released: list[str]
) -> None:
    clock = ManualClock()
    directory = MemoryDirectory().with_domain()
    directory.aliases["shop@alias.test"] = alias()
    with closing(Spool(tmp_path / "spool.db", clock)) as spool:
        keeper = _keeper(Queue(), spool, directory, clock)
        row = LedgerRow(bytes(32), "shop@alias.test", "Q1", Outcome.HELD, alias().id)
        held = Held(Envelope("HELD1", "bob@example.com", (recipient,), clock.now(), 99), row, ("HELD1",))
        keeper.release(held)
        assert _kinds(spool) == released
        keeper.discard([held], "discarded from hold")
        assert _kinds(spool) == [*released, "discarded"]


def test_what_has_expired_goes_together(tmp_path: Path) -> None:
    """One postsuper for each of 100,000 messages would hold up all who change the queue for half an hour."""
    clock = ManualClock()
    directory = MemoryDirectory().with_domain()
    directory.aliases["shop@alias.test"] = alias()
    due = [
        Held(
            Envelope(f"Q{number}", "bob@example.com", ("me@real.test",), clock.now(), 99),
            LedgerRow(number.to_bytes(32), "shop@alias.test", f"Q{number}", Outcome.HELD, alias().id),
            (f"Q{number}",),
        )
        for number in range(450)
    ]
    queue = Queue()
    with closing(Spool(tmp_path / "spool.db", clock)) as spool:
        keeper = _keeper(queue, spool, directory, clock)
        expiry = Expiry(keeper=keeper, spool=spool, directory=directory, notices_from=None, clock=clock)
        assert [(one.held.queue_id, one.what) for one in expiry.run(due)] == [
            (held.queue_id, "discarded") for held in due
        ]
        assert _kinds(spool) == ["discarded"] * len(due)
        outcomes = {row.outcome for held in due if (row := spool.row(held.row.key)) is not None}
    assert outcomes == {Outcome.DISCARDED}
    assert [name for names in queue.deleted for name in names] == [held.queue_id for held in due]
    assert len(queue.deleted) < 5


def test_of_a_loop_the_postmaster_is_told() -> None:
    """A notice to the mailbox would come round itself."""
    directory = MemoryDirectory().with_domain()
    directory.aliases["shop@alias.test"] = alias()
    row = LedgerRow(bytes(32), "shop@alias.test", "Q1", Outcome.HELD, alias().id)
    envelope = Envelope("Q1", "bob@example.com", ("me@real.test",), 0.0, 99)
    told = {
        why: concerned(directory, Held(envelope, replace(row, reason=why), ("Q1",)), None).address
        for why in ("loop", "unproven")
    }
    assert told == {"loop": directory.domains["alias.test"].postmaster, "unproven": "me@real.test"}


def test_what_is_discarded_goes_together(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As what expires does."""
    clock = ManualClock()
    there = [
        Envelope(f"Q{number}", "bob@example.com", ("me@real.test",), clock.now(), 99, f"{number:064x}")
        for number in range(250)
    ]
    queue, directory = Queue(there), MemoryDirectory()
    with closing(Spool(tmp_path / "held.db", clock)) as spool:
        keys = {one.queue_id: bytes.fromhex(one.ident) for one in there}
        spool.finish(LedgerRow(key, "shop@alias.test", name, Outcome.HELD) for name, key in keys.items())
        desk = Desk(_keeper(queue, spool, directory, clock), queue, spool, directory)  # type: ignore[arg-type]
        monkeypatch.setattr(holding, "opened", lambda *_args, **_options: nullcontext(desk))
        done = site.json("held", "discard", "--mailbox", "me@real.test")
    assert [one["what"] for one in done] == ["discarded"] * 250
    assert sorted(name for names in queue.deleted for name in names) == sorted(one.queue_id for one in there)
    assert len(queue.deleted) < 5


def _keeper(queue: Queue, spool: Spool, directory: MemoryDirectory, clock: ManualClock) -> Keeper:
    return Keeper(
        queue=queue,  # type: ignore[arg-type]  played
        spool=spool,
        reinject=Played("OUT"),  # type: ignore[arg-type]  played
        directory=directory,
        keys=KEYS,
        clock=clock,
    )


def _kinds(spool: Spool) -> list[object]:
    return [entry.payload["kind"] for _, entry in spool.outbox(999)]
