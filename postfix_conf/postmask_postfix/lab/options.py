"""A lab's options: what may be asked for, and what was asked for when the lab was made.

DIAGNOSTICS
    LabError 64 for an option that can't be, or that differs from what the lab was made with.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from postmask.address import AddressError, parse_domain
from postmask_postfix.lab.errors import LabError

PROGRAMS = ("sink", "milter-alias", "milter-scan", "forwarder", "agent")
REPLACEABLE = (*PROGRAMS, "pipe")
DOORS = ("pipe", "lmtp")


@dataclass(frozen=True, slots=True)
class LabOptions:
    """What `postmask lab up` takes. None: not said, so the default, or as the lab was made.

    directory:  the lab's folder.
    database:   owner's URL of a Postgres database; None for SQLite in the folder.
    node:       the node's name where several labs share a database; "lab" by default.
    keys:       file of master secrets that is copied, another lab's; None for new ones.
    door:       "pipe" (default) or "lmtp".
    smtp:       port of the SMTP listener on 127.0.0.1; by default a free one.
    sink:       "HOST:PORT" that takes all outgoing mail; None for a sink of the lab's own.
    spamd, rspamd: "HOST:PORT" of engines that judge mail, asked in this order; None for neither.
    nameserver: "HOST:PORT" that our programs ask instead of the system's resolvers.
    programs:   program → command that replaces it, as a shell would split it (fault tests). It finds the
                configuration's path in POSTMASK_CONFIG; `pipe` gets our words after its own.
    """

    directory: Path
    database: str | None = None
    node: str | None = None
    keys: Path | None = None
    door: str | None = None
    smtp: int | None = None
    sink: str | None = None
    nameserver: str | None = None
    spamd: str | None = None
    rspamd: str | None = None
    programs: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.door is not None and self.door not in DOORS:
            raise _usage(f"--door is pipe or lmtp, not {self.door!r}")
        if self.smtp is not None and not 1 <= self.smtp <= 65535:
            raise _usage(f"--smtp is a port from 1 to 65535, not {self.smtp}")
        if self.node is not None:
            _check_node(self.node)
        endpoints = (
            ("--sink", self.sink),
            ("--nameserver", self.nameserver),
            ("--spamd", self.spamd),
            ("--rspamd", self.rspamd),
        )
        for name, value in endpoints:
            if value is not None:
                endpoint(name, value)
        for program, command in self.programs.items():
            if program not in REPLACEABLE:
                raise _usage(f"--exec knows {', '.join(REPLACEABLE)}, not {program!r}")
            if not words(command):
                raise _usage(f"--exec {program}= needs a command")


def _check_node(name: str) -> None:
    try:
        parse_domain(name)
    except AddressError as error:
        raise _usage(f"--node is a host's name: {error}") from error


def endpoint(name: str, value: str) -> tuple[str, int]:
    """(host, port) of "HOST:PORT"."""
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise _usage(f"{name} is HOST:PORT, not {value!r}")
    return host.strip("[]"), int(port)


def words(command: str) -> list[str]:
    """A command's words, as a shell splits them."""
    try:
        return shlex.split(command)
    except ValueError as error:
        raise _usage(f"{command!r} is no command: {error}") from error


@dataclass(frozen=True, slots=True)
class Made:
    """What is remembered of a lab: its options and ports. sink_port: 0 without a sink of its own."""

    options: LabOptions
    smtp_port: int
    sink_port: int

    @property
    def door(self) -> str:
        return self.options.door or DOORS[0]

    @property
    def node(self) -> str:
        return self.options.node or "lab"

    @property
    def relay(self) -> str:
        """Where Postfix sends all outgoing mail, "HOST:PORT"."""
        return self.options.sink or f"127.0.0.1:{self.sink_port}"

    def to_json(self) -> str:
        """As lab.json holds it."""
        options = self.options
        record: dict[str, Any] = {
            "database": options.database,
            "node": self.node,
            "keys": str(options.keys) if options.keys else None,
            "door": self.door,
            "smtp": options.smtp,
            "sink": options.sink,
            "nameserver": options.nameserver,
            "spamd": options.spamd,
            "rspamd": options.rspamd,
            "exec": dict(options.programs),
            "smtp_port": self.smtp_port,
            "sink_port": self.sink_port,
        }
        return json.dumps(record, indent=1) + "\n"

    @classmethod
    def from_json(cls, directory: Path, text: str) -> Made:
        """Read lab.json; LabError 78 (EX_CONFIG) when it is damaged."""
        try:
            record = json.loads(text)
            options = LabOptions(
                directory,
                database=record["database"],
                node=record["node"],
                keys=Path(record["keys"]) if record["keys"] else None,
                door=record["door"],
                smtp=record["smtp"],
                sink=record["sink"],
                nameserver=record["nameserver"],
                spamd=record["spamd"],
                rspamd=record["rspamd"],
                programs=record["exec"],
            )
            return cls(options, int(record["smtp_port"]), int(record["sink_port"]))
        except (ValueError, KeyError, TypeError) as error:
            raise LabError(
                f"{directory}/lab.json is damaged ({error!r}); remove the folder, make a new lab",
                os.EX_CONFIG,
            ) from error

    def agree(self, asked: LabOptions) -> None:
        """Refuse options that differ from what the lab was made with; what isn't said agrees."""
        made = replace(self.options, door=self.door, smtp=self.smtp_port, node=self.node)
        pairs = (
            ("--database", made.database, asked.database),
            ("--node", made.node, asked.node),
            ("--keys", made.keys, asked.keys),
            ("--door", made.door, asked.door),
            ("--smtp", made.smtp, asked.smtp),
            ("--sink", made.sink, asked.sink),
            ("--nameserver", made.nameserver, asked.nameserver),
            ("--spamd", made.spamd, asked.spamd),
            ("--rspamd", made.rspamd, asked.rspamd),
            ("--exec", dict(made.programs) or None, dict(asked.programs) or None),
        )
        for name, had, wanted in pairs:
            if wanted is not None and wanted != had:
                # The value stays out of the message: a database's URL has a password in it.
                what = "another" if had is not None else "no"
                raise _usage(f"this lab was made with {what} {name}; make one in another folder")


def _usage(message: str) -> LabError:
    return LabError(message, os.EX_USAGE)
