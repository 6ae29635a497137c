"""What the node keeps for itself: the switch that drains it, replica and spool, and the room for them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from postmask.cli import postfix_facts
from postmask.cli.checks.check import CLOCK_SLACK, Check
from postmask.cli.output import counted, moment
from postmask.cli.runtime import Runtime
from postmask.doctor import node as codes
from postmask_postfix import commands

_OLD_REPLICA = 30.0
_STUCK = 300.0
_FORGOTTEN = 6 * 3600.0
"""Seconds: a replica is out of date, what waits is stuck, a drained node was forgotten by somebody."""

LEAST_FREE = 20_000_000
"""Octets. Postfix takes no message that leaves less than one and a half times message_size_limit (10 MB)."""

_SHOWN = 20


def drain(runtime: Runtime) -> Iterator[Check]:
    """Only what is worth telling: that this node is drained, and when that was forgotten, it seems."""
    from postmask.drain import DrainSwitch

    switch = DrainSwitch(runtime.settings.spool.folder)
    if switch.damaged():
        what = "the switch can't be read and isn't in force; see: postmask node resume"
        yield Check("drain", False, what, codes.DRAINED)
    state = switch.state()
    if state.drained:
        lasting = runtime.clock.now() - state.at
        end = "" if 0 <= lasting < _FORGOTTEN else "; to take mail again: postmask node resume"
        what = f"drained since {moment(state.at)} by {state.by}{end}"
        yield Check("drain", not end, what, codes.DRAINED)


def replica(runtime: Runtime) -> Iterator[Check]:
    """With SQLite there is none."""
    from postmask.store.engine import sqlite_path
    from postmask.store.replica.folder import Folder

    if sqlite_path(runtime.settings.database.url) is not None:
        return
    state = Folder(runtime.settings.replica.directory).read_state()
    if state is None:
        where = runtime.settings.replica.directory
        yield Check("replica", False, f"there is none in {where}; is postmask-agent running?", codes.REPLICA)
        return
    if not state.file:
        yield Check("replica", False, f"there is none that can be used: {state.trouble}", codes.REPLICA)
        return
    age = runtime.clock.now() - state.synced_at
    if age < -CLOCK_SLACK:
        what = f"{state.file} is dated in the future; was the clock set back?"
        yield Check("replica", False, what, codes.REPLICA)
        return
    what = f"{state.file}, change {state.change}, is {max(0.0, age):.0f} s old"
    if state.trouble:
        yield Check("replica", False, f"{what}: {state.trouble}", codes.REPLICA)
    elif age > max(_OLD_REPLICA, 2 * runtime.settings.replica.poll):
        what += ": is postmask-agent running, can it write there?"
        yield Check("replica", False, what, codes.REPLICA)
    else:
        yield Check("replica", True, what)


def spool(runtime: Runtime) -> Iterator[Check]:
    """What waits in it, for the database or to be sent."""
    from postmask.cli.unsent import unsent
    from postmask.spool import Spool

    path = runtime.settings.spool.path
    if not path.exists():
        what = f"{path} isn't there; it is made when postmask-forwarder first starts"
        yield Check("spool", False, what, codes.SPOOL)
        return
    with closing(Spool(path, runtime.clock)) as opened:
        waiting, aside = opened.outbox_state()
        oldest = opened.outbox_since()
        copies = unsent(runtime, opened)
    entries = counted(waiting, "entry waits", "entries wait")
    what = f"{entries} to be taken to the database"
    if oldest is None or oldest > runtime.clock.now() - _STUCK:
        yield Check("spool", True, what)
    else:
        what += f", the oldest since {moment(oldest)}; see the log of postmask-agent"
        yield Check("spool", False, what, codes.OUTBOX_WAITS)
    if aside:
        entries = counted(aside, "entry", "entries")
        what = f"the database refuses {entries}; see the log of postmask-agent"
        yield Check("spool", False, what, codes.OUTBOX_REFUSED)
    if stuck := sum(row.at < runtime.clock.now() - _STUCK for row in copies):
        late = counted(stuck, "copy has", "copies have")
        what = f"{late} waited to be sent for more than {_STUCK / 60:.0f} minutes"
        yield Check("spool", False, f"{what}; see the log of postmask-forwarder", codes.COPIES_STUCK)
    for row in [row for row in copies if row.reason][:_SHOWN]:
        what = f"{row.queue_id} to {row.recipient}, at {moment(row.at)}: {row.reason}"
        yield Check("copy", False, what, codes.COPY_TROUBLED, row.queue_id)


def disks(runtime: Runtime) -> Iterator[Check]:
    """Only what is amiss: where we and Postfix must be able to write. Raises PostfixError."""
    from postmask.store.engine import sqlite_path

    settings = runtime.settings
    places = {"spool": settings.spool.folder}
    if postfix_facts.installed(settings.postfix.config_dir):
        places["Postfix's queue"] = commands.queue_directory(settings.postfix.config_dir)
    database = sqlite_path(settings.database.url)
    if database is None:
        places["replica"] = settings.replica.directory
    else:
        places["database"] = database.parent
    for what, folder in places.items():
        if trouble := disk_trouble(folder):
            yield Check("disk", False, f"{folder} ({what}) {trouble}", codes.DISK, what)


def disk_trouble(folder: Path) -> str:
    """Why nothing can be written there, or soon; "" where it can. A folder that isn't there yet can wait."""
    try:
        disk = os.statvfs(folder)
    except FileNotFoundError:
        return ""
    if disk.f_flag & os.ST_RDONLY:
        return "is read-only"
    left = disk.f_bavail * disk.f_frsize
    if left < LEAST_FREE:
        return f"has only {left / 1e6:.1f} MB left"
    if disk.f_files and not disk.f_favail:
        return "can take no more files"
    return ""
