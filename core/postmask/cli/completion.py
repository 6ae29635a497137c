"""`postmask completion`: what a shell needs to complete our command lines."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from postmask.cli.command import Command, runtime

SHELLS = ("bash", "zsh", "fish")


@click.command(
    cls=Command,
    examples=(
        "postmask completion bash > /etc/bash_completion.d/postmask",
        "postmask completion zsh > /usr/local/share/zsh/site-functions/_postmask",
        "postmask completion fish > ~/.config/fish/completions/postmask.fish",
    ),
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for bash, zsh or fish."""
    kind = get_completion_class(shell)
    assert kind is not None
    completer = kind(ctx.find_root().command, {}, "postmask", "_POSTMASK_COMPLETE")
    script = completer.source_template % completer.source_vars()
    output = runtime(ctx).output
    if output.json:
        return output.record({"shell": shell, "script": script})
    return click.echo(script)
