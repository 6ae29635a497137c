"""The checks of this node, behind `postmask status` and `postmask doctor`: each looks at one part and never
raises.

What can't be looked at counts as amiss, with the reason.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from postmask.cli import postfix_facts
from postmask.cli.output import counted, moment
from postmask.cli.programs import listening, silence
from postmask.cli.runtime import Runtime
from postmask.doctor import node as codes
from postmask.doctor.finding import Code, Finding, Severity

if TYPE_CHECKING:
    from postmask.store.schema import NodeStatus

_SILENT = 600.0
_OLD_REPLICA = 30.0
_CLOCK_SLACK = 60.0
_STUCK = 300.0
_FORGOTTEN = 6 * 3600.0
"""Seconds after which a drained node is one that somebody forgot."""
_LEAST_FREE = 20_000_000
"""Octets. Postfix takes no message that leaves less than one and a half times message_size_limit (10 MB)."""
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Check:
    """part: what was looked at. what: what was found, and what to do if it isn't ok.

    code: the doctor's, for the case that it isn't. where: which one, where a part has several.
    """

    part: str
    ok: bool
    what: str
    code: Code | None = None
    where: str = ""


def all_checks(runtime: Runtime) -> Iterator[Check]:
    """Every check, in the order in which things depend on each other. Raises ConfigError."""
    file = runtime.settings.file
    yield Check("configuration", True, f"{file} is in order")
    for part in (*PARTS, *FINDINGS):
        yield from part.checks(runtime)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the node. code: for what keeps it from being looked at."""

    name: str
    look: Callable[[Runtime], Iterator[Check]]
    code: Code

    def checks(self, runtime: Runtime) -> Iterator[Check]:
        """What was found."""
        try:
            yield from self.look(runtime)
        except Exception as error:  # noqa: BLE001 - whatever keeps a part from being looked at is the finding
            yield Check(self.name, False, str(error) or type(error).__name__, self.code)


def _keys(runtime: Runtime) -> Iterator[Check]:
    signing = runtime.keys.signing
    secrets = counted(len(runtime.keys.secrets), "secret", "secrets")
    yield Check("keys", True, f"{secrets}; that of {signing.created} signs")


def _database(runtime: Runtime) -> Iterator[Check]:
    from postmask.store import schema
    from postmask.store.admin import domains, mailboxes

    found = schema.status(runtime.settings.database.owner_url)
    if found.state is not schema.SchemaState.CURRENT:
        yield Check(
            "database",
            False,
            f"{found.database}, the schema is {found.state}; see: postmask db status",
            codes.SCHEMA,
        )
        return
    with runtime.reading() as session:
        names = domains.names(session)
        count, paused = mailboxes.number(session), mailboxes.paused(session)
    all_domains = counted(len(names), "domain", "domains")
    all_boxes = counted(count, "mailbox", "mailboxes")
    what = found.trouble or f"{found.database}, {all_domains}, {all_boxes}"
    yield Check("database", not found.trouble, what, codes.NOT_IN_USE)
    if found.read_only:
        what = f"{found.database} takes no writes: is it a standby, or is default_transaction_read_only set?"
        yield Check("database", False, what, codes.READ_ONLY)
    for box in paused:
        why = box.pause_reason or "no reason given"
        what = f"{box.address} is paused: {why}; undo that: postmask mailbox resume {quote(box.address)}"
        yield Check("mailbox", False, what, codes.MAILBOX_PAUSED, box.address)
    now = runtime.clock.now() if found.clock is None else found.clock
    ahead = runtime.clock.now() - now
    if abs(ahead) > _CLOCK_SLACK:
        which = "ahead of" if ahead > 0 else "behind"
        yield Check(
            "clock",
            False,
            f"this machine's clock is {abs(ahead):.0f} s {which} the database's; set it right",
            codes.CLOCK,
        )
    for node in found.nodes:
        yield _node(node, now)


def _node(node: NodeStatus, now: float) -> Check:
    """now: by the database's clock, where that has one of its own."""
    advice = ""
    if now - node.last_seen > _SILENT:
        advice = (
            "; is its postmask-agent running, and its clock right? "
            f"If it is gone for good: postmask node remove {quote(node.name)}"
        )
    elif node.last_seen - now > _CLOCK_SLACK:
        advice = ", which is in the future: its clock is wrong, or was"
    what = f"{node.name} was last heard of at {moment(node.last_seen)}{advice}"
    return Check("node", not advice, what, codes.NODE_SILENT, node.name)


