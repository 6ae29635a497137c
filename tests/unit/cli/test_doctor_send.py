"""`postmask doctor --send` where nothing can be sent, and that it leaves nothing behind, or says so."""

from __future__ import annotations

import contextlib

import pytest

from cli_site import NOW, Site
from postmask.cli import postfix_facts
from postmask.cli.doctor import passage as passages
from postmask.cli.doctor.passage import NodePassage
from postmask.cli.runtime import Runtime
from postmask.clock import Deadline
from postmask.doctor.sending import codes
from postmask.doctor.sending.journey import Probe
from postmask.maillog.reckoning import Queued
from postmask.spool import Entry, LedgerRow, Outcome, Spool
from postmask.store.admin import probes
from postmask_postfix.commands import PostfixError


@pytest.fixture
def runtime(bare: Site) -> Runtime:
    """With a domain, and what an earlier call has left there that was cut off."""
    bare.text("domain", "add", "alias.test", "--postmaster", "chief@real.test")
    made = Runtime(bare.clock)
    made.config_file = bare.config
    with made.changing() as session:
        probes.make(session, made.keys, "alias.test", now=NOW)
    return made


@pytest.mark.parametrize("words", [("--send",), ("--send", "shop@alias.test")])
def test_without_a_postfix_nothing_is_sent(bare: Site, words: tuple[str, ...]) -> None:
    told = bare.run("doctor", "--only", "send", *words)
    assert told.exit_code == 2
    assert f"{codes.NOT_BEGUN.id} error: send: there is no Postfix" in told.stdout


@pytest.mark.parametrize(
    ("alias", "says"),
    [
        ("", "no domain of ours"),
        ("shop@alias.test", "no alias shop@alias.test"),
        ("sh+op@alias.test", "without"),
        ("shop", "shop"),
    ],
)
def test_without_anybody_to_send_to_neither(
    bare: Site, monkeypatch: pytest.MonkeyPatch, alias: str, says: str
) -> None:
    monkeypatch.setattr(postfix_facts, "installed", lambda _folder: True)
    bare.spool.touch()
    told = bare.run("doctor", "--only", "send", "--send", alias)
    assert f"{codes.NOT_BEGUN.id} error: send: " in told.stdout
    assert says in told.stdout


def test_no_message_is_sent_unless_that_is_said(bare: Site) -> None:
    assert "--send" in bare.refusal(64, "doctor", "--only", "send")


def test_what_was_made_is_taken_away_an_hour_later_at_the_latest(bare: Site, runtime: Runtime) -> None:
    with runtime.changing() as session:
        assert probes.forgotten(session, before=NOW) == []
        old = probes.forgotten(session, before=NOW + 1)
        assert len(old) == 2
        probes.take_away(session, old)
    for words in (["mailbox", "list"], ["block", "list"], ["alias", "list", "--state", "all"]):
        assert bare.json(*words) == []


PROBE = Probe("doctor@alias.test", "nobody@alias.test")
STUCK = Queued("4ABCDEF", "deferred", (PROBE.recipient,), reason="nobody there")

OTHER = Queued("4ABCDE9", "deferred", ("shop@alias.test",), reason="nobody there")


def test_what_is_cleared_away_and_what_cannot_be(
    bare: Site, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted: list[str] = []
    monkeypatch.setattr(passages, "rest", lambda deadline, *_: bare.clock.advance(deadline.left()))
    monkeypatch.setattr(passages.queue, "queued", lambda _folder: {"4ABCDEF": STUCK, "4ABCDE9": OTHER})
    monkeypatch.setattr(passages.queue, "delete", lambda _folder, ids: deleted.extend(ids))
    with runtime.reading() as session:
        made = probes.forgotten(session, before=NOW + 1)
    with contextlib.closing(Spool(bare.spool, bare.clock)) as spool:
        spool.begin([LedgerRow(b"key", PROBE.recipient, "4ABCDEF")])
        spool.put([Entry.new("event", alias_id=made[0])])

        def cleared() -> list[str]:
            passage = NodePassage(runtime, spool, PROBE, "", Deadline.after(runtime.clock, 1))
            return [f"{finding.code.id} {finding.where}" for finding in passage.clear(made)]

        assert cleared() == []
        assert deleted == ["4ABCDEF"]
        assert [row.outcome for row in spool.ledger()] == [Outcome.DISCARDED]
        assert spool.outbox_state() == (0, 0)

        def fails(*_: object) -> None:
            raise PostfixError("no such queue")

        monkeypatch.setattr(passages.queue, "delete", fails)
        monkeypatch.setattr(probes, "take_away", fails)
        assert cleared() == [f"{codes.LEFT_BEHIND.id} {where}" for where in ("queue", "aliases")]
