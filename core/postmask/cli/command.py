"""What all commands have in common: examples in their help, and --json and --config at every place."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from postmask.cli.runtime import Runtime


class _WithCommonOptions(click.Command):
    """Takes --json and --config, before or after the noun and the verb, and shows examples."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.examples = tuple(examples)
        self.params += _common_options()

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, each on one line that can be copied."""
        if self.examples:
            with formatter.section("Examples" if len(self.examples) > 1 else "Example"):
                for example in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{example}\n")
        super().format_epilog(ctx, formatter)


class Command(_WithCommonOptions):
    """A verb, or a noun without verbs."""


class Noun(_WithCommonOptions, click.Group):
    """A noun with its verbs, in the order in which they were written."""

    command_class = Command

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The verbs."""
        return list(self.commands)


account_option = click.option(
    "--account", metavar="NAME", help="The account; needed only where there are several."
)


def choice(words: type[enum.StrEnum], *more: str) -> click.Choice[str]:
    """An option's type: the values of an enumeration (click itself would take their names)."""
    return click.Choice([*(word.value for word in words), *more])


def runtime(ctx: click.Context) -> Runtime:
    """The one Runtime of this call."""
    return ctx.find_root().ensure_object(Runtime)


def _common_options() -> list[click.Parameter]:
    return [
        click.Option(
            ["--json"],
            is_flag=True,
            expose_value=False,
            callback=_json_wanted,
            help="Print one JSON document instead of text for people.",
        ),
        click.Option(
            ["--config", "-c"],
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE",
            expose_value=False,
            callback=_config_named,
            help="The configuration file, instead of POSTMASK_CONFIG or /etc/postmask/postmask.toml.",
        ),
    ]


def _json_wanted(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:  # noqa: ARG001 - click's signature
    if value:
        runtime(ctx).output.json = True


def _config_named(ctx: click.Context, parameter: click.Parameter, value: Path | None) -> None:  # noqa: ARG001 - click's signature
    if value is not None:
        runtime(ctx).config_file = value
