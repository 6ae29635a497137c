"""What postqueue(1) says, read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from postmask_postfix import commands, sync
from postmask_postfix.queue import Backlog, backlog, queued


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


def test_ours_is_what_comes_to_us_and_what_we_have_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that is drained may be switched off when both are gone."""
    told = [
        ("deferred", "bob@example.com", ["me@host.test", "Shop@ALIAS.test"]),
        ("active", "b.x@alias.test", ["me@real.test"]),
        ("hold", "b.y@alias.test", ["me@real.test"]),
        ("deferred", "bob@example.com", ["me@host.test", "x@alias.test.example", "x@notalias.test"]),
    ]
    lines = [
        {
            "queue_name": name,
            "queue_id": f"Q{number}",
            "arrival_time": 1,
            "sender": sender,
            "recipients": [{"address": address} for address in recipients],
        }
        for number, (name, sender, recipients) in enumerate(told)
    ]
    monkeypatch.setattr(commands, "run", lambda *_: "".join(f"{json.dumps(line)}\n" for line in lines))
    monkeypatch.setattr(sync, "attached", lambda _: True)
    for domains in (r"alias\.test", r"alias\.test|b\.test"):
        ours = {"postmask_domains": domains}
        monkeypatch.setattr(sync, "present_settings", lambda _, ours=ours: ours)
        assert backlog(Path("/nowhere")) == Backlog(waiting=2, deferred=1, held=1)


def test_which_addresses_are_ours() -> None:
    parts = {"postmask_domains_1": r"alias\.test|b\.test", "postmask_domains_2": r"c\.test"}
    ours = sync._pattern({**parts, "postmask_domains": "${postmask_domains_1}|${postmask_domains_2}"})
    found = ["x@ALIAS.test", "x@b.test", "x@c.test"]
    others = ["x@alias.test.example", "x@xb.test", "x@b.test.example", "b.test", "x@aliastest", "x@d.test"]
    assert [address for address in (*found, *others) if ours.search(address)] == found
    nothing = sync._pattern({"postmask_domains": ".^"})
    assert not re.search(nothing, "x@alias.test")
