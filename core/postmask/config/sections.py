"""Every setting of postmask.toml: its section, kind, default, and what it does.

This is the only place where they stand, but for the spam check's in postmask.config.spam and the doctor's
in postmask.config.doctor. Reading, `postmask config show` and the manual page postmask.toml(5) follow from
it.
"""

# ruff: noqa: RUF009 - `setting` is dataclasses.field() with its metadata filled in

from __future__ import annotations

import math
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from postmask.config.declare import Derived, Known, setting
from postmask.config.doctor import Doctor
from postmask.config.kinds import (
    ADDRESS,
    DATABASE,
    DOMAIN,
    FORWARDERS,
    NAMESERVERS,
    PATH,
    USER,
    USERS,
    one_of,
    seconds,
    whole,
    whole_or_never,
)
from postmask.config.spam import Rspamd, Spam, Spamd

A_HOUR = whole_or_never(1)


def _host_name(_known: Known) -> str:
    return socket.gethostname()


def _node_name(known: Known) -> str:
    return str(known["node.name"])


def _database_url(known: Known) -> str:
    return str(known["database.url"])


def _settled_later(_known: Known) -> None:
    """Only the database, or Postfix, knows."""


@dataclass(frozen=True, slots=True)
class Node:
    """This machine among those that serve the same domains."""

    name: str = setting(
        DOMAIN,
        Derived("the machine's host name", _host_name),
        "The node's name in events, counters and greetings. No two nodes may have the same.",
    )


@dataclass(frozen=True, slots=True)
class Database:
    """Where accounts, domains, mailboxes, aliases and contacts are kept."""

    url: str = setting(
        DATABASE,
        "sqlite:////var/lib/postmask/postmask.db",
        "The database as the programs open it. On Postgres the role in it is a node's, which may do little. "
        "This setting alone is read again while they run: they go over to another database once that is the "
        "one in use.",
    )
    owner_url: str = setting(
        DATABASE,
        Derived("the value of database.url", _database_url),
        "The database as the command line opens it. On Postgres the role in it owns the tables.",
    )


@dataclass(frozen=True, slots=True)
class Keys:
    """The master secrets."""

    file: Path = setting(
        PATH,
        "/etc/postmask/keys",
        "The file of master secrets. A program that systemd gave a credential of the same name "
        "(LoadCredential=keys:/etc/postmask/keys) reads that one instead.",
    )


@dataclass(frozen=True, slots=True)
class Spool:
    """What the node keeps for itself until the database has it."""

    path: Path = setting(
        PATH,
        "/var/lib/postmask/spool.db",
        "The node's own file: which message went to whom, and what the database is still to be told. "
        "It belongs on a local disk.",
    )

    @property
    def folder(self) -> Path:
        """Where it lies, and what else the node says for itself."""
        return self.path.parent


@dataclass(frozen=True, slots=True)
class Replica:
    """The node's own copy of the directory, by which mail flows while Postgres can't be reached.

    With SQLite there is none: the database is on this machine anyway.
    """

    directory: Path = setting(
        PATH,
        "/var/lib/postmask/directory",
        "The folder of the copy. postmask-agent writes it, postmask-milter and postmask-forwarder read it, "
        "and all three must be able to write there. It belongs on a local disk.",
    )
    poll: float = setting(
        seconds(0.1, 3600),
        5.0,
        "How often the database is asked for changes that it has not told of by itself.",
    )


@dataclass(frozen=True, slots=True)
class Dns:
    """Whom to ask for the SPF and DKIM records of those who write."""

    nameservers: tuple[tuple[str, int], ...] = setting(
        NAMESERVERS, [], "The name servers to ask, in this order. Empty: the system's own."
    )
    timeout: float = setting(
        seconds(0.1, 20), 2.0, "How long one question may take, with all its retries, over all servers."
    )


