"""The wanted Postfix settings as data: what a setting is, and what differs from host to host.

This module says what a setting is; `parameters` holds those of main.cf, `services` those of master.cf.
Each says why it is there, since which Postfix it can be used, and how it meets what the site has: lists
are merged, never replaced. `postmask_postfix.render` turns them into lines; the lab, and everything
that attaches Postmask to a Postfix, renders from them.

A value is in Postfix's own syntax, `$$` being one `$`. `<name>` in angle brackets stands for an
attribute of SettingsContext and is filled in by the renderer.

STANDARDS
    postconf(5), master(5), pipe(8), lmtp(8), smtpd(8), cleanup(8); RFC 3463 for the fence's codes.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass


class Merge(enum.StrEnum):
    """How a parameter meets the site's own value."""

    SET = "set"
    """Ours alone: a parameter that nobody else has."""
    PREPEND = "prepend"
    """A list; ours stands first, for Postfix asks in order."""
    APPEND = "append"
    """A list; ours stands last."""
    APPEND_IF_SET = "append-if-set"
    """A list that is extended only where the site has one: an empty one means "not checked"."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A main.cf parameter. since: the first Postfix release that knows it in this form."""

    name: str
    value: str
    merge: Merge
    why: str
    since: str


@dataclass(frozen=True, slots=True)
class Option:
    """One `-o name = value` of a service."""

    name: str
    value: str
    why: str


@dataclass(frozen=True, slots=True)
class Service:
    """A master.cf service of type unix, never chrooted.

    private: whether the socket lies in `private` (Postfix's own programs only) or in `public`.
    processes: the cap on processes, as a template. arguments: what pipe(8) wants after the options.
    """

    name: str
    private: bool
    processes: str
    command: str
    why: str
    since: str
    unprivileged: bool = True
    options: tuple[Option, ...] = ()
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SettingsContext:
    """What differs from host to host.

    door:               name of the service that our domains are routed to: "pipe" or "lmtp".
    sockets:            folder of our sockets, relative to the queue directory: serves chrooted
                        and unchrooted Postfix daemons alike.
    pipe_user:          "user" or "user:group" that pipe(8) starts the client as.
    pipe_argv:          the client's command, up to and without the macros.
    pipe_processes:     cap on clients at once, the only one there is with recipient limit 1.
    lmtp_processes:     cap on lmtp(8) processes.
    scan_budget:        seconds that the scan milter takes at most at the end of a message.
    message_size_limit: the host's limit in octets; re-injection takes 1 MB more, for our headers.
    """

    door: str
    pipe_argv: tuple[str, ...]
    pipe_user: str = "postmask-pipe"
    sockets: str = "postmask"
    pipe_processes: int = 8
    lmtp_processes: int = 8
    scan_budget: float = 10.0
    message_size_limit: int = 10_240_000

    def __post_init__(self) -> None:
        if self.door not in NEXTHOPS:
            raise ValueError(f"door must be one of {', '.join(NEXTHOPS)}, not {self.door!r}")

    @property
    def nexthop(self) -> str:
        """What transport_maps answers for our domains."""
        return NEXTHOPS[self.door].replace("<sockets>", self.sockets)

    @property
    def scan_seconds(self) -> int:
        """How long Postfix waits for the scan milter: beyond its budget, so that it answers first."""
        return math.ceil(self.scan_budget) + 5

    @property
    def reinject_size_limit(self) -> int:
        """The limit at re-injection: a message that was let in must get out again. 0 is no limit."""
        return self.message_size_limit + 1_048_576 if self.message_size_limit else 0


NEXTHOPS = {"pipe": "postmask:", "lmtp": "postmask-lmtp:unix:<sockets>/forwarder.sock"}

DOMAINS = "postmask_domains"
"""The parameter that holds our domains, as one alternation of a POSIX extended regular expression."""

HOST_DOMAINS = "postmask_host_domains"
"""The parameter that holds the names below our domains that are the host's own, in the same form."""

GENERATION = "postmask_generation"
"""The parameter whose value the re-injection listener greets with: shows which settings are in force."""

SYNCED = (DOMAINS, HOST_DOMAINS, GENERATION)
"""What `postmask postfix sync` sets, besides the parts of a long DOMAINS."""
