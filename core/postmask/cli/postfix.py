"""`postmask postfix`: what this node's Postfix knows of our domains."""

from __future__ import annotations

import click

from postmask.cli import postfix_sync
from postmask.cli.command import Noun
from postmask.cli.runtime import Runtime


@click.group(cls=Noun, examples=("postmask postfix sync --dry-run", "postmask postfix sync"))
def postfix() -> None:
    """This node's Postfix, once Postmask is attached to it."""


@postfix.command("sync", examples=("postmask postfix sync", "postmask postfix sync --dry-run"))
@click.option("--dry-run", is_flag=True, help="Only show the domains that Postfix would be told of.")
@click.pass_obj
def sync(runtime: Runtime, dry_run: bool) -> None:
    """Tell Postfix which domains are ours, and wait until it works by that. Needs root.

    `postmask domain add` and `domain remove` do this themselves when root runs them. Each value is
    tried on Postfix's own tools before it is written; if anything fails the old settings stay.
    """
    from postmask_postfix.sync import sync_domains

    directory = runtime.settings.postfix.config_dir
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