@dataclass(frozen=True, slots=True)
class Postfix:
    """The Postfix that Postmask is attached to."""

    config_dir: Path = setting(PATH, "/etc/postfix", "The folder of its main.cf and master.cf.")
    door: str = setting(
        one_of("pipe", "lmtp"),
        "pipe",
        "How Postfix hands messages to the forwarder: by pipe(8), which also tells the SASL login, or by "
        "lmtp(8), which is about twice as fast.",
    )
    mail_owner: str = setting(USER, "postfix", "The user that Postfix runs as, its mail_owner.")
    pipe_user: str = setting(
        USER, "postmask-pipe", "The user that pipe(8) runs postmask-pipe as. It can read no secret."
    )
    pipe_folder: Path = setting(
        PATH,
        "/usr/local/lib/postmask",
        "The folder of the client that pipe(8) runs, where that user can read it. postmask postfix attach "
        "puts it there.",
    )


@dataclass(frozen=True, slots=True)
class Sockets:
    """Where Postfix finds the programs."""

    directory: Path = setting(
        PATH,
        "/var/spool/postfix/postmask",
        "The folder of alias.sock, gate.sock, scan.sock and forwarder.sock. It lies below Postfix's queue "
        "directory, since smtpd and lmtp are usually chrooted there.",
    )

    @property
    def alias(self) -> Path:
        """Of the alias milter."""
        return self.directory / "alias.sock"

    @property
    def scan(self) -> Path:
        """Of the scan milter."""
        return self.directory / "scan.sock"

    @property
    def gate(self) -> Path:
        """Of the policy service."""
        return self.directory / "gate.sock"

    @property
    def forwarder(self) -> Path:
        """Of the forwarder's LMTP server."""
        return self.directory / "forwarder.sock"


@dataclass(frozen=True, slots=True)
class Reinject:
    """How rewritten messages get back into Postfix's queue."""

    socket: Path = setting(
        PATH, "/var/spool/postfix/public/postmask-reinject", "The smtpd that takes what is to be delivered."
    )
    hold_socket: Path = setting(
        PATH, "/var/spool/postfix/public/postmask-hold", "The smtpd that puts what it takes on hold."
    )
    timeout: float = setting(seconds(0.5, 300), 10.0, "How long one reply of that smtpd may take.")
    connections: int = setting(
        whole(1, 100), 8, "How many connections to each of them are kept open, at most."
    )


@dataclass(frozen=True, slots=True)
class Hold:
    """What the forwarder has Postfix hold."""

    keep: float | None = setting(
        seconds(60, 2_592_000),
        Derived("two fifths of Postfix's maximal_queue_lifetime: 2 days", _settled_later),
        "How long a held message waits to be released before it is discarded, with a record and a notice; "
        "less than half of Postfix's maximal_queue_lifetime.",
    )


@dataclass(frozen=True, slots=True)
class Forwarder:
    """The program that rewrites mail."""

    max_connections: int = setting(whole(1, 1000), 50, "How many messages may be in hand at once.")
    deadline: float = setting(
        seconds(1, 29), 25.0, "How long one message may take before it is deferred; Postfix waits 30 s."
    )
    idle_timeout: float = setting(
        seconds(1, 3600), 60.0, "How long a connection may be silent between two messages."
    )
    replies_per_hour: int = setting(
        whole(1, 100_000), 100, "How many replies of one mailbox this node sends; further ones wait."
    )
    message_size_limit: int = setting(
        whole(10_240, 2_000_000_000, "octets"),
        104_857_600,
        "The largest message taken; not below Postfix's own message_size_limit.",
    )
    allowed_users: tuple[str, ...] = setting(
        USERS,
        [],
        "Who may hand over messages besides root, postfix.mail_owner, postfix.pipe_user and its own user.",
    )


