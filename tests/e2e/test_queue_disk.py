"""The disk of Postfix's queue full: what is there waits and comes once, new mail is asked to wait at RCPT."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from faults import Watch, await_flow, fill, frozen, message, mounted
from lab import lab
from nameserver import Nameserver
from postmask_postfix import lab as labs
from service import Service

NAMES = ["0", "1", "2"]


@pytest.fixture(params=["pipe", "lmtp"])
def small(request: pytest.FixtureRequest, names: Nameserver) -> Iterator[Service]:
    """A service whose queue has a disk of its own, with room for three messages of the largest size."""
    with lab(door=str(request.param), nameserver=names.text) as running:
        labs.down(running.directory)
        with mounted(running.directory / "queue", "200m"):
            running.up()
            try:
                yield Service("small", running, names)
            finally:
                labs.down(running.directory)


def test_a_full_queue(small: Service) -> None:
    owned, watch = small.alias(), Watch(small.lab)
    queue = small.lab.directory / "queue"
    with frozen(small, "forwarder"):
        for name in NAMES:
            small.send("bob@example.com", [owned.alias], message(owned.alias, name))
        filler = fill(queue)
    small.lab.flush()
    watch.await_lines(len(NAMES), "status=deferred", "could not be passed on")
    with small.lab.client() as session:
        assert session.mail("bob@example.com")[0] == 452
    told = small.lab.postmask("status", check=False)
    assert f"{queue} (" in told.stdout
    assert "full" in told.stdout or "left" in told.stdout
    assert small.mail_for(owned.mailbox) == []
    filler.unlink()
    with small.lab.client() as session:
        session.sendmail("bob@example.com", [owned.alias], message(owned.alias, "afterwards"))
    assert await_flow(small, owned.mailbox, len(NAMES) + 1) == [*NAMES, "afterwards"]
    assert watch.bounced() == []
