"""Mail that can't be passed on until Postfix would return it: to a sender who may be forged nothing goes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from faults import Watch, frozen, killed, message, postsuper, refused_at_reinjection, subjects
from postmask.cli.checks.check import Check
from postmask.cli.checks.parts import all_checks
from postmask.cli.runtime import Runtime
from postmask.clock import DAY, ManualClock
from service import Service

FORGED, KNOWN = "bob@example.com", "me@host.test"
IMPATIENT = {
    "maximal_queue_lifetime": "12s",
    "bounce_queue_lifetime": "12s",
    "minimal_backoff_time": "2s",
    "maximal_backoff_time": "2s",
    "queue_run_delay": "1s",
}


@pytest.fixture
def impatient(faulty: Service) -> Iterator[Service]:
    """A Postfix that returns what it can't deliver within seconds."""
    with faulty.lab.main_cf(**IMPATIENT):
        yield faulty


def _send_both(service: Service, alias: str) -> None:
    """The same to an alias from a sender who may be anybody, and from one who is known."""
    service.send(FORGED, [alias], message(alias, "forged"))
    service.lab.submit("-i", "-f", KNOWN, alias, content=message(alias, "known"))


def _await_held(service: Service, recipient: str) -> str:
    """Its queue id, once something for the recipient is on hold."""

    def found() -> list[str]:
        return [e["queue_id"] for e in service.held() if recipient in _recipients(e)]

    return str(service.lab.wait_retrying(found, f"something on hold for {recipient}", 60)[0])


def _recipients(entry: dict[str, Any]) -> Sequence[str]:
    return [recipient["address"] for recipient in entry["recipients"]]


def _await_returned(service: Service, watch: Watch) -> None:
    """The known sender has it back, and the other one has nothing."""

    def returned() -> list[str]:
        return watch.lines(f"from=<{KNOWN}>", "returned to sender")

    service.lab.wait_retrying(returned, "the known sender's bounce", 60)
    service.await_mail_for(KNOWN)
    assert watch.lines(f"from=<{FORGED}>", "returned to sender") == []
    assert service.mail_for(FORGED) == []


def test_no_mailbox_is_usable(impatient: Service) -> None:
    """Held as the finished copy: released, it isn't judged again."""
    owned, watch = impatient.alias(), Watch(impatient.lab)
    with frozen(impatient, "forwarder"):
        _send_both(impatient, owned.alias)
        impatient.lab.postmask("mailbox", "pause", owned.mailbox)
    held = _await_held(impatient, owned.mailbox)
    _await_returned(impatient, watch)
    impatient.lab.wait_for(lambda: "held" in impatient.event_kinds(owned.alias), "the event")
    postsuper(impatient, "-H", held)
    impatient.await_mail_for(owned.mailbox)
    assert subjects(impatient, owned.mailbox) == ["forged"]


def test_one_of_two_copies_is_refused_at_reinjection(impatient: Service) -> None:
    """The copy that couldn't be sent is held, the other was sent long before: each once."""
    owned, watch = impatient.alias(), Watch(impatient.lab)
    second = f"second-{owned.mailbox}"
    impatient.share(owned, second)
    with refused_at_reinjection(impatient, second):
        _send_both(impatient, owned.alias)
        held = _await_held(impatient, second)
        _await_returned(impatient, watch)
        assert subjects(impatient, owned.mailbox) == ["forged", "known"]
    postsuper(impatient, "-H", held)
    impatient.await_mail_for(second)
    assert subjects(impatient, second) == ["forged"]
    assert subjects(impatient, owned.mailbox) == ["forged", "known"]


def test_what_has_no_finished_copy_is_held_as_it_came(impatient: Service) -> None:
    """Released it is judged as what it was, not as mail of this host's own."""
    owned, watch = impatient.alias(), Watch(impatient.lab)
    impatient.lab.postmask("alias", "edit", owned.alias, "--when-disabled", "defer")
    with frozen(impatient, "forwarder"):
        _send_both(impatient, owned.alias)
        impatient.lab.postmask("alias", "disable", owned.alias)
    held = _await_held(impatient, owned.alias)
    _await_returned(impatient, watch)
    impatient.lab.postmask("alias", "edit", owned.alias, "--when-disabled", "reject")
    postsuper(impatient, "-H", held)
    impatient.await_done(held)
    again = _await_held(impatient, owned.alias)
    assert impatient.mail_for(FORGED) == []
    impatient.lab.postmask("alias", "enable", owned.alias)
    postsuper(impatient, "-H", again)
    impatient.await_mail_for(owned.mailbox)
    assert subjects(impatient, owned.mailbox) == ["forged"]


def test_status_says_what_is_about_to_be_returned(faulty: Service) -> None:
    """A forwarder that is dead can take nothing over."""
    now = time.time()
    owned = faulty.alias()
    with killed(faulty, "forwarder"):
        queue_id = faulty.send(FORGED, [owned.alias], message(owned.alias)).queue_id
        told = _queue_after(faulty, now + 4.8 * DAY)
        assert told.ok
        assert told.what.startswith("1 message waits for postmask-forwarder, the oldest since 20")
        told = _queue_after(faulty, now + 5 * DAY + 60)
        assert not told.ok
        assert f"Postfix returns {queue_id} to its sender after" in told.what
    faulty.await_mail_for(owned.mailbox)
    faulty.lab.await_empty_queue()
    assert _queue_after(faulty, now) == Check("queue", True, "no message waits for postmask-forwarder")


def _queue_after(service: Service, at: float) -> Check:
    """What status says of the queue at another time."""
    runtime = Runtime(ManualClock(at=at))
    runtime.config_file = service.lab.config
    (check,) = (check for check in all_checks(runtime) if check.part == "queue")
    return check
