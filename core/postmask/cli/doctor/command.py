"""`postmask doctor`: what is wrong with this node, its Postfix, its host and the DNS; why, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

import click

from postmask.cli.command import Command
from postmask.cli.doctor import send as sending
from postmask.cli.doctor.groups import GROUPS
from postmask.cli.doctor.surroundings import Surroundings, load
from postmask.cli.output import counted
from postmask.cli.runtime import Runtime
from postmask.config import ConfigError
from postmask.doctor import memory, node
from postmask.doctor.examination import Examined, examine
from postmask.doctor.finding import Finding, Severity
from postmask.doctor.memory import Changes, Known
from postmask.nodefile import NodeFile

_FILE = "doctor.json"
_STATUSES = {Severity.ERROR: 2, Severity.WARNING: 1, Severity.NOTICE: 0}


@click.command(
    cls=Command,
    examples=(
        "postmask doctor",
        "postmask doctor --changes",
        "postmask doctor --only node --json",
        "postmask doctor --only send --send",
        "postmask doctor --send shop@alias.example.com",
    ),
)
@click.option(
    "--only",
    "names",
    type=click.Choice([group.name for group in (*GROUPS, sending.GROUP)]),
    multiple=True,
    help="Look at this group alone; may be given several times.",
)
@click.option(
    "--send",
    "alias",
    is_flag=False,
    flag_value="",
    default=None,
    metavar="[ALIAS]",
    help="Send a message all the way through: to the mailboxes of this alias, or without one to an alias "
    "that is made for it, to nobody. Needs root.",
)
@click.option(
    "--changes",
    is_flag=True,
    help="Print only what differs from the last run: what is new, and what is gone.",
)
@click.pass_obj
@click.pass_context
def doctor(
    ctx: click.Context, runtime: Runtime, names: tuple[str, ...], alias: str | None, changes: bool
) -> None:
    """Look for everything that can be wrong, and say why it matters and what to do. Best run as root.

    Exit status 0 if there is nothing, 1 for warnings, 2 for errors, also with --changes, by all that is
    there; notices change nothing. Each finding has a code that stays the same, see postmask-doctor(7). What
    was found is remembered beside the spool (spool.path), in doctor.json, for --changes.

    With --send a message is handed in at Postfix's front door, and followed until its copy is at the other
    end. Whatever was made for it is taken away again, and what of it still lies in the queue is deleted; the
    ledger and the log keep their record. Without it no message is sent.
    """
    try:
        folder = runtime.settings.spool.folder
    except ConfigError as trouble:
        found = [Examined("node", (node.SETTINGS.at("configuration", str(trouble)),), complete=False)]
        _show(runtime, found)
        ctx.exit(_status(found))
    if "send" in names and alias is None:
        raise click.UsageError("--only send sends a message: say so with --send, or --send ALIAS")
    groups = [group for group in GROUPS if not names or group.name in names]
    if alias is not None:
        groups.append(sending.group(alias))
    load()
    found = examine(groups, Surroundings(runtime))
    news = _remembered(runtime, NodeFile(folder, _FILE, most=memory.LARGEST), found)
    if changes:
        _show_changes(runtime, news)
    else:
        _show(runtime, found)
    ctx.exit(_status(found))


def _remembered(runtime: Runtime, file: NodeFile, found: Sequence[Examined]) -> Changes:
    """What differs from the last run; this one is remembered."""
    news = memory.compare(memory.read(file), found)
    try:
        memory.write(file, news.known)
    except OSError as trouble:
        runtime.output.warn(
            f"{file.path}: {trouble.strerror}; the next run can't tell what differs from this one"
        )
    return news


def _status(found: Iterable[Examined]) -> int:
    return max((_STATUSES[finding.code.severity] for one in found for finding in one.findings), default=0)


def _show(runtime: Runtime, found: Sequence[Examined]) -> None:
    if runtime.output.json:
        return runtime.output.record(_document(found))
    for one in found:
        for finding in one.findings:
            _say(runtime, finding)
    return runtime.output.say(f"{_counted(found)} ({', '.join(one.group for one in found)})")


def _show_changes(runtime: Runtime, news: Changes) -> None:
    """Without news nothing is printed, so that a cron job's mail is about something."""
    if runtime.output.json:
        return runtime.output.record(
            {**_document(news.new), "gone": [_plain_known(one) for one in news.gone]}
        )
    for one in news.new:
        for finding in one.findings:
            _say(runtime, finding)
    for gone in news.gone:
        runtime.output.say(f"gone: {gone.code} {gone.where}: {gone.what}")
    return None


def _say(runtime: Runtime, finding: Finding) -> None:
    code = finding.code
    runtime.output.say(f"{code.id} {code.severity}: {finding.where}: {finding.what}")
    runtime.output.say(f"    {code.why}")
    runtime.output.say(f"    -> {finding.advice}")


def _counted(found: Iterable[Examined]) -> str:
    severities = [finding.code.severity for one in found for finding in one.findings]
    counts = [(severities.count(severity), severity) for severity in Severity]
    said = ", ".join(counted(count, word, f"{word}s") for count, word in counts if count)
    return said or "nothing is wrong"


def _document(found: Sequence[Examined]) -> dict[str, object]:
    findings = list(
        chain.from_iterable(([_plain(one.group, item) for item in one.findings]) for one in found)
    )
    return {"groups": [one.group for one in found], "findings": findings}


def _plain(group: str, finding: Finding) -> dict[str, object]:
    code = finding.code
    return {
        "group": group,
        "code": code.id,
        "severity": code.severity,
        "where": finding.where,
        "what": finding.what,
        "why": code.why,
        "next": finding.advice,
    }


def _plain_known(known: Known) -> dict[str, object]:
    return {"group": known.group, "code": known.code, "where": known.where, "what": known.what}
