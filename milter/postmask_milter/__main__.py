"""postmask-milter: what Postfix asks while a message comes in.

    postmask-milter alias [--config FILE]

runs the gate (policy service) and the alias milter in the foreground, on gate.sock and alias.sock in
sockets.directory, with log lines on standard error and systemd notified when both listen.

DIAGNOSTICS
    Exit status 78 (EX_CONFIG): the configuration, the keys or a socket is not as it must be; one
    line says which and what to do. 74 (EX_IOERR): the spool can't be opened. Otherwise as in
    postmask_milter.service. A database that can't be reached is no reason not to start: our
    recipients are answered 451 until it can.
"""

from __future__ import annotations

import grp
import os
import pwd
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from postmask.config import Settings
    from postmask_milter.service import Service
    from postmask_milter.signals import Signals


@click.group()
def main() -> None:
    """What Postfix asks while a message comes in."""


@main.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The configuration file. [default: $POSTMASK_CONFIG, else /etc/postmask/postmask.toml]",
)
def alias(config: Path | None) -> None:
    """Answer RCPT: the gate and the alias milter.

    Example: postmask-milter alias --config /etc/postmask/postmask.toml
    """
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


def wire(settings: Settings, signals: Signals) -> Service:
    """The service with its real parts. The sockets come last: nobody finds one that nobody serves."""
    from postmask import daemon, keys
    from postmask.alias.rcpt import Decider
    from postmask.clock import SystemClock
    from postmask.directory.opening import open_directory
    from postmask.spool import Spool
    from postmask_milter import service
    from postmask_milter.recording import SpoolRecorder

    clock = SystemClock()
    keyring = keys.load(settings.keys.file)
    spool = Spool(settings.spool.path, clock)
    directory = open_directory(settings, spool, clock)
    listen = partial(daemon.listen_unix, group=socket_group(settings.postfix.mail_owner))
    return service.assemble(
        Decider(directory, keyring, clock),
        SpoolRecorder(directory, spool, clock),
        clock,
        settings.milter,
        gate_socket=listen(settings.sockets.gate),
        milter_socket=listen(settings.sockets.alias),
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