def _drain(runtime: Runtime) -> Iterator[Check]:
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


def _replica(runtime: Runtime) -> Iterator[Check]:
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
    if age < -_CLOCK_SLACK:
        yield Check(
            "replica", False, f"{state.file} is dated in the future; was the clock set back?", codes.REPLICA
        )
        return
    what = f"{state.file}, change {state.change}, is {max(0.0, age):.0f} s old"
    if state.trouble:
        yield Check("replica", False, f"{what}: {state.trouble}", codes.REPLICA)
    elif age > max(_OLD_REPLICA, 2 * runtime.settings.replica.poll):
        yield Check(
            "replica", False, f"{what}: is postmask-agent running, can it write there?", codes.REPLICA
        )
    else:
        yield Check("replica", True, what)


def _spool(runtime: Runtime) -> Iterator[Check]:
    from postmask.cli.unsent import unsent
    from postmask.spool import Spool

    path = runtime.settings.spool.path
    if not path.exists():
        what = f"{path} isn't there; it is made when postmask-forwarder first starts"
        yield Check("spool", False, what, codes.SPOOL)
        return
    with closing(Spool(path, runtime.clock)) as spool:
        waiting, aside = spool.outbox_state()
        oldest = spool.outbox_since()
        copies = unsent(runtime, spool)
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


def _disks(runtime: Runtime) -> Iterator[Check]:
    """Only what is amiss: where we and Postfix must be able to write."""
    from postmask.store.engine import sqlite_path

    settings = runtime.settings
    places = {"spool": settings.spool.folder, "Postfix's queue": settings.sockets.directory.parent}
    database = sqlite_path(settings.database.url)
    if database is None:
        places["replica"] = settings.replica.directory
    else:
        places["database"] = database.parent
    for what, folder in places.items():
        if trouble := _disk_trouble(folder):
            yield Check("disk", False, f"{folder} ({what}) {trouble}", codes.DISK, what)


def _disk_trouble(folder: Path) -> str:
    """Why nothing can be written there, or soon; "" where it can. A folder that isn't there yet can wait."""
    try:
        disk = os.statvfs(folder)
    except FileNotFoundError:
        return ""
    if disk.f_flag & os.ST_RDONLY:
        return "is read-only"
    left = disk.f_bavail * disk.f_frsize
    if left < _LEAST_FREE:
        return f"has only {left / 1e6:.1f} MB left"
    if disk.f_files and not disk.f_favail:
        return "can take no more files"
    return ""


def _programs(runtime: Runtime) -> Iterator[Check]:
    for program in listening(runtime.settings.sockets):
        trouble = silence(program)
        what = f"{program.path}: {trouble}" if trouble else f"answers on {program.path}"
        yield Check(program.name, not trouble, what, codes.PROGRAM)


def _postfix(runtime: Runtime) -> Iterator[Check]:
    from postmask_postfix import sync

    directory = runtime.settings.postfix.config_dir
    if not postfix_facts.installed(directory):
        what = f"there is no Postfix in {directory}; see postfix.config_dir"
        yield Check("postfix", False, what, codes.POSTFIX)
        return
    attached = sync.attached(directory)
    what = "Postmask is attached" if attached else "Postmask isn't attached"
    yield Check("postfix", attached, f"{what} to the Postfix in {directory}", codes.NOT_ATTACHED)
    if attached:
        yield from Part("queue", _queue, codes.QUEUE).checks(runtime)
        yield from Part("held", _held, codes.HOLD_KEEP).checks(runtime)


def _queue(runtime: Runtime) -> Iterator[Check]:
    """What waits for the forwarder, and whether Postfix is about to return it."""
    from postmask_postfix import commands, lifetime, sync
    from postmask_postfix.queue import queued

    directory = runtime.settings.postfix.config_dir
    ours = sync.ours(directory)
    waiting = [
        message
        for message in queued(directory).values()
        if message.name != "hold" and any(map(ours.search, message.recipients))
    ]
    if not waiting:
        yield Check("queue", True, "no message waits for postmask-forwarder")
        return
    times = lifetime.Lifetime.of(commands.values(directory, *lifetime.PARAMETERS))
    oldest = min(waiting, key=lambda message: message.arrived + times.whole(message.sender))
    messages = counted(len(waiting), "message waits", "messages wait")
    what = f"{messages} for postmask-forwarder, the oldest since {moment(oldest.arrived)}"
    if runtime.clock.now() - oldest.arrived < times.ending(oldest.sender):
        yield Check("queue", True, what)
        return
    end = moment(oldest.arrived + times.whole(oldest.sender))
    yield Check(
        "queue",
        False,
        f"{what}: Postfix returns {oldest.queue_id} to its sender after {end}, unless postmask-forwarder "
        "takes it before; is it running?",
        codes.QUEUE_ENDING,
    )


