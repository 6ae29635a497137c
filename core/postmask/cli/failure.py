"""What is said, and with which status the program ends, when a command fails.

DIAGNOSTICS
    Exit statuses are those of sysexits.h, see MEANINGS.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import click

from postmask.display import printable

INTERRUPTED = 130

MEANINGS: Mapping[int, str] = MappingProxyType(
    {
        os.EX_OK: "Done. From doctor: no errors and no warnings.",
        1: "From doctor: warnings, but no errors.",
        2: "From doctor: errors.",
        os.EX_USAGE: "The command line is wrong: an unknown option, a missing argument.",
        os.EX_DATAERR: "What was given is wrong or against a rule: a bad address, a duplicate, still in use. "
        "From domain verify: records are missing or different. From reconcile: a message has no outcome.",
        os.EX_NOINPUT: "A file that was named can't be read.",
        os.EX_NOUSER: "There is no such account, domain, mailbox, alias, contact, block, node or message.",
        os.EX_UNAVAILABLE: "The database, Postfix or another service isn't available. "
        "From status, db status, lab status, postfix status and spam status: something is amiss. "
        "From spam check: no engine has judged. From held report: one of them didn't take it.",
        os.EX_SOFTWARE: "A fault of Postmask's own; POSTMASK_DEBUG=1 shows where.",
        os.EX_CANTCREAT: "A file can't be made.",
        os.EX_IOERR: "Reading or writing a file failed.",
        os.EX_TEMPFAIL: "Not now, because the database is being moved, say; try again later. "
        "From node drain: its queue still holds mail of ours. From held release and held expire: some of it "
        "stays on hold. From resolve and domain verify: it can't be told now.",
        os.EX_NOPERM: "Permission denied.",
        os.EX_CONFIG: "The configuration or the file of keys is wrong.",
        INTERRUPTED: "Interrupted, by Ctrl-C, SIGTERM or SIGHUP (a lost terminal).",
    }
)
"""What each exit status means; for the manual page."""

_LINE = 4000

STATUSES: Mapping[str, int] = MappingProxyType(
    {
        "postmask.address.AddressError": os.EX_DATAERR,
        "postmask.config.ConfigError": os.EX_CONFIG,
        "postmask.keys.KeyFileError": os.EX_CONFIG,
        "postmask.spool.entries.SpoolError": os.EX_IOERR,
        "postmask.store.errors.NoFile": os.EX_NOINPUT,
        "postmask.store.errors.NotFound": os.EX_NOUSER,
        "postmask.store.errors.Unwritable": os.EX_CANTCREAT,
        "postmask.store.errors.BeingMoved": os.EX_TEMPFAIL,
        "postmask.store.errors.StoreUnavailable": os.EX_UNAVAILABLE,
        "postmask.store.errors.StoreError": os.EX_DATAERR,
        "postmask_postfix.hold.Gone": os.EX_NOUSER,
        "postmask_postfix.commands.PostfixError": os.EX_UNAVAILABLE,
    }
)
"""Exceptions by their full names, so that nothing has to be imported to know them."""


class CommandError(Exception):
    """A command can't do what it was asked. details: more lines, shown indented below the message."""

    def __init__(self, message: str, exit_code: int, details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.details = tuple(details)


def demand_root(why: str) -> None:
    """Raises CommandError (77) for anybody else. why: what is root's, a clause."""
    if os.geteuid() != 0:
        raise CommandError(f"{why}: run this as root", os.EX_NOPERM)


def report(error: BaseException) -> None:
    """Say on standard error what went wrong."""
    if "POSTMASK_DEBUG" in os.environ and not isinstance(error, click.ClickException | click.Abort):
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    if isinstance(error, click.Abort | KeyboardInterrupt):
        click.echo("postmask: interrupted", err=True)
    elif isinstance(error, click.UsageError):
        error.show()
    elif isinstance(error, click.ClickException):
        _say(error.format_message())
    elif status_of(error) == os.EX_SOFTWARE:
        _say(f"a fault of Postmask's own: {type(error).__name__}: {error}")
        _say("run the command again with POSTMASK_DEBUG=1 set to see where, and report it")
    else:
        _say(*_worded(error).splitlines())
        for detail in getattr(error, "details", getattr(error, "dependents", ())):
            click.echo(f"    {printable(detail, _LINE, sentence=True)}", err=True)


def status_of(error: BaseException) -> int:
    """The exit status for an exception: its own `exit_code`, or the table's; 70 for what nobody foresaw."""
    match error:
        case click.Abort() | KeyboardInterrupt():
            return INTERRUPTED
        case click.UsageError():
            return os.EX_USAGE
        case click.FileError():
            return os.EX_NOINPUT
    carried = getattr(error, "exit_code", None)
    if isinstance(carried, int):
        return carried
    for kind in type(error).__mro__:
        status = STATUSES.get(f"{kind.__module__}.{kind.__qualname__}")
        if status is not None:
            return status
    match error:
        case PermissionError():
            return os.EX_NOPERM
        case FileNotFoundError():
            return os.EX_NOINPUT
        case ConnectionError() | TimeoutError():
            return os.EX_UNAVAILABLE
        case OSError():
            return os.EX_IOERR
        case _:
            return os.EX_SOFTWARE


def _worded(error: BaseException) -> str:
    """The message; of what the system says about a file, the file first, and no number."""
    if isinstance(error, OSError) and error.strerror is not None:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return str(error)


def _say(*lines: str) -> None:
    for number, line in enumerate(lines):
        lead = "postmask: " if number == 0 else "    "
        click.echo(lead + printable(line, _LINE, sentence=True), err=True)
