"""The ledger: each copy once, whatever is tried again, and mail waits where it can't be kept."""

from __future__ import annotations

from collections import Counter
from typing import Any

from faults import (
    Watch,
    await_flow,
    frozen,
    killed,
    message,
    postsuper,
    refused_at_reinjection,
    requeue,
    subjects,
)
from service import Service

# ---- tried again --------------------------------------------------------------------------------


def test_the_same_file_submitted_twice_is_two_messages(faulty: Service) -> None:
    owned = faulty.alias()
    content = message(owned.alias, "same")
    for _ in range(2):
        faulty.lab.submit("-i", "-f", "someone@host.test", owned.alias, content=content)
    assert await_flow(faulty, owned.mailbox, 2) == ["same", "same"]


def test_the_same_message_received_twice_is_two_messages(faulty: Service) -> None:
    owned = faulty.alias()
    content = message(owned.alias, "same")
    for _ in range(2):
        faulty.send("bob@example.com", [owned.alias], content)
    assert await_flow(faulty, owned.mailbox, 2) == ["same", "same"]


def test_so_it_is_where_received_fields_are_taken_out(faulty: Service) -> None:
    owned = faulty.alias()
    content = message(owned.alias, "same")
    with faulty.lab.main_cf(header_checks="regexp:{ {/^Received:/ IGNORE} }"):
        for number in (1, 2):
            # With a recipient that isn't ours nobody adds evidence, by which they would differ.
            faulty.send("bob@example.com", [owned.alias, "else@elsewhere.test"], content)
            assert await_flow(faulty, owned.mailbox, number) == ["same"] * number


def test_half_delivered_requeued_held_and_released(faulty: Service) -> None:
    """One of two mailboxes is refused at re-injection; then the message gets a new queue id, twice, and is
    put on hold and released with its own."""
    owned = faulty.alias()
    second = f"second-{owned.mailbox}"
    faulty.share(owned, second)
    watch = Watch(faulty.lab)
    with refused_at_reinjection(faulty, second):
        queue_id = faulty.send("bob@example.com", [owned.alias], message(owned.alias, "both")).queue_id
        watch.await_lines(1, queue_id, "status=deferred")
        for times in (1, 2):
            tried = len(watch.lines(f"to=<{owned.alias}>", "status=deferred"))
            requeue(faulty)
            watch.await_lines(times, "postfix/pickup", "from=<bob@example.com>")
            watch.await_lines(tried + 1, f"to=<{owned.alias}>", "status=deferred")
        (waiting,) = (entry["queue_id"] for entry in faulty.lab.queue() if _is_for(entry, owned.alias))
        for _ in range(2):
            tried = len(watch.lines(f"to=<{owned.alias}>", "status=deferred"))
            postsuper(faulty, "-h", waiting)
            faulty.lab.flush()
            assert waiting in [entry["queue_id"] for entry in faulty.held()]
            postsuper(faulty, "-H", waiting)
            faulty.lab.flush()
            watch.await_lines(tried + 1, f"to=<{owned.alias}>", "status=deferred")
        assert subjects(faulty, owned.mailbox) == ["both"]
        assert subjects(faulty, second) == []
        assert "<...>: Recipient address rejected" in faulty.lab.program_log("forwarder")
        assert second not in faulty.lab.program_log("forwarder")
        postsuper(faulty, "-h", waiting)
    postsuper(faulty, "-H", waiting)
    await_flow(faulty, second, 1)
    assert subjects(faulty, owned.mailbox) == ["both"]
    assert subjects(faulty, second) == ["both"]
    assert watch.bounced() == []


def _is_for(entry: dict[str, Any], address: str) -> bool:
    return any(recipient["address"] == address for recipient in entry["recipients"])


def test_killed_again_and_again_while_mail_flows(faulty: Service) -> None:
    """120 messages, the forwarder killed three times: all arrive, twice at most those that the log names."""
    owned = faulty.alias()
    names = [f"{number:03d}" for number in range(120)]
    logged = len(faulty.lab.program_log("forwarder"))
    before = _arrived(faulty)
    with frozen(faulty, "forwarder"), faulty.lab.client() as session:
        for name in names:
            session.sendmail("bob@example.com", [owned.alias], message(owned.alias, name))
    waiting = []
    for share in (10, 30, 60):
        _await_arrived(faulty, before + share)
        with killed(faulty, "forwarder"):
            waiting.append(len(faulty.lab.queue()))
    arrived = Counter(await_flow(faulty, owned.mailbox, len(names)))
    assert sorted(arrived) == names
    twice = sum(count - 1 for count in arrived.values())
    resent = faulty.lab.program_log("forwarder")[logged:].count(" resend ")
    assert twice <= resent
    assert waiting[0] > 0, "killed too late to matter"


def _await_arrived(service: Service, count: int) -> None:
    """Counted, not read: on a busy machine all would be through before the first ten were read."""
    service.lab.wait_retrying(lambda: _arrived(service) >= count, f"{count} messages at the sink")


def _arrived(service: Service) -> int:
    return len(list((service.lab.directory / "sink").glob("*.eml")))