@dataclass(frozen=True, slots=True)
class Milter:
    """The gate and the milters."""

    command_deadline: float = setting(
        seconds(0.1, 1.9), 1.5, "How long one answer may take; less than Postfix's command_timeout of 2 s."
    )
    max_connections: int = setting(
        whole(1, 10_000), 500, "How many connections the gate takes at once; Postfix opens one per smtpd."
    )


@dataclass(frozen=True, slots=True)
class Rates:
    """How much mail for aliases this node takes an hour at most; what is beyond that waits (450 4.7.1)."""

    sender: float = setting(
        A_HOUR,
        math.inf,
        "How many recipients one envelope sender may name. The null sender has no rate.",
    )
    alias: float = setting(A_HOUR, math.inf, "How many messages one alias takes.")
    client: float = setting(
        A_HOUR,
        math.inf,
        "How many recipients one SMTP client may name, known or not: an IPv4 address, or an IPv6 network of "
        "64 bits. Clients of mynetworks, and whom Postfix trusts with XCLIENT or XFORWARD, have no rate.",
    )


@dataclass(frozen=True, slots=True)
class Mail:
    """What is written into mail."""

    notices_from: str | None = setting(
        ADDRESS,
        Derived("postmask@ the alias's domain; for codes the first domain", _settled_later),
        "The sender of notices and confirmation codes.",
    )
    mapped_addresses: int = setting(
        whole(1, 1000),
        50,
        "How many addresses in From, Reply-To, To and Cc of a message get a reverse alias. The rest is left "
        "out of the forwarded header, which says so.",
    )
    authserv_id: str = setting(
        DOMAIN,
        Derived("the value of node.name", _node_name),
        "Whose Authentication-Results fields are ours (RFC 8601): who sends one in with this name has "
        "forged it, and it is taken out. All nodes may have the same.",
    )
    evidence_age: float = setting(
        seconds(60, 2_592_000),
        518_400.0,
        "How long what was found out about a message when it was received is believed when it is delivered; "
        "above Postfix's maximal_queue_lifetime. Afterwards it is found out anew.",
    )
    trusted_forwarders: tuple[str, ...] = setting(
        FORWARDERS,
        [],
        "Forwarders and mailing lists that break DMARC in good faith: what comes from these clients, or is "
        "proven by SPF or DKIM to come from these domains, is neither refused nor held for it.",
    )


@dataclass(frozen=True, slots=True)
class Retention:
    """How long records are kept."""

    events_days: int = setting(
        whole(1, 3650, "days"), 14, "How long it is kept what became of each message. Counters stay."
    )


@dataclass(frozen=True, slots=True)
class Log:
    """What the programs say on standard error."""

    level: str = setting(
        one_of("debug", "info", "warning", "error"),
        "info",
        "The least important lines that are written. Addresses of mailboxes only ever stand in debug lines.",
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one program. file: where they were read; origins: where each value comes from."""

    node: Node
    database: Database
    keys: Keys
    spool: Spool
    replica: Replica
    dns: Dns
    postfix: Postfix
    sockets: Sockets
    reinject: Reinject
    hold: Hold
    forwarder: Forwarder
    milter: Milter
    rates: Rates
    mail: Mail
    spam: Spam
    spamd: Spamd
    rspamd: Rspamd
    retention: Retention
    doctor: Doctor
    log: Log
    file: Path
    origins: Mapping[str, str]


SECTIONS = MappingProxyType(
    {
        "node": Node,
        "database": Database,
        "keys": Keys,
        "spool": Spool,
        "replica": Replica,
        "dns": Dns,
        "postfix": Postfix,
        "sockets": Sockets,
        "reinject": Reinject,
        "hold": Hold,
        "forwarder": Forwarder,
        "milter": Milter,
        "rates": Rates,
        "mail": Mail,
        "spam": Spam,
        "spamd": Spamd,
        "rspamd": Rspamd,
        "retention": Retention,
        "doctor": Doctor,
        "log": Log,
    }
)
"""The sections by name, in the order in which they are shown."""
