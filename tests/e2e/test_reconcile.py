"""`postmask reconcile`: every outcome is counted once, what is missing is named, and nobody can fool it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fatal_steps
from account import Account, settled
from faults import frozen, kill_daemons, message, postsuper, requeue
from service import Service
from stand_ins import passage


def await_tried(service: Service, *queue_ids: str) -> None:
    """Until what waits has been tried once, so that Postfix's log tells of it."""

    def waits(entry: dict[str, Any]) -> bool:
        return any("delay_reason" in recipient for recipient in entry["recipients"])

    def tried() -> bool:
        waiting = {entry["queue_id"] for entry in service.lab.queue() if waits(entry)}
        return waiting >= set(queue_ids) and bool(waiting)

    service.lab.wait_for(tried, "a first attempt")


@contextlib.contextmanager
def vanished(service: Service, queue_id: str) -> Iterator[None]:
    """Its file isn't in the queue, as if a disk had lost it; back at the end."""
    queue = Path(service.lab.described["queue"])
    (path,) = (
        p for name in ("incoming", "active", "deferred", "hold") for p in (queue / name).rglob(queue_id)
    )
    aside = path.rename(service.lab.directory / queue_id)
    try:
        yield
    finally:
        aside.rename(path)


def test_each_outcome_is_counted_once(counted: Service) -> None:
    account = Account(counted)
    two, off, gone, bad = (counted.alias() for _ in range(4))
    second, third = f"second-{two.mailbox}", f"third-{two.mailbox}"
    counted.share(two, second, third)
    counted.share(bad, f"bounce-{bad.mailbox}")
    counted.lab.postmask("mailbox", "pause", third)
    counted.lab.postmask("alias", "edit", off.alias, "--when-disabled", "discard")
    counted.lab.postmask("alias", "disable", off.alias)
    everyone = [two.alias, off.alias, bad.alias, "else@foreign.test"]
    counted.send("bob@example.com", everyone, message(two.alias), login="bob")
    settled(counted)
    with frozen(counted, "forwarder"):
        counted.lab.submit("-i", "-f", "me@lab.postmask.test", gone.alias, content=b"Subject: local\n\nx\n")
        counted.lab.wait_for(
            lambda: any("delay_reason" in r for e in counted.lab.queue() for r in e["recipients"]), "a try"
        )
        account_waiting = account.closes_with(
            delivered=3, held=1, discarded=1, bounced=1, recorded=1, waiting=1
        )
        assert account_waiting["duplicates"] == []
        counted.lab.postmask("alias", "remove", gone.alias)
    counted.lab.flush()
    settled(counted)
    account.closes_with(delivered=3, held=1, discarded=1, bounced=1, recorded=1, refused=1)


def test_what_is_deleted_by_name_is_an_outcome_and_what_vanishes_is_not(counted: Service) -> None:
    account = Account(counted)
    owned = counted.alias()
    with frozen(counted, "forwarder"):
        named, nameless = (
            counted.send("bob@example.com", [owned.alias], message(owned.alias)).queue_id for _ in range(2)
        )
        await_tried(counted, named, nameless)
        account.closes_with(waiting=2)
        postsuper(counted, "-d", named)
        account.closes_with(waiting=1, deleted=1)
        with vanished(counted, nameless):
            missing = account.await_unaccounted()
            assert (missing["queue_id"], missing["recipient"]) == (nameless, owned.alias)
    counted.lab.flush()
    settled(counted)
    account.closes_with(deleted=1, delivered=1)


def test_a_copy_of_which_nothing_is_known_any_more_is_named(counted: Service) -> None:
    """The ledger says that Postfix took it; it isn't in the queue, and no line says where it went."""
    account = Account(counted)
    owned = counted.alias()
    counted.lab.postmask("mailbox", "pause", owned.mailbox)
    second = f"second-{owned.mailbox}"
    counted.share(owned, second)
    taken = counted.send("bob@example.com", [owned.alias], message(owned.alias)).queue_id
    counted.await_done(taken)
    settled(counted)
    account.closes_with(delivered=1, held=1)
    copies = [e["queue_id"] for e in counted.held() if e["recipients"][0]["address"] == owned.mailbox]
    (copy,) = copies
    with vanished(counted, copy):
        missing = account.await_unaccounted()
    assert (missing["queue_id"], missing["recipient"]) == (taken, owned.alias)
    assert copy in missing["why"]


