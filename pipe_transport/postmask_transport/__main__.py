"""postmask-forwarder: takes messages from Postfix by LMTP, rewrites them, and hands them back.

    postmask-forwarder [--config FILE]

runs in the foreground on forwarder.sock in sockets.directory, with log lines on standard error and
systemd notified once it listens. The first SIGTERM, SIGINT or SIGHUP finishes what is in hand, the
second ends the process at once; what was not answered then, Postfix tries again.

DIAGNOSTICS
    Exit status 78 (EX_CONFIG): the configuration, the keys, a user or a socket is not as it must be;
    one line says which and what to do. 74 (EX_IOERR): the spool can't be opened. 70 (EX_SOFTWARE): a
    thread ended that is to last. 1: ended before all was finished. A database that can't be reached is
    no reason not to start: mail waits until it can.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from postmask_transport.service import Forwarder


@click.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The configuration file. [default: $POSTMASK_CONFIG, else /etc/postmask/postmask.toml]",
)
def main(config: Path | None) -> None:
    """Rewrite and forward what Postfix hands over.

    Example: postmask-forwarder --config /etc/postmask/postmask.toml
    """
    # Imported here: --help needs none of it.
    from postmask import daemon, log
    from postmask.config import ConfigError, load
    from postmask.daemon import SocketError
    from postmask.keys import KeyFileError
    from postmask.spool import SpoolError
    from postmask.store.errors import StoreError
    from postmask_transport.service import UnknownUserError, assemble

    stop = daemon.Stop.install()
    try:
        settings = load(config)
        log.setup("postmask-forwarder", settings.log.level)
        forwarder: Forwarder = assemble(settings)
    except (ConfigError, KeyFileError, SocketError, StoreError, UnknownUserError) as error:
        click.echo(f"postmask-forwarder: {error}", err=True)
        sys.exit(os.EX_CONFIG)
    except SpoolError as error:
        click.echo(f"postmask-forwarder: {error}", err=True)
        sys.exit(os.EX_IOERR)
    stop.on_request(forwarder.stop)
    sys.exit(0 if forwarder.run() else 1)


if __name__ == "__main__":
    main()
