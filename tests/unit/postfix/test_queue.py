"""What postqueue(1) says, read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from postmask_postfix import commands
from postmask_postfix.queue import queued


@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\x85", "\udce9"])
def test_a_sender_with_the_end_of_a_line_in_it_hides_no_message(
    odd: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postfix writes such characters as they are."""
    message = {"queue_name": "deferred", "arrival_time": 1, "recipients": [{"address": "shop@alias.test"}]}
    told = "".join(
        json.dumps({**message, "queue_id": name, "sender": sender}, ensure_ascii=False) + "\n"
        for name, sender in (("Q1", f"a{odd}b@example.com"), ("Q2", "MAILER-DAEMON"))
    )
    monkeypatch.setattr(commands, "run", lambda *_: told)
    found = queued(Path("/nowhere"))
    assert {name: one.sender for name, one in found.items()} == {"Q1": f"a{odd}b@example.com", "Q2": ""}
