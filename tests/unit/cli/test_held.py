"""`postmask held` without root, wrong calls of it, and what the alias's events say of what has ended."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from cli_site import Site
from directories import MemoryDirectory, alias, mailbox
from engine_rig import KEYS, Played
from postmask import disk
from postmask.cli import holding
from postmask.cli.expiry import Expiry, concerned
from postmask.cli.holding import Desk, Keeper
from postmask.cli.program import program
from postmask.cli.runtime import Runtime
from postmask.clock import DAY, ManualClock
from postmask.directory.records import MailboxState
from postmask.holding import Envelope, Held
from postmask.reinjection.submit import Refused, Submitted, Unknown
from postmask.spool import LedgerRow, Outcome, Spool
from postmask_postfix.commands import PostfixError
from postmask_postfix.hold import Gone

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
    """A hold queue in which every message says the same. deleted: what each call took away. gone: what
    somebody else has taken since it was looked at."""

    def __init__(self, there: Iterable[Envelope] = ()) -> None:
        self.there = tuple(there)
        self.gone: set[str] = set()
        self.deleted: list[list[str]] = []

    def content(self, queue_id: str) -> bytes:
        if queue_id in self.gone:
            raise Gone(f"{queue_id} isn't on hold any more")
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


class OnHold:
    """Copies for me@real.test on hold, Q0 and so on, each with its row; and `postmask held` at that desk.

    opened: for each call whether it was opened for a change.
    """

    def __init__(self, site: Site, spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
        self.site, self.spool = site, spool
        self.queue, self.directory = Queue(), MemoryDirectory().with_domain()
        self.directory.aliases["shop@alias.test"] = alias()
        self.out = Played("OUT")
        self.opened: list[bool] = []
        keeper = _keeper(self.queue, spool, self.directory, site.clock, self.out)
        desk = Desk(keeper, self.queue, spool, self.directory)  # type: ignore[arg-type]  played

        def opened(_runtime: Runtime, *, changing: bool = False) -> nullcontext[Desk]:
            self.opened.append(changing)
            return nullcontext(desk)

        monkeypatch.setattr(holding, "opened", opened)

    def put(self, count: int, *, age: float = 0.0, reason: str = "mailbox paused", **more: Any) -> None:
        """More of them. more: of the row."""
        begin, arrived = len(self.queue.there), self.site.clock.now() - age
        for number in range(begin, begin + count):
            envelope = Envelope(
                f"Q{number}", "b@alias.test", ("me@real.test",), arrived, 99, _key(number).hex()
            )
            self.queue.there += (envelope,)
            row = LedgerRow(_key(number), "shop@alias.test", "QIN", Outcome.HELD, new_queue_id=f"Q{number}")
            self.spool.finish([replace(row, **{"alias_id": alias().id, "reason": reason, **more})])

    def row(self, number: int) -> LedgerRow:
        found = self.spool.row(_key(number))
        assert found is not None
        return found

    @property
    def deleted(self) -> set[str]:
        return {name for names in self.queue.deleted for name in names}


def _key(number: int) -> bytes:
    return (number + 1).to_bytes(32)


@pytest.fixture
def on_hold(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OnHold]:
    with closing(Spool(tmp_path / "held.db", site.clock)) as spool:
        yield OnHold(site, spool, monkeypatch)


def test_what_is_discarded_goes_together(on_hold: OnHold) -> None:
    """As what expires does."""
    on_hold.put(250)
    done = on_hold.site.json("held", "discard", "--mailbox", "me@real.test")
    assert [one["what"] for one in done] == ["discarded"] * 250
    assert on_hold.deleted == {f"Q{number}" for number in range(250)}
    assert len(on_hold.queue.deleted) < 5
    assert on_hold.opened == [True]


def test_one_that_postfix_does_not_take_is_in_no_other_s_way(on_hold: OnHold) -> None:
    on_hold.put(3)
    before = on_hold.row(1)
    on_hold.out.answers += [Submitted("NEW0"), Refused(452, "4.3.1", "no space"), Submitted("NEW2")]
    told = on_hold.site.run("held", "release", "--alias", "shop@alias.test", "--json")
    assert told.exit_code == os.EX_TEMPFAIL
    assert "Q1: Postfix refused it: 452 4.3.1 no space" in told.stderr
    assert [one["what"].partition(":")[0] for one in json.loads(told.stdout)] == [
        "released as NEW0",
        "still held",
        "released as NEW2",
    ]
    assert on_hold.deleted == {"Q0", "Q2"}
    assert [on_hold.row(number).outcome for number in (0, 1, 2)] == [
        Outcome.DELIVERED,
        Outcome.HELD,
        Outcome.DELIVERED,
    ]
    assert on_hold.row(1).reason == before.reason, "nothing of it was sent"


def test_one_that_is_gone_meanwhile_is_in_no_other_s_way(on_hold: OnHold) -> None:
    """By postsuper, say. What was released before it was told of nowhere."""
    on_hold.put(3)
    on_hold.queue.gone = {"Q1"}
    done = on_hold.site.json("held", "release", "--mailbox", "me@real.test")
    assert [one["what"] for one in done] == [
        "released as OUT1",
        "somebody else has taken it from hold",
        "released as OUT2",
    ]
    assert on_hold.row(1).outcome is Outcome.HELD


def test_one_of_which_nobody_knows_stays_and_is_warned_of(on_hold: OnHold) -> None:
    """It may arrive twice when it is released once more."""
    on_hold.put(1)
    on_hold.out.answers += [Unknown("the connection was lost")]
    assert "may have been sent" in on_hold.site.run("held", "release", "Q0").stderr
    assert on_hold.deleted == set()
    assert "may have been sent" in on_hold.row(0).reason
    assert (
        "Q0: a release was cut off before; it may arrive twice"
        in on_hold.site.run("held", "release", "Q0").stderr
    )
    assert on_hold.deleted == {"Q0"}


def test_what_was_sent_and_can_not_be_deleted_is_not_sent_again(
    on_hold: OnHold, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_names: Iterable[str]) -> None:
        raise PostfixError("postsuper: fatal: no space")

    on_hold.put(1)
    with monkeypatch.context() as patched:
        patched.setattr(on_hold.queue, "delete", broken)
        assert "postsuper" in on_hold.site.refusal(os.EX_UNAVAILABLE, "held", "release", "Q0")
    assert on_hold.row(0).outcome is Outcome.DELIVERED
    assert "its remains are deleted" in on_hold.site.text("held", "release", "Q0")
    assert len(on_hold.out.sent) == 1
    assert on_hold.deleted == {"Q0"}


def test_a_copy_goes_out_as_it_came(on_hold: OnHold) -> None:
    """Whose it was, and what it needs."""
    client = (("ADDR", "203.0.113.5"), ("NAME", "mx.example.com"))
    on_hold.put(1)
    (envelope,) = on_hold.queue.there
    on_hold.queue.there = (
        replace(envelope, client=client, smtputf8=True),
        replace(envelope, queue_id="TWICE", arrived=envelope.arrived - 1),
    )
    assert on_hold.site.json("held", "release", "Q0")[0]["what"] == "released as OUT1"
    assert on_hold.out.sent == [("b@alias.test", "me@real.test", b"Subject: s\r\n\r\nbody\r\n")]
    how = {"ident": _key(0).hex(), "client": dict(client), "smtputf8": True}
    assert on_hold.out.how == [{**on_hold.out.how[0], **how}]
    assert on_hold.deleted == {"Q0", "TWICE"}


@pytest.mark.parametrize("verb", ["release", "discard"])
def test_what_is_named_twice_is_done_once(on_hold: OnHold, verb: str) -> None:
    """By its queue id, and by that of its twin."""
    on_hold.put(1)
    on_hold.queue.there += (replace(on_hold.queue.there[0], queue_id="TWICE"),)
    assert len(on_hold.site.json("held", verb, "Q0", "TWICE", "Q0")) == 1
    assert len(on_hold.out.sent) == (verb == "release")
    assert on_hold.deleted == {"Q0", "TWICE"}


@pytest.mark.parametrize("words", [("release", "Q0"), ("discard", "Q0"), ("expire",)], ids=" ".join)
def test_a_dry_run_only_tells(on_hold: OnHold, words: tuple[str, ...]) -> None:
    on_hold.put(1, age=3 * DAY)
    on_hold.put(1, age=3 * DAY, outcome=Outcome.DELIVERED, reason="r; released, was held as Q1")
    (told,) = on_hold.site.json("held", *words, "--dry-run")
    assert (told["queue_id"], told["what"].partition(" be ")[0]) == ("Q0", "would")
    assert on_hold.opened == [False]
    assert on_hold.deleted == set()
    assert on_hold.out.sent == []
    assert on_hold.row(0).outcome is Outcome.HELD


@pytest.mark.parametrize("words", [("release", "Q0"), ("discard", "Q0"), ("expire",)], ids=" ".join)
def test_remains_of_what_had_ended_go_with_it(on_hold: OnHold, words: tuple[str, ...]) -> None:
    on_hold.put(1, age=3 * DAY)
    on_hold.put(1, outcome=Outcome.DELIVERED, reason="r; released, was held as Q1")
    on_hold.site.json("held", *words)
    assert on_hold.deleted == {"Q0", "Q1"}
    assert on_hold.opened == [True]


def test_remains_that_are_named_are_never_sent_again(on_hold: OnHold) -> None:
    on_hold.put(1, outcome=Outcome.DELIVERED, reason="r; released, was held as Q0")
    (told,) = on_hold.site.json("held", "release", "Q0")
    assert told["what"] == "had ended before; its remains are deleted"
    assert on_hold.out.sent == []
    assert on_hold.deleted == {"Q0"}


def test_only_what_is_older_than_the_time_set_expires(on_hold: OnHold) -> None:
    """By default 0.4 of the lifetime of 5 days."""
    on_hold.put(1, age=2 * DAY - 1)
    on_hold.put(1, age=2 * DAY)
    (told,) = on_hold.site.json("held", "expire")
    assert (told["queue_id"], told["told"]) == ("Q1", "me@real.test")
    assert on_hold.deleted == {"Q1"}
    assert "expired" in on_hold.row(1).reason


def test_where_nobody_can_say_whom_to_tell_it_is_kept(on_hold: OnHold) -> None:
    on_hold.put(1, age=3 * DAY)
    on_hold.directory.broken = "the database is gone"
    told = on_hold.site.run("held", "expire", "--json")
    assert told.exit_code == os.EX_TEMPFAIL
    assert json.loads(told.stdout)[0]["what"].startswith("kept: nobody can say whom to tell")
    assert on_hold.deleted == set()
    assert on_hold.row(0).outcome is Outcome.HELD


def test_where_nobody_is_left_nobody_is_told(on_hold: OnHold) -> None:
    """Alias and domain are gone since."""
    on_hold.put(1, age=3 * DAY)
    on_hold.directory.aliases.clear()
    on_hold.directory.domains.clear()
    (told,) = on_hold.site.json("held", "expire")
    assert (told["told"], told["what"]) == ("", "discarded")
    assert on_hold.spool.due_notices(9) == []


def test_a_paused_mailbox_is_not_told(on_hold: OnHold) -> None:
    paused = mailbox(state=MailboxState.PAUSED)
    on_hold.directory.aliases["shop@alias.test"] = replace(
        alias(), mailboxes=(paused, mailbox("you@real.test"))
    )
    on_hold.put(1, age=3 * DAY)
    assert on_hold.site.json("held", "expire")[0]["told"] == "you@real.test"


def test_the_notice_is_from_whom_the_settings_name(on_hold: OnHold) -> None:
    on_hold.site.configure('[mail]\nnotices_from = "help@alias.test"\n')
    on_hold.put(1, age=3 * DAY)
    on_hold.site.json("held", "expire")
    (notice,) = on_hold.spool.due_notices(9)
    assert (notice.sender, notice.recipient) == ("help@alias.test", "me@real.test")


def test_five_notices_a_day_are_enough_and_the_next_day_there_are_others(on_hold: OnHold) -> None:
    for number in range(6):
        on_hold.put(1, age=3 * DAY)
        told = on_hold.site.run("held", "expire", "--json")
        assert told.exit_code == (os.EX_TEMPFAIL if number == 5 else 0)
    assert on_hold.row(5).outcome is Outcome.HELD
    on_hold.site.clock.advance(DAY + 1)
    assert on_hold.site.json("held", "expire")[0]["what"] == "discarded"


def test_a_notice_lists_fifty_and_says_how_many_more_there_are(on_hold: OnHold) -> None:
    """In words that can do nothing to whoever reads them."""
    on_hold.put(51, age=3 * DAY, recipient="a\x1b[2Jb@alias.test")
    on_hold.site.json("held", "expire")
    (notice,) = on_hold.spool.due_notices(9)
    assert notice.text.count(", since 20") == 50
    assert "    and 1 more\n" in notice.text
    assert "\x1b" not in notice.text


def test_the_desk_is_one_man_s_at_a_time_and_its_spool_the_programs(site: Site) -> None:
    """A file of root's would be one that the forwarder can't write."""
    folder, lock = site.folder / "postfix", site.folder / "queue" / "hold"
    lock.mkdir(parents=True)
    folder.mkdir()
    (folder / "main.cf").write_text(f"compatibility_level = 3.6\nqueue_directory = {lock.parent}\n")
    (folder / "master.cf").touch()
    os.chown(site.folder, 65_534, -1)
    runtime = Runtime(site.clock)
    runtime.config_file = site.config
    descriptor = os.open(lock, os.O_RDONLY)
    try:
        with holding.opened(runtime, changing=True):
            assert site.spool.stat().st_uid == 65_534
            assert not disk.lock(descriptor, 0.05)
        with holding.opened(runtime):
            assert disk.lock(descriptor, 0.05)
    finally:
        os.close(descriptor)


def test_what_the_ledger_does_not_know_is_warned_of(on_hold: OnHold) -> None:
    on_hold.put(1)
    (envelope,) = on_hold.queue.there
    on_hold.queue.there += (replace(envelope, queue_id="LOST", ident=_key(99).hex()),)
    told = on_hold.site.run("held", "list")
    assert told.stdout.count("me@real.test") == 1
    assert told.stderr.endswith("see postcat(1): LOST\n")


@pytest.mark.parametrize("words", [(), ("Q0", "--alias", "shop@alias.test")], ids=["nothing", "two"])
def test_one_way_to_say_which(on_hold: OnHold, words: tuple[str, ...]) -> None:
    on_hold.put(1)
    assert "give queue ids, or" in on_hold.site.refusal(os.EX_USAGE, "held", "discard", *words)
    assert on_hold.deleted == set()


def test_an_alias_that_can_not_be_looked_up_is_no_unknown_one(on_hold: OnHold) -> None:
    on_hold.put(1)
    on_hold.directory.broken = "the database is gone"
    told = on_hold.site.refusal(os.EX_TEMPFAIL, "held", "discard", "--alias", "shop@alias.test")
    assert "can't be looked up now" in told
    assert on_hold.deleted == set()


def test_of_an_unknown_alias_only_its_own_is_meant(on_hold: OnHold) -> None:
    """What came to one that nobody knows has no alias, as other such mail has."""
    on_hold.put(1, recipient="other@alias.test", alias_id=0)
    on_hold.put(1, recipient="nobody@alias.test", alias_id=0)
    (done,) = on_hold.site.json("held", "discard", "--alias", "nobody@alias.test")
    assert done["queue_id"] == "Q1"
    assert _kinds(on_hold.spool) == [], "there is no alias that could have an event"


def test_an_engine_that_did_not_learn(on_hold: OnHold, monkeypatch: pytest.MonkeyPatch) -> None:
    learned = {"spamd": True, "rspamd": False}
    engines = [SimpleNamespace(name=name) for name in learned]
    monkeypatch.setattr("postmask.spam.opening.installed", lambda _settings: engines)
    monkeypatch.setattr("postmask.spam.opening.teach", lambda one, *_: Lesson(one.name, learned[one.name]))
    on_hold.put(1)
    told = on_hold.site.run("held", "report", "Q0", "--as", "spam")
    assert told.exit_code == os.EX_UNAVAILABLE
    learned["rspamd"] = True
    assert on_hold.site.run("held", "report", "Q0", "--as", "spam").exit_code == 0


@dataclass
class Lesson:
    """What an engine says of a lesson."""

    name: str
    learned: bool
    address: str = "127.0.0.1:783"
    problem: str = ""


def _keeper(
    queue: Queue,
    spool: Spool,
    directory: MemoryDirectory,
    clock: ManualClock,
    out: Played | None = None,
) -> Keeper:
    return Keeper(
        queue=queue,  # type: ignore[arg-type]  played
        spool=spool,
        reinject=out or Played("OUT"),  # type: ignore[arg-type]  played
        directory=directory,
        keys=KEYS,
        clock=clock,
    )


def _kinds(spool: Spool) -> list[object]:
    return [entry.payload["kind"] for _, entry in spool.outbox(999)]
