"""What all commands have in common: examples in their help, and --json and --config at every place."""

from __future__ import annotations

import enum
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from postmask.cli.runtime import Runtime

_OCTET = re.compile("[\udc80-\udcff]")
"""An argument's octet that isn't UTF-8, as Python passes it on (PEP 383)."""


_SENTENCE = 500
"""Characters. Longer than any of ours."""


class _WithCommonOptions(click.Command):
    """Takes --json and --config, before or after the noun and the verb, and shows examples."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.examples = tuple(examples)
        self.params += _common_options()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuses texts that aren't UTF-8, which no database takes; names of files may be anything."""
        rest = super().parse_args(ctx, args)
        for parameter in self.params:
            if isinstance(parameter.type, click.types.StringParamType):
                value = ctx.params.get(parameter.name or "")
                texts = value if isinstance(value, tuple) else (value,)
                if any(isinstance(text, str) and _OCTET.search(text) for text in texts):
                    raise click.BadParameter("isn't UTF-8", ctx, parameter)
        return rest

    def get_short_help_str(self, limit: int = 45) -> str:  # noqa: ARG002 - click's signature
        """The first sentence, whole: in a list of commands it goes on on the next line."""
        return super().get_short_help_str(_SENTENCE)

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


class Count(click.IntRange):
    """An option's type: how many. What is more than any database counts is as much as it does."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number."""
        return min(super().convert(value, param, ctx), sys.maxsize)


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
            type=click.Path(dir_okay=False, readable=False, path_type=Path),
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