def test_a_duplicate_has_its_cause(counted: Service) -> None:
    account = Account(counted)
    owned = counted.alias()
    with fatal_steps.dying(counted.lab, "forwarder", "after-the-250"):
        taken = counted.send("bob@example.com", [owned.alias], message(owned.alias)).queue_id
    counted.await_retried(owned.mailbox, 2)
    settled(counted)
    told = account.closes_with(delivered=1)
    (duplicate,) = (one for one in told["duplicates"] if one["queue_id"] == taken)
    assert (duplicate["recipient"], len(duplicate["copies"])) == (owned.alias, 2)
    assert "250 never came into the ledger" in duplicate["cause"]


def test_a_copy_that_postfix_kept_and_would_not_have_is_its_own_duplicate(counted: Service) -> None:
    """As when cleanup is killed with the message queued: smtpd knows nothing of it, and says 451."""
    account = Account(counted)
    owned = counted.alias()
    with passage(counted, "reinject") as between:
        # The connections that the forwarder kept go past the passage.
        kill_daemons(counted, "smtpd")
        between.heard_as = {rb"250 [^\r\n]* queued as \w+": b"451 4.3.0 Error: queue file write error"}
        taken = counted.send("bob@example.com", [owned.alias], message(owned.alias)).queue_id
        await_tried(counted, taken)
    counted.await_retried(owned.mailbox, 2)
    settled(counted)
    told = account.closes_with(delivered=1)
    (duplicate,) = (one for one in told["duplicates"] if one["queue_id"] == taken)
    assert (duplicate["recipient"], len(duplicate["copies"])) == (owned.alias, 2)
    assert duplicate["cause"].startswith("Postfix kept a copy")


def test_a_requeued_message_is_one(counted: Service) -> None:
    account = Account(counted)
    owned = counted.alias()
    with frozen(counted, "forwarder"):
        taken = counted.send("bob@example.com", [owned.alias], message(owned.alias)).queue_id
        await_tried(counted, taken)
        requeue(counted, taken)
        counted.lab.await_log(f"orig_id={taken}")
        account.closes_with(waiting=1)
    counted.lab.flush()
    settled(counted)
    account.closes_with(delivered=1)


@pytest.mark.parametrize(
    ("sender", "detail", "message_id"),
    [
        (
            '"a>, size=1, nrcpt=1 (queue active)"@example.com',
            "+x",
            "<x>, relay=postmask, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok)",
        ),
        ('"b>, status=expired, returned to sender"@example.com', "+status=sent", "removed"),
        (
            "c@example.com",
            "+>, relay=postmask, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (x",
            "x\x01\xff y: removed",
        ),
    ],
)
def test_what_a_stranger_writes_is_not_taken_for_the_logs_own_words(
    counted: Service, sender: str, detail: str, message_id: str
) -> None:
    """HELO, sender, recipient's detail and Message-ID: it waits, whatever they say."""
    account = Account(counted)
    owned = counted.alias()
    local, _, domain = owned.alias.partition("@")
    written = f"{local}{detail}" if detail.replace("+", "").isalnum() else f'"{local}{detail}"'
    content = message(owned.alias).replace(b"Message-ID: ", f"Message-ID: {message_id} ".encode("latin-1"))
    with frozen(counted, "forwarder"):
        with counted.lab.client() as session:
            helo = "EHLO h], status=sent (250 2.0.0 ok)"
            for command in (helo, f"MAIL FROM:<{sender}>", f"RCPT TO:<{written}@{domain}>"):
                code, text = session.docmd(command)
                assert code == 250, text
            code, text = session.data(content)
            assert code == 250, text
        await_tried(counted, text.decode().split()[-1])
        account.closes_with(waiting=1)
    counted.lab.flush()
    settled(counted)
    account.closes_with(delivered=1)
