"""Which copies still wait: pure, from ledger rows and what lies in Postfix's queue."""

from __future__ import annotations

import pytest

from postmask.cli.unsent import waiting
from postmask.maillog.reckoning import Queued
from postmask.spool import LedgerRow

NOW = 10_000.0
OTHER = Queued("4OTHER", "active", ("ann@real.test", "not an address@"))


@pytest.mark.parametrize(
    ("message", "at", "waits"),
    [
        (Queued("4ABCDEF", "deferred", ("shop@alias.test",)), 0.0, True),
        (Queued("4ABCDEF", "hold", ("moved@elsewhere.test",)), 0.0, True),
        (Queued("4ANEW", "deferred", ("Shop@Alias.Test",)), 0.0, True),
        (OTHER, 0.0, False),
        (OTHER, NOW - 61.0, False),
        (OTHER, NOW - 59.0, True),
        (OTHER, NOW + 600.0, True),
    ],
)
def test_a_copy_waits_as_long_as_its_message_is_there(message: Queued, at: float, waits: bool) -> None:
    row = LedgerRow(b"key", "shop@alias.test", "4ABCDEF", at=at)
    assert waiting([row], [message, OTHER], NOW) == [row] * waits
