"""Postfix's log and our ledger, for the commands that account for messages.

DIAGNOSTICS
    LogError: no log. CommandError (78) where Postfix writes addresses so that a stranger's could pass for
    the rest of a line, or the log doesn't tell its daemons apart, and (69) when one of its commands fails.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import click

from postmask.cli import postfix_facts
from postmask.cli.failure import CommandError
from postmask.cli.runtime import Runtime
from postmask.maillog import sources
from postmask.maillog.lines import Line, LineReader
from postmask.spool import LedgerRow, Spool
from postmask_postfix import commands, processes

log_option = click.option(
    "--log",
    "named",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Postfix's log; may be given again. Otherwise it is looked for where Postfix says, in "
    "/var/log/mail.log (rotated ones too) while syslog writes it, or in the journal.",
)


_FORMAT = "info_log_address_format"
_RFC_5424 = "<22>1 "
"""What a line of the mail system begins with in that form (facility mail, severity info)."""
_NAMELESS = (
    "the log is in RFC 5424's form, in which rsyslog leaves out which of Postfix's daemons said it; have it "
    "written as by default (RSYSLOG_FileFormat); until then, where there is a journal: "
    "journalctl -o short-iso-precise SYSLOG_FACILITY=2 > FILE, and --log FILE"
)


@dataclass(frozen=True, slots=True)
class PostfixLog:
    """config_dir: the Postfix's. named: the files that were given, if any."""

    runtime: Runtime
    config_dir: Path
    named: Sequence[Path]

    def lines(self, since: float, *, ours: bool = False) -> Iterator[Line]:
        """What was said since then; ours: by our programs too, which may come last."""
        facts = commands.values(self.config_dir, "maillog_file", "syslog_name", _FORMAT)
        if facts[_FORMAT] != "external":
            raise CommandError(
                f"this Postfix logs addresses in the {facts[_FORMAT]} form, in which a sender can write what "
                f"looks like the rest of a line; set it: postconf -e {_FORMAT}=external",
                os.EX_CONFIG,
            )
        reader = LineReader(facts["syslog_name"], self.runtime.clock.now())
        understood = False
        nameless = False
        for text in sources.read(self.named, facts["maillog_file"], since, ours=ours):
            line = reader.read(text)
            if line is not None:
                understood = understood or line.service != ""
                yield line
            elif text.startswith(_RFC_5424):
                nameless = True
        if nameless and not understood:
            raise CommandError(_NAMELESS, os.EX_CONFIG)


def open_log(runtime: Runtime, named: Sequence[Path]) -> PostfixLog:
    """The log of this node's Postfix. Raises CommandError if there is none here."""
    config_dir = runtime.settings.postfix.config_dir
    postfix_facts.demand(config_dir)
    _take_zone(config_dir)
    return PostfixLog(runtime, config_dir, named)


def _take_zone(config_dir: Path) -> None:
    """Local time is from now on that of the running Postfix, as its log's is; the operator may have a TZ."""
    master = processes.master(commands.queue_directory(config_dir))
    known = processes.environment(master) if master else None
    if known is not None:
        os.environ.pop("TZ", None)
        os.environ.update({name: value for name, value in known.items() if name == "TZ"})
        time.tzset()


def ledger(runtime: Runtime) -> Iterator[LedgerRow]:
    """The node's ledger, row by row; none where there is no spool yet. Raises SpoolError."""
    path = runtime.settings.spool.path
    if path.exists():
        with closing(Spool(path, runtime.clock)) as spool:
            yield from spool.ledger()
