"""What lies in a Postfix's queue, and how much of it is ours; and its deletion. Looking needs no root.

Ours is a message with a recipient in one of our domains, which waits for the forwarder, and one from a
sender in them: what the forwarder re-injected has a bounce address of ours.

DIAGNOSTICS
    PostfixError: postqueue(1) failed, with what it said; NotAttached: nothing is ours there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from postmask.maillog.reckoning import Queued
from postmask_postfix import commands, sync

_NULL_SENDER = "MAILER-DAEMON"
"""What postqueue calls it."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Messages of ours. waiting: still on their way; deferred: those of them that were tried and put off.

    held: on hold, until somebody releases them; they aren't on their way.
    """

    waiting: int
    deferred: int
    held: int


def entries(config_dir: Path) -> Iterator[dict[str, Any]]:
    """What postqueue(1) says of each message."""
    told = commands.run("postqueue", "-c", str(config_dir), "-j")
    # Only LF parts them: an address may hold what Python takes for the end of a line as well.
    return map(json.loads, filter(None, told.split("\n")))


def queued(config_dir: Path) -> dict[str, Queued]:
    """What lies there now, by queue id."""
    return {
        entry["queue_id"]: Queued(
            entry["queue_id"],
            entry["queue_name"],
            tuple(recipient["address"] for recipient in entry["recipients"]),
            "" if entry["sender"] == _NULL_SENDER else entry["sender"],
            float(entry["arrival_time"]),
            next(filter(None, (one.get("delay_reason", "") for one in entry["recipients"])), ""),
        )
        for entry in entries(config_dir)
    }


def delete(config_dir: Path, queue_ids: Iterable[str]) -> None:
    """Delete messages, whatever queue they are in; one that isn't there any more is no error. Needs root."""
    if words := [word for queue_id in queue_ids for word in ("-d", queue_id)]:
        commands.run("postsuper", "-c", str(config_dir), *words)


def backlog(config_dir: Path) -> Backlog:
    """What it holds of ours now."""
    is_ours = sync.ours(config_dir).search
    found = queued(config_dir).values()
    return counted(one for one in found if any(map(is_ours, (one.sender, *one.recipients))))


def counted(messages: Iterable[Queued]) -> Backlog:
    """How many of these are where."""
    names = [message.name for message in messages]
    held = names.count("hold")
    return Backlog(len(names) - held, names.count("deferred"), held)
