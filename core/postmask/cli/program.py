"""The root of the command tree. Nouns are loaded when they are used."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import select
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

import click

from postmask import __version__
from postmask.cli import failure
from postmask.cli.command import Noun, runtime
from postmask.cli.failure import CommandError

NOUNS: Mapping[str, str] = MappingProxyType(
    {
        "account": "postmask.cli.account",
        "domain": "postmask.cli.domain",
        "mailbox": "postmask.cli.mailbox",
        "alias": "postmask.cli.alias",
        "contact": "postmask.cli.contact",
        "block": "postmask.cli.block",
        "event": "postmask.cli.event",
        "resolve": "postmask.cli.resolve",
        "status": "postmask.cli.status",
        "doctor": "postmask.cli.doctor.command",
        "node": "postmask.cli.node",
        "reconcile": "postmask.cli.reconcile",
        "trace": "postmask.cli.trace",
        "held": "postmask.cli.held",
        "spam": "postmask.cli.spam",
        "config": "postmask.cli.config",
        "keys": "postmask.cli.keys",
        "db": "postmask.cli.db",
        "system": "postmask.cli.system",
        "postfix": "postmask.cli.postfix",
        "lab": "postmask.cli.lab",
        "completion": "postmask.cli.completion",
    }
)
"""Each module holds one click command under the noun's name."""


class Program(Noun):
    """Loads a noun's module on first use, and turns exceptions into messages and exit statuses."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The nouns, in the order in which one meets them."""
        return list(NOUNS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The noun's command, or None for an unknown noun."""
        module = NOUNS.get(cmd_name)
        if module is None:
            return None
        command = getattr(importlib.import_module(module), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb, and let go of what the runtime holds."""
        try:
            with runtime(ctx):
                return super().invoke(ctx)
        except BrokenPipeError as error:
            if _reader_gone():
                raise
            raise CommandError("a connection broke off; try again", os.EX_TEMPFAIL) from error

    def main(self, *args: Any, **options: Any) -> NoReturn:
        """Run, and exit with a status of sysexits.h."""
        options["standalone_mode"] = False
        if sys.stdin is None:  # whoever called has closed it
            sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 - as long as the program lives
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # what the locale's charset lacks is escaped
                stream.reconfigure(errors="backslashreplace")
        try:
            status = super().main(*args, **options)
        except SystemExit as end:
            # By click itself, after EPIPE and after a completion. Who reads no more has seen enough.
            status = 0 if _reader_gone() else end.code
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - never a traceback for the user
            status = failure.status_of(error)
            with contextlib.suppress(OSError):  # nobody reads it, or nothing more can be written
                failure.report(error)
        if _reader_gone():
            # Or Python would complain of it when it flushes for the last time.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(status if isinstance(status, int) else 0)


def _reader_gone() -> bool:
    """Whether standard output is a pipe that nobody reads any more."""
    poller = select.poll()
    poller.register(1, select.POLLOUT)
    return any(state & select.POLLERR for _, state in poller.poll(0))


@click.group(
    cls=Program,
    examples=(
        "postmask domain add alias.example.com --postmaster me@example.com",
        "postmask alias list --json",
    ),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="postmask", message="%(prog)s %(version)s")
def program() -> None:
    """Look after an e-mail alias service: its domains, mailboxes, aliases and contacts.

    Mail to an alias reaches the mailboxes behind it; a reply goes back through the alias. Each noun
    has verbs, each verb has --help with an example.
    """
