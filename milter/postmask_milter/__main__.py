"""postmask-milter: what Postfix asks while a message comes in.

    postmask-milter alias [--config FILE]
    postmask-milter scan [--config FILE]

`alias` runs the gate (policy service) and the alias milter, on gate.sock and alias.sock in
sockets.directory, `scan` the scan milter, on scan.sock; in the foreground, with log lines on standard
error and systemd notified when they listen.

DIAGNOSTICS
    Exit status 78 (EX_CONFIG): the configuration, the keys or a socket is not as it must be; one
    line says which and what to do. 74 (EX_IOERR): the spool can't be opened. Otherwise as in
    postmask_milter.service. A database that can't be reached is no reason not to start: our
    recipients are answered 451 until it can, and messages go on unexamined.
"""

from __future__ import annotations

import grp
import os
import pwd
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from postmask.config import Settings
    from postmask_milter.service import Service
    from postmask_milter.signals import Signals

_CONFIG = click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The configuration file. [default: $POSTMASK_CONFIG, else /etc/postmask/postmask.toml]",
)


@click.group()
def main() -> None:
    """What Postfix asks while a message comes in."""


@main.command()
@_CONFIG
def alias(config: Path | None) -> None:
    """Answer RCPT: the gate and the alias milter.

    Example: postmask-milter alias --config /etc/postmask/postmask.toml
    """
    _run(config, wire_alias)


@main.command()
@_CONFIG
def scan(config: Path | None) -> None:
    """Examine messages at their end: SPF, DKIM, DMARC, replies, spam.

    Example: postmask-milter scan --config /etc/postmask/postmask.toml
    """
    _run(config, wire_scan)


def _run(config: Path | None, wire: Callable[[Settings, Signals], Service]) -> None:
    """The life of the process."""
    # Imported here: --help needs none of it.
    from postmask import log
    from postmask.config import ConfigError, load
    from postmask.daemon import SocketError
    from postmask.keys import KeyFileError
    from postmask.spool import SpoolError
    from postmask.store.errors import StoreError
    from postmask_milter import service
    from postmask_milter.signals import Signals

    signals = Signals()
    try:
        settings = load(config)
        log.setup("postmask-milter", settings.log.level)
        running = wire(settings, signals)
    except (ConfigError, KeyFileError, SocketError, StoreError) as error:
        click.echo(f"postmask-milter: {error}", err=True)
        sys.exit(os.EX_CONFIG)
    except SpoolError as error:
        click.echo(f"postmask-milter: {error}", err=True)
        sys.exit(os.EX_IOERR)
    service.leave(running.run())


def wire_alias(settings: Settings, signals: Signals) -> Service:
    """Gate and alias milter with their real parts. The sockets come last: nobody finds one that nobody
    serves."""
    from postmask import daemon, keys
    from postmask.alias.rcpt import Decider
    from postmask.auth.networks import own_networks
    from postmask.clock import SystemClock
    from postmask.directory.opening import open_directory
    from postmask.drain import DrainSwitch
    from postmask.keys.fingerprint import publish_fingerprint
    from postmask.spool import Spool
    from postmask_milter import alias_service
    from postmask_milter.rates import RcptRates
    from postmask_milter.recording import SpoolRecorder

    clock = SystemClock()
    keyring = keys.load(settings.keys.file)
    spool = Spool(settings.spool.path, clock)
    publish_fingerprint(settings.spool.folder, keyring)
    directory = open_directory(settings, spool, clock)
    rates = RcptRates(settings.rates, own_networks(settings.postfix.config_dir), clock)
    listen = partial(daemon.listen_unix, group=socket_group(settings.postfix.mail_owner))
    return alias_service.assemble(
        Decider(directory, keyring, clock, rates, DrainSwitch(settings.spool.folder).in_force),
        SpoolRecorder(directory, keyring, spool, clock),
        clock,
        settings.milter,
        gate_socket=listen(settings.sockets.gate),
        milter_socket=listen(settings.sockets.alias),
        signals=signals,
        notify=daemon.notify,
    )


def wire_scan(settings: Settings, signals: Signals) -> Service:
    """The scan milter with its real parts, likewise."""
    from postmask import daemon, keys
    from postmask.alias.sifting import rules_of
    from postmask.auth.dns import Resolver
    from postmask.auth.forwarders import TrustedForwarders
    from postmask.auth.networks import own_networks
    from postmask.clock import SystemClock
    from postmask.directory.opening import open_directory
    from postmask.spam.opening import open_scanner
    from postmask.spam.publishing import Publisher
    from postmask.spool import Spool
    from postmask_milter import scan_service
    from postmask_milter.asking import authenticator, spam_checker
    from postmask_milter.examiner import Examiner
    from postmask_milter.recording import SpoolRecorder
    from postmask_milter.refusals import RefusalQueue

    clock = SystemClock()
    keyring = keys.load(settings.keys.file)
    spool = Spool(settings.spool.path, clock)
    directory = open_directory(settings, spool, clock)
    refusals = RefusalQueue(SpoolRecorder(directory, keyring, spool, clock))
    scanner = open_scanner(settings, clock)
    examiner = Examiner(
        directory=directory,
        keys=keyring,
        clock=clock,
        authenticate=authenticator(Resolver(settings.dns.nameservers, settings.dns.timeout), clock),
        check_spam=spam_checker(scanner, settings.node.name, clock) if settings.spam.engines else None,
        recorder=refusals,
        own_networks=own_networks(settings.postfix.config_dir),
        trusted=TrustedForwarders(settings.mail.trusted_forwarders),
        rules=rules_of(settings.spam),
        most=settings.spam.max_in_flight,
    )
    return scan_service.assemble(
        examiner,
        (Publisher(settings.spam.directory, "scan", scanner, clock), refusals),
        clock,
        budget=settings.spam.budget,
        lookup=settings.milter.command_deadline,
        most=settings.spam.max_in_flight,
        size_limit=settings.forwarder.message_size_limit,
        listener=daemon.listen_unix(settings.sockets.scan, group=socket_group(settings.postfix.mail_owner)),
        signals=signals,
        notify=daemon.notify,
    )


def socket_group(mail_owner: str) -> str | None:
    """The group by which Postfix may connect, None where there is none or we can't give it.

    Without privileges only a group of one's own can be given to a socket; the folder's group and mode
    then decide who comes in.
    """
    try:
        group = grp.getgrgid(pwd.getpwnam(mail_owner).pw_gid)
    except KeyError:
        return None
    may = os.geteuid() == 0 or group.gr_gid in {os.getegid(), *os.getgroups()}
    return group.gr_name if may else None


if __name__ == "__main__":
    main()
