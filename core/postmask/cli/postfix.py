"""`postmask postfix`: this node's Postfix, and what it knows of Postmask."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from postmask.cli import postfix_facts, postfix_sync
from postmask.cli.command import Noun
from postmask.cli.failure import CommandError, demand_root
from postmask.cli.output import Column, fields
from postmask.cli.runtime import Runtime

if TYPE_CHECKING:
    from postmask_postfix.attachment.attach import Request
    from postmask_postfix.settings import SettingsContext

_DIFFERENCES = (
    Column("setting", "SETTING"),
    Column("whose", "WHOSE"),
    Column("left", "AS ATTACHED", 60),
    Column("now", "NOW", 60),
)

_ROOTS_ALONE = "Postfix's configuration belongs to root"

_config_dir = click.option(
    "--config-dir",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="The folder of main.cf and master.cf, instead of postfix.config_dir: another instance, for example.",
)


@click.group(
    cls=Noun,
    examples=("postmask postfix diff", "postmask postfix attach", "postmask postfix detach"),
)
def postfix() -> None:
    """Attach Postmask to this node's Postfix, see what that changes, and take it away again.

    What is written and why is told by postmask-postfix(5).
    """


@postfix.command(
    "diff", examples=("postmask postfix diff", "postmask postfix diff --config-dir /etc/postfix-mx")
)
@_config_dir
@click.pass_obj
def diff(runtime: Runtime, config_dir: Path | None) -> None:
    """Show what attaching would change in main.cf and master.cf, as a unified diff. Nothing is changed."""
    _show_diff(runtime, config_dir)


@postfix.command("attach", examples=("postmask postfix attach --dry-run", "postmask postfix attach"))
@_config_dir
@click.option(
    "--dry-run", is_flag=True, help="Only show what would be changed, as postmask postfix diff does."
)
@click.pass_obj
def attach(runtime: Runtime, config_dir: Path | None, dry_run: bool) -> None:
    """Attach Postmask to a Postfix, running or not. Needs root.

    What is ours is added to main.cf and master.cf; all the rest keeps its place, comments too. Every table
    is asked before it is written. Afterwards each listener is talked to: if one doesn't answer as before,
    everything is put back. A second call changes nothing.

    What stands in the way is told, with the choice to make: exit status 69, and nothing is changed. Told is
    also soft_bounce, and a /proc in which the pipe client doesn't see Postfix (hidepid).
    """
    from postmask.cli.doctor import access
    from postmask_postfix import client
    from postmask_postfix.attachment.attach import attach as attach_now

    if dry_run:
        return _show_diff(runtime, config_dir)
    demand_root(_ROOTS_ALONE)
    request = attach_request(runtime, config_dir)
    try:
        client.install(runtime.settings.postfix.pipe_folder)
    except client.ClientError as error:
        raise CommandError(str(error), os.EX_UNAVAILABLE) from error
    done = attach_now(request)
    hidden = [f"{one.what}. {one.code.why} {one.advice}" for one in access.hidden(runtime)]
    told = {"config_dir": request.config_dir, "changed": done.changed, "notes": [*done.notes, *hidden]}
    if runtime.output.json:
        return runtime.output.record({**told, "domains": request.domains})
    runtime.output.say(
        f"Postmask is attached to the Postfix in {request.config_dir}"
        if done.changed
        else f"Postmask was attached to the Postfix in {request.config_dir} already; nothing is changed"
    )
    for note in (*done.notes, *hidden):
        runtime.output.say(note)
    return None


@postfix.command("sync", examples=("postmask postfix sync", "postmask postfix sync --dry-run"))
@_config_dir
@click.option("--dry-run", is_flag=True, help="Only show the domains that Postfix would be told of.")
@click.pass_obj
def sync(runtime: Runtime, config_dir: Path | None, dry_run: bool) -> None:
    """Tell Postfix which domains are ours, and wait until it works by that. Needs root.

    `postmask domain add` and `domain remove` do this themselves when root runs them. Each value is
    tried on Postfix's own tools before it is written; if anything fails the old settings stay. A domain that
    is new to this Postfix and one of the host's own, added on another node, is left to the host: exit
    status 69.
    """
    from postmask_postfix.sync import sync_domains

    if not dry_run:
        demand_root(_ROOTS_ALONE)
    directory = _directory(runtime, config_dir)
    names = list(postfix_sync.domain_names(runtime))
    changed = not dry_run and sync_domains(directory, names)
    if runtime.output.json:
        return runtime.output.record({"domains": names, "changed": changed, "dry_run": dry_run})
    if dry_run:
        runtime.output.say(f"Postfix in {directory} would take mail for these domains to Postmask:")
        for name in names:
            runtime.output.copy(name)
    else:
        runtime.output.say(
            f"Postfix in {directory} works by it" if changed else f"Postfix in {directory} knew it already"
        )
    return None


@postfix.command("status", examples=("postmask postfix status", "postmask postfix status --json"))
@_config_dir
@click.pass_obj
@click.pass_context
def status(ctx: click.Context, runtime: Runtime, config_dir: Path | None) -> None:
    """Tell whether Postmask is attached, and what was changed since: which setting, and whose it is.

    Exit status 0 if it is attached and nothing was changed by hand, 69 otherwise. A change of the site's own
    settings does no harm; `postmask postfix attach` takes it for the new starting point. As root it first
    makes good an attach or detach that was interrupted.
    """
    from postmask_postfix.attachment.detach import Standing
    from postmask_postfix.attachment.detach import status as found_status

    directory = _directory(runtime, config_dir)
    found = found_status(directory)
    if runtime.output.json:
        runtime.output.record({"config_dir": directory, **fields(found)})
    else:
        runtime.output.say(f"Postfix in {directory}: {found.standing}")
        if not found.recorded:
            runtime.output.say("there is no record of it; run postmask postfix attach to have one")
        if found.note:
            runtime.output.say(found.note)
        if found.differences:
            runtime.output.table(found.differences, _DIFFERENCES, empty="")
    if found.standing is not Standing.ATTACHED:
        ctx.exit(os.EX_UNAVAILABLE)


@postfix.command("detach", examples=("postmask postfix detach --dry-run", "postmask postfix detach"))
@_config_dir
@click.option("--dry-run", is_flag=True, help="Only show what would be changed, as a unified diff.")
@click.pass_obj
def detach(runtime: Runtime, config_dir: Path | None, dry_run: bool) -> None:
    """Take Postmask away from a Postfix. Needs root.

    If nothing else was changed since attaching, main.cf and master.cf are byte for byte what they were.
    Otherwise exactly our own parts are removed, and what stays is told. Let the queue run empty first: mail
    for our domains that still lies there is no longer ours then (postqueue -p).
    """
    from postmask_postfix.attachment.detach import detach as detach_now

    demand_root(_ROOTS_ALONE)
    directory = _directory(runtime, config_dir)
    done = detach_now(directory, dry_run=dry_run)
    if runtime.output.json:
        return runtime.output.record({"config_dir": directory, "dry_run": dry_run, **fields(done)})
    if dry_run:
        return _print_diff(runtime, done.diff)
    if not done.changed:
        return runtime.output.say(done.note or f"Postmask isn't attached to the Postfix in {directory}")
    runtime.output.say(f"Postmask is detached from the Postfix in {directory}")
    if done.identical:
        return runtime.output.say("main.cf and master.cf are byte for byte what they were before attaching")
    if not done.left:
        return runtime.output.say("only what was Postmask's is taken away; all else stays as it is")
    runtime.output.say("only what was Postmask's is taken away; this was changed since attaching, and stays:")
    runtime.output.table(done.left, _DIFFERENCES, empty="")
    return None


@postfix.command(
    "render", examples=("postmask postfix render", "postmask postfix render --door lmtp --commands")
)
@click.option("--door", type=click.Choice(["pipe", "lmtp"]), help="The door, instead of postfix.door.")
@click.option("--commands", is_flag=True, help="As postconf commands for a shell, instead of lines.")
@click.pass_obj
def render(runtime: Runtime, door: str | None, commands: bool) -> None:
    """Print the settings that Postmask wants, for those who attach by other means.

    They are for this node's Postfix, its message_size_limit and its queue directory; where there is none,
    for one that has the defaults. Our domains are not among them; postmask postfix sync writes those.
    """
    from postmask_postfix.attachment import attach, printing, site

    context, directory = _context(runtime, door), runtime.settings.postfix.config_dir
    if postfix_facts.installed(directory):
        request = attach.Request(directory, context, runtime.settings.sockets.directory, ())
        context = attach.context_on(request, site.read(directory))
    lines = list(printing.commands(context) if commands else printing.lines(context))
    if runtime.output.json:
        return runtime.output.record({"door": context.door, "lines": lines})
    for line in lines:
        runtime.output.copy(line)
    return None


def _directory(runtime: Runtime, config_dir: Path | None) -> Path:
    directory = config_dir.absolute() if config_dir else runtime.settings.postfix.config_dir
    postfix_facts.demand(directory)
    return directory


def _context(runtime: Runtime, door: str | None = None) -> SettingsContext:
    from postmask_postfix import client
    from postmask_postfix import render as rendering
    from postmask_postfix.settings import SettingsContext

    settings = runtime.settings.postfix
    return SettingsContext(
        door=door or settings.door,
        pipe_argv=rendering.pipe_argv(str(settings.pipe_folder)),
        pipe_user=settings.pipe_user,
        pipe_processes=client.processes(),
        scan_budget=runtime.settings.spam.budget,
    )


def attach_request(runtime: Runtime, config_dir: Path | None = None) -> Request:
    """What attaching takes. Raises ConfigError, StoreError, CommandError."""
    from postmask_postfix.attachment.attach import Request

    return Request(
        _directory(runtime, config_dir),
        _context(runtime),
        runtime.settings.sockets.directory,
        postfix_sync.domain_names(runtime),
    )


def _show_diff(runtime: Runtime, config_dir: Path | None) -> None:
    from postmask_postfix.attachment.attach import preview

    request = attach_request(runtime, config_dir)
    text = preview(request)
    if runtime.output.json:
        return runtime.output.record({"config_dir": request.config_dir, "diff": text})
    return _print_diff(runtime, text)


def _print_diff(runtime: Runtime, text: str) -> None:
    if not text:
        return runtime.output.say("nothing would be changed")
    for line in text.splitlines():
        runtime.output.copy(line)
    return None
