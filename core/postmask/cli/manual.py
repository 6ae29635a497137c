"""The manual page postmask(1), written from the command tree.

python3 -m postmask.cli.manual > docs/man/postmask.1
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from postmask.cli.command import Command, Noun
from postmask.cli.failure import MEANINGS
from postmask.cli.program import program
from postmask.roff import example, tagged, text

_COMMON = frozenset({"json", "config", "version"})


def page() -> str:
    """The whole page."""
    root = click.Context(program, info_name="postmask")
    lines = [
        '.\\" Written from the command tree: python3 -m postmask.cli.manual',
        '.TH POSTMASK 1 "" Postmask "Postmask manual"',
        ".SH NAME",
        text("postmask - look after an e-mail alias service"),
        ".SH SYNOPSIS",
        ".B postmask",
        text("[--json] [--config FILE] NOUN [VERB] [ARGUMENTS] [OPTIONS]"),
        ".SH DESCRIPTION",
        *_paragraphs(program.help),
        ".SH OPTIONS",
        text("These stand before or after noun and verb."),
        *_options(program, root, common=True),
        *tagged("-h, --help", ["Show help on the program, a noun or a verb, and exit."]),
        ".SH COMMANDS",
        *_commands(program, root),
        ".SH EXIT STATUS",
        *(line for status, meaning in MEANINGS.items() for line in tagged(str(status), [meaning])),
        ".SH ENVIRONMENT",
        *tagged("POSTMASK_CONFIG", ["The configuration file, where --config names none."]),
        *tagged("POSTMASK_DEBUG", ["If set, an error shows where in the program it came up."]),
        ".SH FILES",
        *tagged("/etc/postmask/postmask.toml", ["The configuration, see postmask.toml(5)."]),
        ".SH SEE ALSO",
        ".BR postmask.toml (5),",
        ".BR postmask-postfix (5),",
        ".BR postmask-doctor (7),",
        ".BR postfix (1),",
        ".BR sysexits (3)",
    ]
    return "\n".join(lines) + "\n"


def _commands(group: click.Group, ctx: click.Context) -> Iterator[str]:
    """Every verb below a group, and every noun without verbs, with all there is to know."""
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        child = click.Context(command, parent=ctx, info_name=name)
        yield f".SS {text(' '.join([child.command_path, *_arguments(command, child)]))}"
        yield from _paragraphs(command.help)
        yield from _options(command, child, common=False)
        if isinstance(command, click.Group):
            yield from _commands(command, child)
        elif isinstance(command, Command | Noun):
            yield ".PP"
            yield from example(command.examples)


def _arguments(command: click.Command, ctx: click.Context) -> Iterator[str]:
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            yield parameter.make_metavar(ctx)


def _options(command: click.Command, ctx: click.Context, *, common: bool) -> Iterator[str]:
    for parameter in command.params:
        if isinstance(parameter, click.Option) and (parameter.name in _COMMON) is common:
            record = parameter.get_help_record(ctx)
            assert record is not None
            names, words = record
            yield from tagged(names, [" ".join(words.split())])


def _paragraphs(words: str | None) -> Iterator[str]:
    """Help as the docstring has it: paragraphs with empty lines between them."""
    for number, paragraph in enumerate((words or "").split("\n\n")):
        if number:
            yield ".PP"
        yield text(" ".join(paragraph.split()))


if __name__ == "__main__":
    sys.stdout.write(page())
