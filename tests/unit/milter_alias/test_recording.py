"""What is recorded of a refusal."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from directories import MemoryDirectory, alias
from postmask.clock import ManualClock
from postmask.keys import Keyring, Secret
from postmask.spool import Spool
from postmask.verdict import reject
from postmask_milter.recording import SpoolRecorder

KEYS = Keyring([Secret(1, "2030-01-01", bytes(range(32)))])
REFUSED = reject("5.7.26", "refused", "DMARC fails for shop.example")


@pytest.mark.parametrize(("queue_id", "kept"), [("4Q", "4Q"), ("", None)])
def test_by_its_queue_id_a_refused_message_is_found_in_the_log(
    tmp_path: Path, queue_id: str, kept: str | None
) -> None:
    directory = MemoryDirectory().with_domain()
    directory.aliases["shop@alias.test"] = alias()
    clock = ManualClock()
    with contextlib.closing(Spool(tmp_path / "spool.db", clock)) as spool:
        SpoolRecorder(directory, KEYS, spool, clock).refused(
            REFUSED, "shop@alias.test", "bob@shop.example", queue_id
        )
        ((_, entry),) = spool.outbox(10)
    assert entry.payload["queue_id"] == kept