def _secrets(runtime: Runtime) -> Iterator[Finding]:
    from postmask.cli.doctor import secrets

    yield from secrets.made(runtime)
    yield from secrets.fingerprints(runtime)


def _attachment(runtime: Runtime) -> Iterator[Finding]:
    from postmask.cli.postfix import attach_request
    from postmask_postfix import commands, sync
    from postmask_postfix.doctor import attachment, reading
    from postmask_postfix.doctor.codes import NOT_RUNNING

    directory = runtime.settings.postfix.config_dir
    if not postfix_facts.installed(directory) or not sync.attached(directory):
        return
    # postfix(1) speaks to root alone.
    if os.geteuid() == 0 and not commands.is_running(directory):
        yield NOT_RUNNING.at("postfix")
    else:
        yield from attachment.lint(reading.attachment(attach_request(runtime)))


def _amiss(part: str, look: Callable[[Runtime], Iterator[Finding]]) -> Callable[[Runtime], Iterator[Check]]:
    """Only what is amiss. Of secrets and database that can't be read their own parts tell."""

    def checks(runtime: Runtime) -> Iterator[Check]:
        from postmask.keys import KeyFileError
        from postmask.store.errors import StoreError

        with contextlib.suppress(KeyFileError, StoreError):
            for finding in look(runtime):
                if finding.code.severity is not Severity.NOTICE:
                    what = f"{finding.what.removesuffix('.')}. {finding.advice}"
                    yield Check(part, False, what, finding.code, finding.where)

    return checks


def _held(runtime: Runtime) -> Iterator[Check]:
    """Whether what is on hold can expire, where that is set."""
    from postmask.holding import keep_seconds
    from postmask_postfix.hold import HoldQueue

    setting = runtime.settings.hold.keep
    if setting is None:
        return
    try:
        keep_seconds(setting, HoldQueue(runtime.settings.postfix.config_dir).lifetime())
    except ValueError as error:
        yield Check("held", False, f"nothing expires: {error}", codes.HOLD_KEEP)


def _spam(runtime: Runtime) -> Iterator[Check]:
    from postmask.spam.bypass import Bypass
    from postmask.spam.opening import installed, probe

    folder = runtime.settings.spam.directory
    engines = installed(runtime.settings)
    if engines and not folder.is_dir():
        what = f"there is no folder {folder} for the switch and the programs' figures"
        what += "; make it for their user, or see spam.directory"
        yield Check("spam", False, what, codes.SPAM_FOLDER)
    for one in engines:
        found = probe(one, runtime.clock)
        what = f"answers in {found.milliseconds:.0f} ms" if found.answers else found.problem
        yield Check("spam", found.answers, f"{one.name} at {one.place}: {what}", codes.SPAM_ENGINE, one.name)
    if Bypass(folder, runtime.clock).in_force():
        what = "no engine is asked; to end that: postmask spam bypass off"
        yield Check("spam", False, what, codes.SPAM_BYPASS)


PARTS = (
    Part("keys", _keys, codes.KEYS),
    Part("database", _database, codes.DATABASE),
    Part("drain", _drain, codes.DRAINED),
    Part("replica", _replica, codes.REPLICA),
    Part("spool", _spool, codes.SPOOL),
    Part("disk", _disks, codes.DISK),
    Part("programs", _programs, codes.PROGRAM),
    Part("postfix", _postfix, codes.POSTFIX),
    Part("spam", _spam, codes.SPAM_ENGINE),
)
"""All that the doctor's group `node` looks at too, in the order in which things depend on each other."""

FINDINGS = (
    Part("keys", _amiss("keys", _secrets), codes.SECRETS),
    Part("postfix", _amiss("postfix", _attachment), codes.POSTFIX),
)
"""What are checks of the doctor's own."""
